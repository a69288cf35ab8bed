"""JSON files, an item at a time, with what is wrong with them in one sentence."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from os import PathLike
from pathlib import Path
from typing import Any, TextIO, cast

from rlm_module.errors import InputError

_CHUNK_CHARS = 1 << 20
_TAIL_BYTES = 4_096
_LONGEST_ITEM_CHARS = 1 << 28
_NEAR_END_CHARS = 16


def items(path: str | PathLike[str]) -> Iterator[Any]:
    """The items of a file that is one JSON array, each parsed when it is reached.

    Args:
        path: The file.

    Raises:
        InputError: If it cannot be read, is no array, or ends too early; the last is seen before the first item.
    """
    file = Path(path)
    try:
        _refuse_cut(file)
        with file.open(encoding="utf-8-sig") as stream:
            yield from _items(stream, file)
    except OSError as error:
        raise InputError(f"{file} cannot be read ({error.strerror or error}); name another file.") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{file} is not UTF-8 text ({error.reason} at byte {error.start}); convert it.") from error


def lines(path: str | PathLike[str]) -> Iterator[tuple[int, Any]]:
    """The values of a file of JSON lines, each with its line's number.

    Raises:
        InputError: If it cannot be read, or a line is no JSON.
    """
    file = Path(path)
    try:
        with file.open(encoding="utf-8-sig") as stream:
            for number, line in enumerate(stream, 1):
                if line.strip():
                    yield number, _parsed(line, f"line {number} of {file}")
    except OSError as error:
        raise InputError(f"{file} cannot be read ({error.strerror or error}); name another file.") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{file} is not UTF-8 text ({error.reason} at byte {error.start}); convert it.") from error


def mapping(value: Any, what: str) -> Mapping[str, Any]:
    """The value, which must be an object.

    Args:
        value: The value.
        what: What it is, for the error.

    Raises:
        InputError: If it is none.
    """
    if not isinstance(value, Mapping):
        raise InputError(f"{what} is {type(value).__name__} and no object; is the file of another kind?")
    return cast("Mapping[str, Any]", value)


def listed(value: Any, what: str) -> list[Any]:
    """The value, which must be an array.

    Raises:
        InputError: If it is none.
    """
    if not isinstance(value, list):
        raise InputError(f"{what} is {type(value).__name__} and no array; is the file of another kind?")
    return cast("list[Any]", value)


def _refuse_cut(file: Path) -> None:
    """A download that broke off lacks the bracket at its end: told before anything is made of the rest."""
    with file.open("rb") as stream:
        size = stream.seek(0, 2)
        stream.seek(max(0, size - _TAIL_BYTES))
        tail = stream.read().strip()
    if not tail.endswith(b"]"):
        raise InputError(f"{file} does not end as a JSON array does; it may be truncated, so get it anew.")


def _items(stream: TextIO, file: Path) -> Iterator[Any]:
    decoder = json.JSONDecoder()
    text, at, count = stream.read(_CHUNK_CHARS).lstrip(), 1, 0
    if not text.startswith("["):
        raise InputError(f"{file} is no JSON array; is it of another kind?")
    while True:
        text, at = _from_mark(stream, text, at)
        if count or text[at : at + 1] == "]":
            mark, at = text[at : at + 1], at + 1
            if mark == "]":
                return _refuse_more(stream, text, at, file)
            if mark != ",":
                raise InputError(f"Item {count} of {file} does not come after a comma; get the file anew.")
            text, at = _from_mark(stream, text, at)
        while True:
            try:
                item, end = decoder.raw_decode(text, at)
                break
            except json.JSONDecodeError as error:
                # Where the text merely ends too early, the fault is near its end, or a string without one.
                is_open = error.msg.startswith("Unterminated") or error.pos >= len(text) - _NEAR_END_CHARS
                is_open = is_open and len(text) - at < _LONGEST_ITEM_CHARS
                # Twice as much, so that long items cost little more.
                more = stream.read(max(_CHUNK_CHARS, len(text) - at)) if is_open else ""
                if not more:
                    raise InputError(f"Item {count} of {file} is no JSON ({error.msg}); get the file anew.") from error
                text, at = text[at:] + more, 0
            except RecursionError as error:
                raise InputError(f"Item {count} of {file} is nested too deeply to be a chat; leave it out.") from error
            except ValueError as error:
                raise InputError(f"Item {count} of {file} has a number of too many digits; leave it out.") from error
        yield item
        at, count = end, count + 1


def _refuse_more(stream: TextIO, text: str, at: int, file: Path) -> None:
    """Two files in one would lose the second."""
    text, at = _from_mark(stream, text, at)
    if text[at : at + 1]:
        raise InputError(f"{file} goes on after its array's end ({text[at : at + 20]!r}); make a file of each part.")


def _from_mark(stream: TextIO, text: str, at: int) -> tuple[str, int]:
    """The text and where in it something stands again; its end where nothing does."""
    while True:
        while at < len(text) and text[at] in " \t\r\n":
            at += 1
        if at < len(text):
            return text, at
        text, at = stream.read(_CHUNK_CHARS), 0
        if not text:
            return text, at


def _parsed(text: str, what: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"{what[:1].upper()}{what[1:]} is no JSON ({error.msg}); mend it or get it anew.") from error
    except RecursionError as error:
        raise InputError(f"{what[:1].upper()}{what[1:]} is nested too deeply to be a chat; leave it out.") from error
    except ValueError as error:
        raise InputError(f"{what[:1].upper()}{what[1:]} has a number of too many digits; leave it out.") from error
