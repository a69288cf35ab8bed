"""An event as one line of JSON, and back. The fields are those of the event's class, by their type hints.

A value that JSON does not hold exactly stands as `{"$": text}`, the text being that of `sandbox.codec`. Lines are
ASCII, so that no text can end one early and a line cut off anywhere is seen to be.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import types
from collections.abc import Mapping
from typing import Any, NoReturn, Union, cast, get_args, get_origin, get_type_hints

from rlm_module.errors import InputError
from rlm_module.events import AnyEvent
from rlm_module.prompting.shown import without_secrets
from rlm_module.sandbox.codec import decode, encode_as_text
from rlm_module.sandbox.host_calls import to_plain

SCHEMA = 1

# What a resumed run acts on or compares stays as it was: code that runs again, answers that code gets again, replies
# that may have to be read again, outputs. The rest is for people and for the model's eyes and can lose a credential.
BLOTTED = frozenset({"instructions", "inputs", "messages", "error", "reasoning", "arguments", "summary", "what"})

_KINDS: dict[str, type[AnyEvent]] = {kind.tag: kind for kind in get_args(AnyEvent)}


class BrokenLine(ValueError):
    """A whole line that is no event."""


class TornLine(ValueError):
    """What is left of a line that was cut off while it was written."""


def to_line(event: AnyEvent, secrets: tuple[str, ...] = ()) -> bytes:
    """An event as a line with its newline. Never fails: a value that cannot be stored stands as its repr.

    Args:
        event: What happened.
        secrets: Credentials to blot out of the fields in `BLOTTED`; the longest first.
    """
    parts = [f'"v":{SCHEMA}', f'"tag":{json.dumps(event.tag)}']
    for name, hint in _hints(type(event)).items():
        value = getattr(event, name)
        if name == "error" and isinstance(value, str):  # providers repeat the key that they refuse
            value = without_secrets(value)
        if name in BLOTTED and secrets:
            value = _blotted(value, secrets)
        parts.append(f"{json.dumps(name)}:{_dump(value, hint)}")
    return f"{{{','.join(parts)}}}\n".encode("ascii")


def from_line(line: bytes) -> AnyEvent | None:
    """The event of a line; None if this version knows no event of that kind.

    Raises:
        TornLine: If it is no whole JSON value.
        BrokenLine: If it is one, but no event.
        InputError: If a newer version of this package wrote it.
    """
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise TornLine(str(error)) from None
    if not isinstance(found, dict):
        raise BrokenLine("it is no JSON object")
    raw = cast("dict[str, Any]", found)
    version = raw.get("v")
    if type(version) is not int or version < 1:
        raise BrokenLine("it does not say which schema it follows")
    if version > SCHEMA:
        raise InputError(
            f"it was written by a newer rlm-module (schema {version}, this one reads up to {SCHEMA}); "
            "upgrade rlm-module to read it."
        )
    kind = _KINDS.get(raw["tag"]) if isinstance(raw.get("tag"), str) else None
    if kind is None:
        if isinstance(raw.get("tag"), str):
            return None
        raise BrokenLine("it has no tag")
    try:
        return cast("AnyEvent", _load_fields(raw, kind))
    except (ValueError, TypeError, ArithmeticError, RecursionError) as error:
        raise BrokenLine(str(error)) from None


@functools.cache
def _hints(kind: type[Any]) -> Mapping[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


def _parts(hint: Any) -> tuple[Any, bool]:
    """A type without its None, and whether it had one."""
    if get_origin(hint) not in (Union, types.UnionType):
        return hint, False
    kinds = [kind for kind in get_args(hint) if kind is not types.NoneType]
    return (kinds[0] if len(kinds) == 1 else Any), len(kinds) < len(get_args(hint))


def _dump(value: Any, hint: Any) -> str:
    if value is None:
        return "null"
    hint, _ = _parts(hint)
    if dataclasses.is_dataclass(hint) and isinstance(value, cast("type[Any]", hint)):
        fields = _hints(cast("type[Any]", hint)).items()
        return f"{{{','.join(f'{json.dumps(name)}:{_dump(getattr(value, name), kind)}' for name, kind in fields)}}}"
    if get_origin(hint) is tuple and isinstance(value, tuple | list):
        return f"[{','.join(_dump(item, get_args(hint)[0]) for item in cast('list[Any]', value))}]"
    if get_origin(hint) is Mapping and isinstance(value, Mapping):
        return _dump_mapping(cast("Mapping[Any, Any]", value), get_args(hint)[1])
    return _dump_leaf(value, hint)


def _dump_mapping(value: Mapping[Any, Any], hint: Any) -> str:
    """An object, or pairs where a key is one that an object does not hold exactly."""
    try:
        items = [(key, _dump_leaf(key, Any), _dump(item, hint)) for key, item in list(value.items())]
    except Exception:  # a mapping of the user's may do anything when it is looked at
        return _dump_leaf(value, Any)
    if all(type(key) is str and key != "$" and text.startswith('"') for key, text, _ in items):
        return f"{{{','.join(f'{key}:{item}' for _, key, item in items)}}}"
    return f"[{','.join(f'[{key},{item}]' for _, key, item in items)}]"


def _dump_leaf(value: Any, hint: Any) -> str:
    try:
        if hint in (int, float) and type(value) is not hint:
            value = hint(value)
        text = encode_as_text(value, to_plain)
    except Exception:
        text = encode_as_text(_repr(value))
    return text[1:] if text.startswith("J") and _is_strict(text) else f'{{"$":{json.dumps(text)}}}'


def _is_strict(text: str) -> bool:
    """Whether it is JSON to every reader: Python's own also writes and reads NaN and the infinities."""
    if "NaN" not in text and "Infinity" not in text:
        return True
    try:
        json.loads(text[1:], parse_constant=_refuse)
    except ValueError:
        return False
    return True


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


def _repr(value: Any) -> str:
    try:
        return repr(value)
    except Exception:
        return f"<{type(value).__name__}>"


def _load_fields(raw: Any, kind: type[Any]) -> Any:
    if not isinstance(raw, dict):
        raise BrokenLine(f"its {kind.__name__} is no object")
    found = cast("dict[str, Any]", raw)
    values: dict[str, Any] = {}
    for name, hint in _hints(kind).items():
        if name in found:
            try:
                values[name] = _load(found[name], hint)
            except (ValueError, TypeError, ArithmeticError, RecursionError) as error:
                raise BrokenLine(f"its {name!r} cannot be read ({str(error)[:200]})") from None
    try:
        return kind(**values)
    except TypeError:
        raise BrokenLine(f"a field of {kind.__name__} is missing") from None


def _load(raw: Any, hint: Any) -> Any:
    hint, is_optional = _parts(hint)
    if raw is None and (is_optional or hint is Any):
        return None
    if dataclasses.is_dataclass(hint):
        return _load_fields(raw, cast("type[Any]", hint))
    if get_origin(hint) is tuple and isinstance(raw, list):
        return tuple(_load(item, get_args(hint)[0]) for item in cast("list[Any]", raw))
    if get_origin(hint) is Mapping:
        return _load_mapping(raw, get_args(hint)[1])
    return _checked(_load_leaf(raw), hint)


def _load_mapping(raw: Any, hint: Any) -> dict[Any, Any]:
    if isinstance(raw, list):
        return {_load_leaf(key): _load(item, hint) for key, item in cast("list[Any]", raw)}
    if isinstance(raw, dict):
        return {key: _load(item, hint) for key, item in cast("dict[str, Any]", raw).items()}
    raise BrokenLine("it is no mapping")


def _load_leaf(raw: Any) -> Any:
    if isinstance(raw, dict):
        found = cast("dict[str, Any]", raw)
        if found.keys() == {"$"} and isinstance(found["$"], str):
            return decode(found["$"].encode("utf-8", "surrogatepass"))
    return raw


def _checked(value: Any, hint: Any) -> Any:
    """The value if it is of the type; of a Literal only that it is text, as a later version may know more words."""
    if hint is Any:
        return value
    if hint is float and type(value) in (int, float):
        return float(value)
    if type(value) is hint or (hint not in (bool, int, float) and isinstance(value, str)):
        return value
    raise BrokenLine(f"it is of type {type(value).__name__}")


def _blotted(value: Any, secrets: tuple[str, ...]) -> Any:
    if isinstance(value, str):
        for secret in secrets:
            value = value.replace(secret, "[secret]")
        return value
    if isinstance(value, Mapping):
        return {key: _blotted(item, secrets) for key, item in cast("Mapping[Any, Any]", value).items()}
    if type(value) in (list, tuple):
        return [_blotted(item, secrets) for item in value]
    return value
