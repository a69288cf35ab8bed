"""Texts by name, as the input of a task."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pydantic

from rlm_module.errors import InputError
from rlm_module.signatures.inputs import PREVIEW_CHARS, SandboxInput, lines_within, short
from rlm_module.signatures.textfiles import decoded, unfit

_LISTED = 12
_HEAD_CHARS = 500


class Documents(SandboxInput):
    """Texts by name; in the sandbox a dict.

    Args:
        texts: A mapping of name to text; a list of texts, named `document_1` and on; one text, named `document`; or
            files, as `Path`, which are named as given. The values of a mapping may be files, too.

    Raises:
        InputError: If it is something else, or a file cannot be read or holds no text.
    """

    _texts: dict[str, str] = pydantic.PrivateAttr()

    def __init__(self, texts: Any) -> None:
        super().__init__()
        self._texts = dict(_named(texts))

    def sandbox_value(self) -> dict[str, str]:
        return self._texts

    def texts(self) -> Mapping[str, str]:
        return self._texts

    def size(self) -> tuple[int, str]:
        return len(self._texts), "texts"

    def rlm_preview(self, max_chars: int = PREVIEW_CHARS) -> str:
        return texts_preview(self._texts, "name", max_chars)

    def __repr__(self) -> str:
        return f"Documents({describe_texts(self._texts)})"


def describe_texts(texts: Mapping[str, str]) -> str:
    """How many texts of what length there are, and the names of the first few."""
    names = ", ".join(short(name, 40) for name in list(texts)[:3])
    more = ", ..." if len(texts) > 3 else ""
    return f"{len(texts):,} texts, {sum(map(len, texts.values())):,} characters: {names}{more}"


def texts_preview(texts: Mapping[str, str], key: str, max_chars: int, notes: Iterable[str] = ()) -> str:
    """What a model is told of texts by name: how to go through them, the largest, and how one of them begins.

    Args:
        texts: They.
        key: What the names are, as one word.
        max_chars: The longest it may be.
        notes: Lines to put below the first.
    """
    total = sum(map(len, texts.values()))
    lines = [f"A dict of {key} to text, {len(texts):,} texts of {total:,} characters in all.", *notes]
    by_size = sorted(texts, key=lambda name: -len(texts[name]))
    lines += [f"- {short(name)!r}: {len(texts[name]):,} characters" for name in by_size[:_LISTED]]
    if len(by_size) > _LISTED:
        lines.append(f"- and {len(by_size) - _LISTED:,} more, none of them larger")
    head = ""
    if by_size:
        room = min(_HEAD_CHARS, max_chars // 3)
        head = f"\n{short(by_size[0])!r} begins:\n{texts[by_size[0]][:room]}"
    return (lines_within(lines, max_chars - len(head)) + head)[:max_chars]


def read_text(path: Path) -> str:
    """The text of a file.

    Raises:
        InputError: If it cannot be read, or holds no text.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder; pass Directory({str(path)!r}).")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); check the path.") from error
    if unfit(data) == "binary":
        raise InputError(f"{path} is binary; convert it to text first.")
    return decoded(data)[0]


def _named(texts: Any) -> Iterator[tuple[str, str]]:
    if isinstance(texts, SandboxInput):
        texts = texts.texts()
    if isinstance(texts, str):
        texts = {"document": texts}
    elif isinstance(texts, Path):
        texts = [texts]
    if isinstance(texts, Mapping):
        pairs: list[tuple[Any, Any]] = list(texts.items())
    elif isinstance(texts, (list, tuple)):
        pairs = [
            (item.as_posix() if isinstance(item, Path) else f"document_{number}", item)
            for number, item in enumerate(texts, 1)
        ]
    else:
        raise InputError(f"Documents are texts by name, not {type(texts).__name__}; pass a dict of name to text.")
    for name, text in pairs:
        if isinstance(text, Path):
            text = read_text(text)
        if not isinstance(text, str) or not isinstance(name, str):
            raise InputError(
                f"A document is a text (str) or a file (pathlib.Path), not {type(text).__name__}, and its name a str; "
                "convert it."
            )
        yield name, text
