"""Learned advice, item by item, so that what does harm can be taken out of a text that is good otherwise."""

from __future__ import annotations

import re

_ITEM = re.compile(r"\s{0,3}(?:[-*+•]|\d{1,3}[.)]|#{1,6})\s")


def items(text: str) -> list[str]:
    """A text in items: points of a list with the lines that go on with them, headings, and paragraphs."""
    found: list[list[str]] = []
    begins = True
    for line in text.splitlines():
        if not line.strip():
            begins = True
            if found:
                found[-1].append(line)
            continue
        if begins or _ITEM.match(line) or not found:
            found.append([])
        found[-1].append(line)
        begins = False
    return ["\n".join(lines) for lines in found]


def learned(text: str, original: str) -> list[str]:
    """The items of a text that its original does not have, the last ones first."""
    old = {" ".join(item.split()) for item in items(original)}
    return [item for item in reversed(items(text)) if " ".join(item.split()) not in old]


def without(text: str, item: str) -> str:
    """The text without one of its items."""
    left = items(text)
    left.remove(item)
    return "\n".join(left).strip()
