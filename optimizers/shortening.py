"""Long texts made short: both ends stay, and what is left out is counted."""

from __future__ import annotations

_OF_ERRORS = ("error", "exception", "warning", "fail", "refused", "invalid", "missing")
_ERROR_LINES, _ERROR_CHARS = 2, 100
_COUNTED = 200  # room from which on it is told how much of a text is left out


def ends(text: str, room: int) -> str:
    """The text, without its middle where it is longer than `room` characters."""
    if len(text) <= room:
        return text
    mark = f" ... [{len(text) - room:,} characters left out] ... " if room >= _COUNTED else " ... "
    left = room - len(mark)
    if left < 2 * len(mark):
        return text[: max(0, room)]
    tail = left * 2 // 5
    return f"{text[: left - tail]}{mark}{text[len(text) - tail :]}"


def one_line(text: str, room: int) -> str:
    """The same on one line."""
    return " ".join(ends(text, room).split())


def gist(text: str, room: int) -> str:
    """Both ends of a text, and of what has to be left out between them the first lines that speak of an error."""
    if len(text) <= room or room < 2 * _COUNTED:
        return ends(text, room)
    shown = _error_lines(text, room // 3, len(text) - room // 3)
    between = "".join(f"\n... {line}" for line in shown)
    if not between:
        return ends(text, room)
    left = room - len(between) - 5
    tail = left * 2 // 5
    return f"{text[: left - tail]}{between}\n... {text[len(text) - tail :]}"


def _error_lines(text: str, begin: int, end: int) -> list[str]:
    low = text.lower()
    if len(low) != len(text):  # of some letters the small one is two
        return []
    found = dict[int, str]()
    for word in _OF_ERRORS:
        at = low.find(word, begin, end)
        if at >= 0:
            first = text.rfind("\n", begin, at) + 1 or max(begin, at - _ERROR_CHARS // 2)
            last = text.find("\n", at, at + _ERROR_CHARS)
            found[first] = text[first : last if last > 0 else at + _ERROR_CHARS // 2][:_ERROR_CHARS]
    return [found[first] for first in sorted(found)][:_ERROR_LINES]
