"""Sub-agents in an interpreter of another kind: dspy's own `import dspy` there, answered on the host."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Any

import dspy
from dspy.primitives.code_interpreter import CodeInterpreterError
from dspy.primitives.facade import CALL_TOOL, CONSTRUCT_TOOL, SIGNATURE_MARKER
from dspy.signatures.signature import make_signature

from rlm_module.errors import LimitReached
from rlm_module.host.calls import Calls, OpenCall
from rlm_module.host.children import Children, ChildTask
from rlm_module.host.facade import Facade
from rlm_module.host.queries import bound
from rlm_module.host.subcalls import as_subcall_error
from rlm_module.host.tools import HostTool
from rlm_module.prompting.shown import harmless_value
from rlm_module.sandbox.agent_kinds import KINDS


@dataclass(frozen=True, slots=True)
class _Child:
    """A `dspy.RLM` of generated code, until it is called.

    Args:
        task: Its signature.
        options: What generated code asked for.
    """

    task: type[dspy.Signature]
    options: Mapping[str, Any]


class ForeignAgents(Facade):
    """The host side of the predictors that generated code builds, charged to the ledger of the run.

    Args:
        calls: Whose threads and ledger to use.
        children: Opens an RLM.
        tools: The user's tools, which generated code may hand to its predictors by name.
        factory: Makes the interpreters of predictors that run code.
        lm: The LM of all of them; None for the one dspy is configured with.
    """

    def __init__(
        self,
        calls: Calls,
        children: Children,
        tools: Mapping[str, HostTool],
        factory: Callable[[], Any],
        lm: Any,
    ) -> None:
        super().__init__(calls, tools, factory, lm)
        self._children = children
        # One dspy tool for all of them, so that callbacks and status messages tell of sub-agents.
        self._tool = dspy.Tool(self._run, name="sub_agent", desc="Runs a predictor that generated code built.")
        calls.add(CONSTRUCT_TOOL, _construct, self._answer_construct, is_remade=True)
        calls.add(CALL_TOOL, _call, self._answer_call, is_ahead=True)

    def setup_code(self) -> str:
        """The cell that gives the interpreter its `dspy`."""
        recorder = _Recorder()
        self.install(recorder)
        assignments = [f"{name} = {value!r}" for name, value in recorder.variables.items()]
        return "\n".join([*assignments, recorder.code])

    def _answer_construct(self, opened: OpenCall, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Future[Any]:
        return self._host_calls.in_pool(partial(self.construct, *args, **kwargs))

    def _answer_call(self, opened: OpenCall, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Future[Any]:
        given = bound(_call, args, kwargs)
        handle, inputs = given["handle"], given["inputs"] or {}
        predictor = self._predictors.get(handle)
        if isinstance(predictor, _Child):
            return self._children.open(opened, ChildTask(predictor.task, inputs, options=predictor.options))
        return self._host_calls.in_pool(partial(self._charged, opened, handle, inputs))

    def _charged(self, opened: OpenCall, handle: str, inputs: Mapping[str, Any]) -> Any:
        try:
            with self._host_calls.account(opened, "sub", counts=True).scope():
                return self._tool(handle=handle, inputs=inputs)
        except CodeInterpreterError as error:
            if isinstance(error.__cause__, dspy.LMError):
                raise as_subcall_error(error.__cause__) from error
            raise
        except (dspy.AdapterParseError, LimitReached) as error:
            raise as_subcall_error(error) from error

    def _run(self, handle: Any, inputs: Any) -> Any:
        # Its inputs are text from the sandbox, in which an adapter would expand dspy's marks.
        with self.scope():
            return self.call(handle, harmless_value(inputs))

    def _build_predictor(self, kind: str, signature: Any, kwargs: dict[str, Any] | None) -> Any:
        if kind != "RLM":
            return super()._build_predictor(kind, signature, kwargs)
        marked = isinstance(signature, dict) and signature.get(SIGNATURE_MARKER)
        text, instructions = (signature["signature"], signature.get("instructions")) if marked else (signature, None)
        task = make_signature(text, instructions)
        options = {name: self._decode_tools(value) for name, value in (kwargs or {}).items()}
        if unknown := sorted(options.keys() - set(KINDS["RLM"])):
            raise TypeError(f"dspy.RLM in the sandbox takes no {', '.join(unknown)}; leave it out.")
        return _Child(task, options) if self._children.is_open else dspy.Predict(task)


def _construct(kind: str, signature: Any, attr_name: str, kwargs: dict[str, Any] | None = None) -> None:
    """Builds a sub-agent."""


def _call(handle: str, inputs: dict[str, Any] | None = None) -> None:
    """Runs a sub-agent."""


class _Recorder:
    """Stands in for an interpreter, to learn what dspy would run in it."""

    def __init__(self) -> None:
        self.tools: dict[str, Any] = {}
        self.code = ""
        self.variables: Mapping[str, Any] = {}

    def execute(self, code: str, variables: Mapping[str, Any]) -> None:
        self.code, self.variables = code, variables
