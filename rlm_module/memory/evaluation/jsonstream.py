"""The objects of a large JSON file, one at a time."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from rlm_module.errors import InputError

_PART = 1 << 20
_LONGEST = 256 << 20
_BETWEEN = re.compile(r"[\s,]*")
_NEAR_END = 16


def json_objects(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a file that is a JSON list of them, or has one on each line.

    Holds one object at a time, and some text beyond it.

    Args:
        path: The file.

    Raises:
        InputError: If the file cannot be read, ends too early, or is something else.
    """
    try:
        with path.open(encoding="utf-8-sig") as file:
            yield from _Reader(file, path).objects()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); check the path.") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text; download it again, or convert it.") from error


class _Reader:
    """A window on the file's text, which grows until it holds a whole object."""

    def __init__(self, file: TextIO, path: Path) -> None:
        self._file, self._path = file, path
        self._text, self._at = "", 0
        self._is_over = False
        self._count = 0

    def objects(self) -> Iterator[dict[str, Any]]:
        is_list = self._next_char() == "["
        if is_list:
            self._at += 1
        elif self._next_char() != "{":
            raise InputError(f"{self._path} is no list of JSON objects; name a file in LongMemEval's form.")
        while (char := self._next_char()) == "{":
            yield self._object()
            self._count += 1
        if char == "" and is_list:
            raise self._cut_off()
        if char != ("]" if is_list else ""):
            raise self._broken(f"{char!r} stands where an object should begin")

    def _next_char(self) -> str:
        """The next character that is no space or comma; empty at the end of the file."""
        while True:
            match = _BETWEEN.match(self._text, self._at)
            self._at = match.end() if match else self._at
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._grow(_PART):
                return ""

    def _object(self) -> dict[str, Any]:
        while True:
            try:
                value, self._at = json.JSONDecoder().raw_decode(self._text, self._at)
                return value
            except json.JSONDecodeError as error:
                # Where the text merely ends too early, the fault is at its end, or a string that has no end.
                is_open = error.msg.startswith("Unterminated") or error.pos >= len(self._text) - _NEAR_END
                if not is_open:
                    raise self._broken(error.msg) from None
                if len(self._text) - self._at > _LONGEST:
                    raise self._broken(f"it is longer than {_LONGEST >> 20} MiB") from None
                if not self._grow(max(_PART, len(self._text) - self._at)):  # doubling keeps the work linear
                    raise self._cut_off() from None
            except RecursionError:
                raise self._broken("it is nested too deeply") from None

    def _grow(self, chars: int) -> bool:
        """Reads on, and drops what is done with."""
        more = self._file.read(chars)
        self._text, self._at = self._text[self._at :] + more, 0
        return bool(more)

    def _cut_off(self) -> InputError:
        return InputError(f"{self._path} is cut off after {self._count:,} whole objects; download it again.")

    def _broken(self, fault: str) -> InputError:
        return InputError(f"{self._path} is no valid JSON: object {self._count + 1:,}: {fault}; mend the file.")
