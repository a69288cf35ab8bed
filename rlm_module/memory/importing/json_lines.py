"""JSON lines, each a session or a message."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Mapping
from os import PathLike
from typing import Any

from rlm_module.errors import InputError
from rlm_module.memory.importing.collecting import Collection, Read, Said
from rlm_module.memory.importing.json_files import lines, listed, mapping

_TIMES = ("started_at", "ts", "timestamp", "created_at", "time", "date")
_IDS = ("session_id", "id", "session")


def read_json_lines(path: str | PathLike[str], *, zone: dt.tzinfo = dt.UTC) -> Read:
    """Reads a file.

    A line is a session, with `id`, `started_at` and `turns` (or `messages`); or a message, with `session_id`, `role`,
    `text` (or `content`) and `ts`. Messages of one session stand together. Times may also be called `timestamp`,
    `created_at`, `time` or `date`.

    Args:
        path: The file.
        zone: Where times that name no zone are read.

    Raises:
        InputError: If a line is neither, or a turn has no text.
    """
    collection = Collection(path, zone)
    read = ((number, mapping(value, f"Line {number} of {path}")) for number, value in lines(path))
    for (name, is_session), group in itertools.groupby(read, lambda line: _key(*line, path)):
        if is_session:
            for number, session in group:
                turns = listed(session.get("turns", session.get("messages")), f"`turns` in line {number} of {path}")
                said = [
                    _said(mapping(turn, f"A turn in line {number} of {path}"), number, collection) for turn in turns
                ]
                collection.add(name, _time(session), said)
        else:
            collection.add(name, None, [_said(message, number, collection) for number, message in group])
    return collection.read()


def _key(number: int, value: Mapping[str, Any], path: object) -> tuple[str, bool]:
    """The id of a line's session, and whether it is the whole session."""
    is_session = "turns" in value or "messages" in value
    names = _IDS if is_session else ("session_id", "session")
    name = next((value[key] for key in names if value.get(key) is not None), None)
    if name is None:
        raise InputError(f"Line {number} of {path} names no session; give it `session_id`.")
    return str(name), is_session


def _said(turn: Mapping[str, Any], number: int, collection: Collection) -> Said:
    return Said(turn.get("role"), collection.text_of(turn, f"A turn in line {number}"), _time(turn))


def _time(value: Mapping[str, Any]) -> Any:
    return next((value[key] for key in _TIMES if value.get(key) is not None), None)
