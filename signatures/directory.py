"""A folder of text files, as the input of a task."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import pydantic

from rlm_module.errors import InputError
from rlm_module.signatures.documents import describe_texts, texts_preview
from rlm_module.signatures.folders import files_in
from rlm_module.signatures.inputs import PREVIEW_CHARS, SandboxInput, short
from rlm_module.signatures.textfiles import decoded, unfit

_COUNTED = 10


class Directory(SandboxInput):
    """The text files of a folder, read when a run needs them; in the sandbox a dict of relative path to text.

    What a `.gitignore` names, `.git`, symbolic links, binary files and empty ones stay out.

    Args:
        folder: Its path; or a mapping of path to text, for one that has been read.
        suffixes: Such as `(".py", ".md")`, to take no other files.
        max_file_bytes: Larger files are left out, and the model is told so.
        max_bytes: The most that all files may have together.

    Raises:
        InputError: If there is no such folder, or, when it is read, its files are too large or there are none.
    """

    _folder: Path | None = pydantic.PrivateAttr(default=None)
    _suffixes: tuple[str, ...] = pydantic.PrivateAttr(default=())
    _max_file_bytes: int = pydantic.PrivateAttr(default=0)
    _max_bytes: int = pydantic.PrivateAttr(default=0)
    _texts: dict[str, str] | None = pydantic.PrivateAttr(default=None)
    _left_out: list[str] = pydantic.PrivateAttr(default_factory=list)

    def __init__(
        self,
        folder: str | os.PathLike[str] | Mapping[str, str],
        suffixes: Iterable[str] = (),
        max_file_bytes: int = 2_000_000,
        max_bytes: int = 200_000_000,
    ) -> None:
        super().__init__()
        self._suffixes = tuple(suffixes)
        self._max_file_bytes, self._max_bytes = max_file_bytes, max_bytes
        if isinstance(folder, Mapping):
            self._texts = dict(folder)
            return
        self._folder = Path(folder)
        if not self._folder.is_dir():
            raise InputError(f"{self._folder} is no folder; check the path, or pass a file as Documents(Path(...)).")

    def for_run(self) -> Self:
        if self._folder is None:
            return self
        again = self.model_copy()
        again._texts, again._left_out = None, []
        return again

    def sandbox_value(self) -> dict[str, str]:
        if self._texts is None:
            self._left_out = []
            self._texts = dict(self._read())
            if not self._texts:
                raise InputError(
                    f"{self._folder} holds no text files, or all of them are ignored by git; name another."
                )
        return self._texts

    def texts(self) -> Mapping[str, str]:
        return self.sandbox_value()

    def size(self) -> tuple[int, str]:
        return len(self.texts()), "files"

    def rlm_preview(self, max_chars: int = PREVIEW_CHARS) -> str:
        texts = self.texts()
        notes = [
            f"By suffix: {_counts(Path(name).suffix or 'none' for name in texts)}.",
            f"By folder: {_counts(name.partition('/')[0] + '/' if '/' in name else './' for name in texts)}.",
        ]
        if self._left_out:
            names = ", ".join(short(name, 60) for name in self._left_out[:3])
            notes.append(f"Left out as too large or unreadable: {len(self._left_out):,} files ({names}).")
        return texts_preview(texts, "path", max_chars, notes)

    def __repr__(self) -> str:
        if self._folder is None:
            return f"Directory({describe_texts(self._texts or {})})"
        suffixes = f", suffixes={self._suffixes!r}" if self._suffixes else ""
        return f"Directory({short(str(self._folder), 300)!r}{short(suffixes)})"

    def __getstate__(self) -> dict[Any, Any]:
        """Without what was read from the folder, which is read anew."""
        state = super().__getstate__()
        private = state.get("__pydantic_private__")
        if self._folder is not None and private:
            state["__pydantic_private__"] = {**private, "_texts": None, "_left_out": []}
        return state

    def _read(self) -> Iterator[tuple[str, str]]:
        assert self._folder is not None
        start, total = Path(os.path.abspath(self._folder)), 0
        for path in files_in(start, lambda folder: None):
            name = path.relative_to(start).as_posix()
            if self._suffixes and path.suffix not in self._suffixes:
                continue
            try:
                with path.open("rb") as file:
                    data = file.read(self._max_file_bytes + 1)
            except OSError:
                self._left_out.append(name)
                continue
            if unfit(data):
                continue
            if len(data) > self._max_file_bytes:
                self._left_out.append(name)
                continue
            total += len(data)
            if total > self._max_bytes:
                raise InputError(
                    f"The files of {self._folder} have more than {self._max_bytes:,} bytes; name a folder below it, "
                    "give suffixes, or raise max_bytes."
                )
            yield name, decoded(data)[0]


def _counts(kinds: Iterable[str]) -> str:
    counts = Counter(kinds)
    shown = ", ".join(f"{short(kind, 30)} {count:,}" for kind, count in counts.most_common(_COUNTED))
    return f"{shown}, and {len(counts) - _COUNTED:,} others" if len(counts) > _COUNTED else shown
