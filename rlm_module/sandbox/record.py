"""What a structure of named fields becomes when it crosses between host and sandbox. Both sides run this file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Record(dict[str, Any]):
    """A pydantic model, dataclass or other named structure on the far side: fields by attribute and by key.

    A field named like a dict method wins as attribute; `type_name` is the original class's name. Where that class has
    `sandbox_repr_chars`, the repr is no longer than that, however much there is to read in the fields.
    """

    type_name: str
    repr_chars: int

    def __init__(self, type_name: str, fields: Mapping[str, Any], repr_chars: int = 0) -> None:
        super().__init__(fields)
        object.__setattr__(self, "type_name", type_name)
        object.__setattr__(self, "repr_chars", repr_chars)

    def __getattribute__(self, name: str) -> Any:
        if not name.startswith("__") and dict.__contains__(self, name):
            return dict.__getitem__(self, name)
        return super().__getattribute__(name)

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __repr__(self) -> str:
        fields = ", ".join(f"{key}={value!r}" for key, value in dict.items(self))
        name, limit = (object.__getattribute__(self, own) for own in ("type_name", "repr_chars"))
        text = f"{name}({fields})"
        return text if not limit or len(text) <= limit else f"{text[: limit - 4]}...)"

    def __reduce__(self) -> tuple[Any, ...]:
        name, limit = (object.__getattribute__(self, own) for own in ("type_name", "repr_chars"))
        return Record, (name, dict(dict.items(self)), limit)


def plain(value: Any) -> Any:
    """The same value with every `Record` in it as a dict, the form that validators take."""
    if isinstance(value, dict):  # not value.items(): a Record's field may have that name
        return {plain(key): plain(item) for key, item in dict.items(value)}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return tuple(plain(item) for item in value)
    if isinstance(value, (list, tuple)):
        return type(value)(plain(item) for item in value)
    return value
