"""How much memory a value takes in the sandbox, and how much a process has."""

from __future__ import annotations

import dataclasses
import os
import subprocess
from pathlib import Path
from typing import Any

_CODE_POINTS = 1 << 20
_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


def need(value: Any) -> int:
    """Bytes of sandbox memory that loading a value takes at its peak: its encoded form and the decoded text.

    A Python str takes 1, 2 or 4 bytes for each character, by its widest one. Only text is counted, for only text gets
    large enough to matter; inside lists and dicts it crosses as JSON, in which other letters than ASCII are escapes.
    """
    if isinstance(value, str):
        return _text_need(value)
    needed, waiting = 0, [value]
    seen: set[int] = set()  # a container that holds itself is refused later, by the codec
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            needed += _text_need(item) if item.isascii() else _text_need(item) + 12 * len(item)
        elif isinstance(item, (bytes, bytearray)):
            needed += 2 * len(item)
        elif hasattr(type(item), "sandbox_value"):
            waiting.append(item.sandbox_value())
        elif dataclasses.is_dataclass(item) and not isinstance(item, type) and id(item) not in seen:
            seen.add(id(item))
            waiting.extend(getattr(item, field.name) for field in dataclasses.fields(item))
        elif isinstance(item, (dict, list, tuple, set, frozenset)) and id(item) not in seen:
            seen.add(id(item))
            if isinstance(item, dict):  # not item.items(): a Record's field may have that name
                waiting.extend(dict.values(item))
            waiting.extend(item)
    return needed


def _text_need(text: str) -> int:
    if text.isascii():
        return 2 * len(text)
    width, encoded = 1, 0
    for start in range(0, len(text), _CODE_POINTS):
        piece = text[start : start + _CODE_POINTS]
        encoded += len(piece.encode("utf-8", "surrogatepass"))
        widest = max(piece)
        width = max(width, 1 if widest <= "\xff" else 2 if widest <= "\uffff" else 4)
    return encoded + width * len(text)


def resident(pid: int) -> int:
    """Resident memory of a process in bytes; 0 once it is gone."""
    statm = Path(f"/proc/{pid}/statm")
    try:
        return int(statm.read_text().split()[1]) * _PAGE
    except (OSError, IndexError):
        pass
    if Path("/proc/self").exists():
        return 0
    shown = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return int(shown.stdout.strip() or 0) * 1024
