"""What the model is told of an input before it has looked: name, type, size and a glimpse, at a bounded cost."""

from __future__ import annotations

import dataclasses
import re
import reprlib
from collections.abc import Mapping, Sized
from typing import Any

import dspy
import pydantic
from dspy.primitives.sandbox_serializable import SandboxSerializable
from pydantic.fields import FieldInfo

from rlm_module.prompting.shown import encodable, harmless
from rlm_module.signatures.inputs import SandboxInput

PREVIEW_CHARS = 1_000
_TICKS = re.compile("`+")


def introduction(task: type[dspy.Signature], inputs: Mapping[str, Any]) -> str:
    """The first request of a run: what is asked, and a glimpse of each input."""
    described = (describe_input(name, inputs[name], field) for name, field in task.input_fields.items())
    return "\n".join([encodable(task.instructions), "", "Inputs, as variables of the REPL:", *described])


def describe_input(name: str, value: object, field: FieldInfo) -> str:
    """An input as a list item of the request: what it is, the field's own description, and a preview."""
    if isinstance(value, SandboxSerializable) and not isinstance(value, SandboxInput):
        return harmless(f"- {value.to_repl_variable(name, field_info=field).format()}")
    notes = "".join(f" {note}" for note in field_notes(name, field))
    preview = value.rlm_preview(2 * PREVIEW_CHARS) if isinstance(value, SandboxInput) else _preview(value)
    ticks = "`" * max(3, 1 + max(map(len, _TICKS.findall(preview)), default=0))
    return harmless(f"- `{name}` ({one_line(value)}){':' if notes else ''}{notes}\n{ticks}\n{preview}\n{ticks}")


def field_notes(name: str, field: FieldInfo) -> list[str]:
    """The description and the constraints that a signature's field carries, as sentences."""
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    notes = [str(extra.get("desc") or ""), str(extra.get("constraints") or "")]
    if notes[0] == f"${{{name}}}":  # dspy's stand-in for no description
        notes[0] = ""
    return [note if note.endswith((".", "!", "?")) else f"{note}." for note in notes if note]


def glimpse(value: object) -> str:
    """A repr of bounded length, whatever the value is."""
    try:
        return _glimpse.repr(value)
    except Exception as error:
        return f"<{type(value).__name__}, which cannot be shown: {type(error).__name__}>"


def one_line(value: object) -> str:
    """Type and size, also for records of a run, which must not hold the input itself."""
    kind = type(value).__name__
    if isinstance(value, SandboxInput):
        count, what = value.size()
        return f"{kind}, {count:,} {what}"
    if isinstance(value, str):
        return f"{kind}, {len(value):,} characters"
    if isinstance(value, (bytes, bytearray)):
        return f"{kind}, {len(value):,} bytes"
    if isinstance(value, Sized):
        return f"{kind}, {len(value):,} items"
    return kind


def _preview(value: object) -> str:
    if not isinstance(value, str):
        return _ends(_glimpse.repr(value))
    if len(value) <= PREVIEW_CHARS:
        return value
    half = PREVIEW_CHARS // 2
    return f"{value[:half]}\n... [{len(value) - 2 * half:,} characters between] ...\n{value[-half:]}"


def _ends(text: str) -> str:
    return text if len(text) <= 2 * PREVIEW_CHARS else f"{text[: 2 * PREVIEW_CHARS]} ..."


class _Glimpse(reprlib.Repr):
    """A repr of bounded length that never walks through, or makes text of, more than it shows."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 4
        self.maxlist = self.maxtuple = self.maxset = self.maxfrozenset = self.maxdeque = self.maxarray = 8
        self.maxdict = 12
        self.maxstring = 160
        self.maxother = 160

    def repr_str(self, x: str, level: int) -> str:
        shown = x if len(x) <= self.maxstring else f"{x[: self.maxstring // 2]} ... {x[-self.maxstring // 2 :]}"
        return repr(shown)

    def repr_bytes(self, x: bytes, level: int) -> str:
        return repr(x[: self.maxother]) + (" ..." if len(x) > self.maxother else "")

    def repr_int(self, x: int, level: int) -> str:
        return repr(x) if x.bit_length() <= 512 else f"<int of {x.bit_length():,} bits>"

    def repr_instance(self, x: object, level: int) -> str:
        fields = None if isinstance(x, SandboxInput) else _fields(x)
        if fields is None:
            return super().repr_instance(x, level)
        if level <= 0:
            return f"{type(x).__name__}(...)"
        shown = [f"{name}={self.repr1(value, level - 1)}" for name, value in list(fields.items())[: self.maxdict]]
        return f"{type(x).__name__}({', '.join([*shown, *(['...'] if len(fields) > len(shown) else [])])})"


def _fields(value: object) -> Mapping[str, Any] | None:
    if isinstance(value, pydantic.BaseModel):
        return {name: getattr(value, name) for name in type(value).model_fields}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    return None


_glimpse = _Glimpse()
