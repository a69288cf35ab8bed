"""One long text, as the input of a task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pydantic

from rlm_module.errors import InputError
from rlm_module.signatures.documents import read_text
from rlm_module.signatures.inputs import PREVIEW_CHARS, SandboxInput, short

_SHOWN_CHARS = 60


class Text(SandboxInput):
    """One text; in the sandbox a str.

    A str does as well for a run. But what prints examples, as some optimizers do into prompts, prints a str whole and
    this as a summary. It may be passed where a field is typed as str, too.

    Args:
        text: A str, or a file as `Path`.

    Raises:
        InputError: If it is something else, or a file cannot be read or holds no text.
    """

    _text: str = pydantic.PrivateAttr()

    def __init__(self, text: Any) -> None:
        super().__init__()
        if isinstance(text, Text):
            text = text.sandbox_value()
        if isinstance(text, Path):
            text = read_text(text)
        if not isinstance(text, str):
            raise InputError(f"A text is a str or a file (pathlib.Path), not {type(text).__name__}; convert it.")
        self._text = text

    def sandbox_value(self) -> str:
        return self._text

    def size(self) -> tuple[int, str]:
        return len(self._text), "characters"

    def rlm_preview(self, max_chars: int = PREVIEW_CHARS) -> str:
        head = f"A str of {len(self._text):,} characters"
        room = max_chars - len(head) - 40
        if len(self._text) <= room:
            return f"{head}:\n{self._text}"[:max_chars]
        half = max(room // 2, 0)
        return f"{head}. It begins:\n{self._text[:half]}\nIt ends:\n{self._text[len(self._text) - half :]}"[:max_chars]

    def __repr__(self) -> str:
        return f"Text({len(self._text):,} characters: {short(self._text, _SHOWN_CHARS)!r})"
