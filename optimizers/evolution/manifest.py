"""What a compile is a compile of, in hashes and words, so that a folder is not taken for another one's."""

from __future__ import annotations

import functools
import importlib.metadata
import inspect
from collections.abc import Sequence
from types import CodeType
from typing import Any

import dspy
import pydantic

from rlm_module import RLM
from rlm_module.optimizers.evolution.cases import Case, digest
from rlm_module.optimizers.evolution.components import Components
from rlm_module.optimizers.evolution.options import Options
from rlm_module.optimizers.feedback import plain_metric
from rlm_module.optimizers.paths import modules_of, rlms_of

_OPTIONS = ("minibatch_size", "learn", "max_text_chars", "seed", "perfect_score")
_LIMITS = (
    *("max_iters", "max_llm_calls", "max_output_chars", "max_depth", "tool_seconds", "compact_at", "escalate_to"),
    *("cost_usd", "tokens", "seconds", "root_tokens", "sub_tokens"),
)
"""Those of an RLM and of its budget."""
_PACKAGES = ("rlm-module", "dspy", "gepa")


def described(
    options: Options, student: dspy.Module, components: Components, train: Sequence[Case], val: Sequence[Case]
) -> dict[str, Any]:
    """The manifest: all that has to be equal for what was paid for to be of use. Limits may differ.

    Args:
        options: How it is compiled.
        student: The program.
        components: Its texts.
        train: The training examples.
        val: The validation examples.
    """
    texts = components.texts(student)
    modules: list[tuple[str, Any]] = list(modules_of(student).items())
    rlms = rlms_of(student)
    return {
        "program": {
            "class": type(student).__qualname__,
            "texts": {name: digest(text) for name, text in texts.items()},
            "state": digest(_state(student, modules)),
        },
        "signatures": {name: _signature(m.signature) for name, m in modules if hasattr(m, "signature")},
        "RLM limits": {name: {limit: _limit(rlm, limit) for limit in _LIMITS} for name, rlm in rlms.items()},
        "RLM tools": {name: {tool: _tool(rlm.tools[tool]) for tool in rlm.tools} for name, rlm in rlms.items()},
        "training examples": digest([case.key for case in train]),
        "validation examples": digest([case.key for case in val]),
        "metric": _metric(plain_metric(options.metric)),
        "options": {name: getattr(options, name) for name in _OPTIONS},
        "models": {
            "program": _model(dspy.settings.lm),
            "reflection": _model(options.reflection_lm),
            "predictors": {name: _model(m.lm) for name, m in modules if getattr(m, "lm", None) is not None},
            "sub-calls": {name: _model(rlm.sub_lm) for name, rlm in rlms.items() if rlm.sub_lm is not None},
        },
        "versions": {package: _version(package) for package in _PACKAGES},
    }


def data_hash(train: Sequence[Case], val: Sequence[Case]) -> str:
    """A hash of all examples."""
    return digest([[case.key for case in train], [case.key for case in val]])


def _state(student: dspy.Module, modules: Sequence[tuple[str, Any]]) -> Any:
    """What has been learned already, such as demos, in parts that are marked as compiled too; LMs are told by name."""
    frozen = {name: module.dump_state() for name, module in modules if getattr(module, "_compiled", False)}
    demos = {name: module.demos for name, module in modules if hasattr(module, "demos")}  # some are never saved
    return _without_lms([student.dump_state(), frozen, demos])


def _without_lms(state: Any) -> Any:
    if isinstance(state, list):
        return [_without_lms(item) for item in state]
    if isinstance(state, dict):
        return {name: _without_lms(value) for name, value in state.items() if name != "lm"}
    return state


def _signature(signature: Any) -> str:
    fields = {name: _field(field) for name, field in getattr(signature, "fields", {}).items()}
    return digest([getattr(signature, "instructions", None), list(fields), fields])


def _field(field: Any) -> Any:
    try:
        kind: Any = pydantic.TypeAdapter(field.annotation).json_schema()
    except Exception:  # not every type has a schema
        kind = None
    return [repr(field.annotation), kind, repr(field.json_schema_extra)]


def _limit(rlm: RLM, name: str) -> Any:
    return getattr(rlm.budget if hasattr(rlm.budget, name) else rlm, name)


def _tool(tool: dspy.Tool) -> str:
    return digest([tool.desc, tool.args])


def _metric(metric: Any) -> Any:
    """Its name and a hash of its source, or of its code where that cannot be had or holds more than the metric."""
    if isinstance(metric, functools.partial):
        return [_metric(metric.func), digest([metric.args, metric.keywords])]
    function = metric if inspect.isroutine(metric) else type(metric)
    name, code = function.__qualname__, getattr(metric, "__code__", None)
    try:
        source = None if name.endswith("<lambda>") else inspect.getsource(function)
    except (OSError, TypeError):
        source = None
    return [name, digest(_code(code) if source is None and code is not None else source)]


def _code(code: CodeType) -> Any:
    """What a function does, whatever line it stands in."""
    constants = [_code(constant) if isinstance(constant, CodeType) else constant for constant in code.co_consts]
    return [code.co_code, constants, code.co_names, code.co_varnames]


def _model(lm: Any) -> str:
    return str(getattr(lm, "model", None) or type(lm).__qualname__)


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
