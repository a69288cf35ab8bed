"""Text streams of bounded size, for what cells print. Runs in the sandbox, so that a runaway print costs nothing."""

from __future__ import annotations

from collections import deque


class Clip:
    """A text stream that keeps the head and the tail of what is written to it, and counts the rest."""

    encoding = "utf-8"
    errors = "surrogatepass"

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

    def writelines(self, lines: list[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None: ...

    def isatty(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def text(self) -> str:
        head, tail = "".join(self._head), "".join(self._tail)
        tail = tail[-self._tail_limit :] if self._tail_limit else ""
        omitted = self._total - len(head) - len(tail)
        if omitted <= 0:
            return head + tail
        note = f"\n... [{omitted:,} of {self._total:,} characters omitted] ...\n"
        return head + note + tail
