"""dspy's adapters as the root's predictors use them: one paid call, a parser that loses no code, demos as turns."""

from __future__ import annotations

import copy
import inspect
import types
from collections.abc import Callable, Mapping
from typing import Any

import dspy
from dspy.adapters import ChatAdapter
from dspy.predict.refine import Refine
from dspy.utils.callback import with_callbacks

from rlm_module.prompting.demos import shown_turns
from rlm_module.prompting.outputs import to_type
from rlm_module.prompting.reply import extract_code, read_reply


def current_adapter() -> dspy.Adapter:
    """The adapter dspy is configured with, as a copy that never falls back to another one at the price of a call."""
    configured = dspy.settings.adapter or ChatAdapter()
    adapter = copy.copy(_refining(configured).get("adapter", configured))
    if isinstance(adapter, ChatAdapter):
        adapter.use_json_adapter_fallback = False
    return adapter


def advice_for(signature: type[dspy.Signature]) -> str:
    """What `dspy.Refine` advises the predictor of that signature, after an attempt that was not good enough.

    It hands its advice on by wrapping the configured adapter. The wrapper would undo what is done to adapters here, and
    look for the advice under the signature of the call, which is composed for it.
    """
    known = _refining(dspy.settings.adapter)
    advice, names = known.get("advice"), known.get("signature2name")
    given = advice.get(names.get(signature)) if isinstance(advice, dict) and isinstance(names, dict) else None
    return given if isinstance(given, str) and given.strip().upper() != "N/A" else ""


def _refining(adapter: Any) -> Mapping[str, Any]:
    """What the wrapper of `dspy.Refine` holds; nothing for any other adapter."""
    if type(adapter).__module__ != Refine.__module__:
        return {}
    return inspect.getclosurevars(inspect.unwrap(type(adapter).__call__)).nonlocals


def turn_adapter() -> dspy.Adapter:
    """The same for turns: it finds the code in any reply, and shows demos as the beginning of the conversation."""
    adapter = current_adapter()
    adapter.parse = types.MethodType(_PARSE_TURN, adapter)
    adapter.format_demos = types.MethodType(_format_demos, adapter)
    return adapter


def outputs_adapter() -> dspy.Adapter:
    """The same for the outputs of a task: it also takes a typed value that is wrapped in prose."""
    adapter = current_adapter()
    adapter.parse = types.MethodType(_PARSE_OUTPUTS, adapter)
    return adapter


def _parse_turn(self: dspy.Adapter, signature: type[dspy.Signature], completion: str) -> dict[str, Any]:
    """Takes a turn's reply apart. A reply without code is a turn, too; the loop reminds the model."""
    original = inspect.unwrap(type(self).parse)
    if original is not inspect.unwrap(ChatAdapter.parse):
        try:
            fields = original(self, signature, completion)
            return {**fields, "code": extract_code(fields.get("code"))}
        except dspy.AdapterParseError:
            pass  # its shape is another; it may hold code all the same
    reply = read_reply(completion)  # ChatAdapter would end the code at a field header in one of its strings
    return {"reasoning": reply.reasoning, "code": reply.code}


def _parse_outputs(self: dspy.Adapter, signature: type[dspy.Signature], completion: str) -> dict[str, Any]:
    original = inspect.unwrap(type(self).parse)
    try:
        return dict(original(self, signature, completion))
    except dspy.AdapterParseError as error:
        as_text = signature
        for name in signature.output_fields:
            as_text = as_text.with_updated_fields(name, type_=str)
        texts = original(self, as_text, completion)
        try:
            return {name: to_type(texts[name], field.annotation) for name, field in signature.output_fields.items()}
        except ValueError:
            raise error from None


def _format_demos(
    self: dspy.Adapter, signature: type[dspy.Signature], demos: list[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    inputs = {"history": dspy.History(messages=shown_turns(demos))}
    return list(self.format_conversation_history(signature.delete("history"), "history", inputs))


def _with_callbacks_as(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
    """The method with dspy's callbacks, which are chosen by a method's name."""
    method.__name__ = name
    return with_callbacks(method)


_PARSE_TURN = _with_callbacks_as("parse", _parse_turn)
_PARSE_OUTPUTS = _with_callbacks_as("parse", _parse_outputs)
