"""Typed sub-calls, the host's half: a dspy.Signature from a description that generated code sent, and its answer back
as plain values.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import dspy
import pydantic
from dspy.signatures.signature import make_signature
from dspy.utils.constants import IS_TYPE_UNDEFINED

from rlm_module.errors import SubcallError
from rlm_module.host.typed_models import Model, build_models, build_type, description
from rlm_module.host.typed_spec import Slot, Spec, canonical, read
from rlm_module.prompting.shown import harmless
from rlm_module.sandbox.record import Record

_MAX_INSTRUCTIONS = 50_000
_MAX_SCHEMAS = 400_000
_KEPT_SIGNATURES = 64
# What a predictor's call, which takes the inputs by keyword, keeps for itself.
_RESERVED_INPUTS = frozenset({"signature", "new_signature", "demos", "config", "lm", "prediction"})


def signature_from(spec: Any, instructions: Any = None) -> type[dspy.Signature]:
    """The signature that a description describes; the same class for the same description.

    Args:
        spec: What `Described.spec` gave, or anything else that the sandbox chose to send.
        instructions: Of the task; dspy's own where there are none.

    Raises:
        SubcallError: If it is no such description, or one that is too large.
    """
    if instructions is not None and not isinstance(instructions, str):
        raise SubcallError("invalid", f"instructions are text, not {type(instructions).__name__}; pass a str")
    if len(instructions or "") > _MAX_INSTRUCTIONS:
        raise SubcallError("invalid", f"the instructions exceed {_MAX_INSTRUCTIONS:,} characters; shorten them")
    return _signature(canonical(spec), harmless(instructions or "").strip())


def plain_inputs(given: Any, signature: type[dspy.Signature]) -> dict[str, Any]:
    """The inputs of a call as values that a prompt may show.

    Args:
        given: Values by input name, from the sandbox.
        signature: Whose inputs they are.

    Raises:
        SubcallError: If one is missing or unknown, or is itself a sub-call that failed.
    """
    check_inputs(given, signature)
    try:
        return {name: _showable(dict.__getitem__(given, name), name) for name in signature.input_fields}
    except RecursionError:
        raise SubcallError("invalid", "an input is nested too deeply; pass a flatter value") from None


def check_inputs(given: Any, signature: type[dspy.Signature]) -> None:
    """Refuses inputs that are not those of the signature.

    Raises:
        SubcallError: If one is missing or unknown.
    """
    if not isinstance(given, dict) or given.keys() != signature.input_fields.keys():
        raise SubcallError(
            "invalid", f"the call takes exactly the inputs {', '.join(signature.input_fields)}; give them"
        )


def plain_outputs(prediction: Mapping[str, Any] | dspy.Prediction, signature: type[dspy.Signature]) -> dict[str, Any]:
    """A predictor's answer as plain values for the codec, which the sandbox makes its own types of.

    A record is a `Record` of its class's name, without the fields that the LM left out.

    Args:
        prediction: What the predictor returned.
        signature: The one that it was asked with.
    """
    return {name: _plain(prediction[name]) for name in signature.output_fields}


def _plain(value: Any) -> Any:
    if isinstance(value, Model):
        fields = type(value).model_fields
        given = [name for name in fields if name in value.model_fields_set]
        return Record(type(value).__name__, {str(fields[name].alias): _plain(getattr(value, name)) for name in given})
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(_plain(item) for item in value)
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _showable(value: Any, name: str) -> Any:
    if isinstance(value, str):
        return harmless(value)
    if isinstance(value, dict):
        pairs = dict.items(value)
        return {_showable_key(key, name): _showable(item, name) for key, item in pairs}
    if isinstance(value, (list, tuple)):
        return [_showable(item, name) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted((_showable(item, name) for item in value), key=repr)
    if isinstance(value, (bytes, bytearray)):
        raise SubcallError("invalid", f"the input `{name}` holds bytes, which an LM cannot read; decode them to text")
    if isinstance(value, SubcallError):
        raise SubcallError("invalid", f"the input `{name}` holds a sub-call that failed; leave out failed items first")
    return value


def _showable_key(key: Any, name: str) -> Any:
    shown = _showable(key, name)
    return shown if isinstance(shown, (str, int, float, bool, type(None))) else harmless(str(key))


@lru_cache(_KEPT_SIGNATURES)
def _signature(text: str, instructions: str) -> type[dspy.Signature]:
    spec = read(text)
    for slot in (*spec.inputs, *spec.outputs):
        _check_name(slot.name, slot in spec.inputs)
    try:
        fields = _fields(spec)
        size = sum(len(json.dumps(pydantic.TypeAdapter(kind).json_schema())) for kind, _ in fields.values())
    except Exception as error:  # whatever pydantic makes of it
        raise SubcallError(
            "invalid", f"the types cannot be used here ({type(error).__name__}); use plainer ones"
        ) from None
    if size > _MAX_SCHEMAS:
        raise SubcallError("invalid", f"the types' schemas take {size:,} characters of the prompt; use fewer types")
    return make_signature(fields, instructions or None)


def _fields(spec: Spec) -> dict[str, tuple[Any, Any]]:
    models = build_models(spec)
    fields: dict[str, tuple[Any, Any]] = {}
    for slot in spec.inputs:
        # Inputs are shown as they are, so that dspy need not warn where one has not the type.
        field = dspy.InputField(**_desc(slot), **{IS_TYPE_UNDEFINED: True})
        fields[slot.name] = build_type(slot.type, spec, models), field
    for slot in spec.outputs:
        fields[slot.name] = build_type(slot.type, spec, models), dspy.OutputField(**_desc(slot))
    return fields


def _desc(slot: Slot) -> dict[str, str]:
    desc = description(slot)
    return {"desc": desc} if desc else {}


def _check_name(name: str, is_input: bool) -> None:
    if hasattr(dspy.Signature, name) or (is_input and name in _RESERVED_INPUTS):
        raise SubcallError("invalid", f"the field `{name}` has a name that dspy uses itself; rename it")
