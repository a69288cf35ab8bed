"""Text streams of bounded size, for what cells print. Runs in the sandbox, so that a runaway print costs nothing."""

from __future__ import annotations

from collections import deque


class Stream:
    """A session's standard output or error: writes to the clip of the cell that runs."""

    encoding = "utf-8"
    errors = "surrogatepass"

    def __init__(self) -> None:
        self.clip = Clip(0)
        self.buffer = _Bytes(self)

    def write(self, text: str) -> int:
        """Writes text, as files do."""
        return self.clip.write(text)

    def writelines(self, lines: list[str]) -> None:
        """Writes many texts."""
        for line in lines:
            self.write(line)

    def reconfigure(self, **options: object) -> None:
        """Nothing here can be configured, but programs try."""

    def flush(self) -> None: ...

    def isatty(self) -> bool:
        return False

    def writable(self) -> bool:
        return True


class _Bytes:
    """The binary side of a stream."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def write(self, data: bytes) -> int:
        self._stream.write(bytes(data).decode("utf-8", "replace"))
        return len(data)

    def flush(self) -> None: ...


class Clip:
    """Keeps the head and the tail of what is written to it, and counts the rest."""

    def __init__(self, limit: int) -> None:
        self._head_limit = limit - limit // 2
        self._tail_limit = limit // 2
        self._head: list[str] = []
        self._head_chars = 0
        self._tail: deque[str] = deque()
        self._tail_chars = 0
        self._total = 0

    def write(self, text: str) -> int:
        text = str(text)
        self._total += len(text)
        room = self._head_limit - self._head_chars
        if room > 0:
            self._head.append(text[:room])
            self._head_chars += min(room, len(text))
        self._keep_tail(text[max(room, 0) :])
        return len(text)

    def _keep_tail(self, text: str) -> None:
        text = text[-self._tail_limit :] if self._tail_limit else ""
        if not text:
            return
        self._tail.append(text)
        self._tail_chars += len(text)
        while self._tail_chars - len(self._tail[0]) >= self._tail_limit:
            self._tail_chars -= len(self._tail.popleft())

    def text(self) -> str:
        head, tail = "".join(self._head), "".join(self._tail)
        tail = tail[-self._tail_limit :] if self._tail_limit else ""
        omitted = self._total - len(head) - len(tail)
        if omitted <= 0:
            return head + tail
        note = f"\n... [{omitted:,} of {self._total:,} characters omitted] ...\n"
        return head + note + tail
