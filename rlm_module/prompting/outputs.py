"""Checks what a run submits against the signature's output fields, and names every fault for the model to mend."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import dspy
import pydantic
from dspy.adapters.utils import annotation_allows_none, parse_value
from pydantic.fields import FieldInfo

from rlm_module.errors import describe
from rlm_module.host.tools import type_text
from rlm_module.prompting.previews import glimpse
from rlm_module.prompting.prose import value_in_prose
from rlm_module.prompting.shown import clip
from rlm_module.sandbox.record import plain
from rlm_module.signatures.grounded import ungrounded

_TEXTLESS = (type(None), list, tuple, dict, set, frozenset, bytes, bytearray)
_SHOWN_CHARS = 200
_MAX_RANGE = 1_000_000


@dataclass(frozen=True, slots=True)
class Accepted:
    """Outputs that fit the signature, as values of its types."""

    values: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Refused:
    """Outputs that don't fit.

    Args:
        faults: One sentence a fault, naming the field.
    """

    faults: tuple[str, ...]


def check_outputs(
    task: type[dspy.Signature], inputs: Mapping[str, Any], submitted: Mapping[str, Any], *, drawn_up: bool = False
) -> Accepted | Refused:
    """Validates submitted values by the fields' types, constraints and validators, and against the inputs.

    Args:
        task: The RLM's signature.
        inputs: The run's inputs, which validators of the whole signature may look at.
        submitted: Values by output name.
        drawn_up: Whether they come from the record of a run that has ended, so that nobody is left to mend them;
            validators find it in their `info.context`.
    """
    fields = task.output_fields
    faults = [f"`{name}` is no output." for name in submitted if name not in fields]
    values: dict[str, Any] = {}
    for name, field in fields.items():
        if name not in submitted:
            if field.is_required() and not annotation_allows_none(field.annotation):
                faults.append(f"`{name}` is missing.")
            else:
                values[name] = None if field.is_required() else field.get_default(call_default_factory=True)
            continue
        try:
            values[name] = to_type(submitted[name], field.annotation)
        except Exception as error:  # validators are the user's, and may raise anything
            faults.append(_fault(name, field, submitted[name], error))
    if not faults:
        faults = _validate(task, inputs, values, {"drawn_up": drawn_up}) or ungrounded(inputs, values)
    return Refused(tuple(faults)) if faults else Accepted({name: values[name] for name in fields})


def to_type(value: Any, annotation: Any) -> Any:
    """A submitted value as the type of its field; one that has it already stays as it is.

    Raises:
        ValueError: If it cannot be one, or it is prose that states no such value, or several.
    """
    value = plain(value)
    if isinstance(value, range) and len(value) > _MAX_RANGE:
        raise ValueError(f"submit a range of at most {_MAX_RANGE:,} numbers")
    if _has_type(value, annotation):
        return value
    if annotation is str and isinstance(value, _TEXTLESS):
        raise ValueError("submit text")
    try:
        return parse_value(str(value) if isinstance(value, Decimal) and annotation is str else value, annotation)
    except ValueError as error:
        if not isinstance(value, str):
            raise
        try:
            return value_in_prose(value, annotation)
        except TypeError:
            raise error from None


def _has_type(value: Any, annotation: Any) -> bool:
    """Whether the value is valid without any conversion."""
    if annotation is Any:  # a class by now, but one that isinstance refuses
        return True
    if annotation is str:
        return isinstance(value, str)
    try:
        pydantic.TypeAdapter(annotation).validate_python(value, strict=True)
    except (pydantic.ValidationError, pydantic.errors.PydanticUserError):
        return False
    return isinstance(annotation, type) and isinstance(value, annotation)


def _validate(
    task: type[dspy.Signature], inputs: Mapping[str, Any], values: dict[str, Any], context: dict[str, Any]
) -> list[str]:
    """Runs the signature's own constraints and validators over the values, which they may change."""
    faults: list[str] = []
    candidate = task.model_construct(**inputs, **values)
    for name, value in list(values.items()):
        try:
            task.__pydantic_validator__.validate_assignment(candidate, name, value, context=context)
        except Exception as error:  # see above
            faults.append(_whole_fault(error) or _fault(name, task.output_fields[name], value, error))
        else:
            values[name] = getattr(candidate, name)
    return list(dict.fromkeys(faults))


def _whole_fault(error: Exception) -> str:
    """What a validator of the whole signature says, which it does for each of the outputs; else nothing."""
    found = error.errors(include_url=False) if isinstance(error, pydantic.ValidationError) else []
    if not found or any(item["loc"] for item in found):
        return ""
    text = "; ".join(item["msg"].removeprefix("Value error, ") for item in found[:5])
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def _fault(name: str, field: FieldInfo, value: Any, error: Exception) -> str:
    if isinstance(error, pydantic.ValidationError):
        details = "; ".join(
            f"{'.'.join(str(part) for part in item['loc'] if part != name)} {item['msg']}".strip()
            for item in error.errors(include_url=False)[:5]
        )
    else:
        details = clip(describe(error), _SHOWN_CHARS)
    given = f"{type(value).__name__} {clip(glimpse(value), _SHOWN_CHARS)}"
    return f"`{name}`: expected {type_text(field.annotation)}, got {given} ({details})."
