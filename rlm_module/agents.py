"""Sub-agents: the `import dspy` of generated code, whose predictors are built and run on the host."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from functools import partial
from typing import Any, TypeAlias

import dspy
from dspy.clients._deprecation import adapter_message_call
from dspy.primitives.code_interpreter import CodeInterpreterError
from dspy.primitives.facade import CALL_TOOL, CONSTRUCT_TOOL, SIGNATURE_MARKER, FacadeInvocation, SandboxLM
from dspy.signatures.signature import make_signature

from rlm_module.budget import Ledger
from rlm_module.calls import Calls, Spending
from rlm_module.errors import SubcallError
from rlm_module.runs import within_run
from rlm_module.shown import harmless_value
from rlm_module.subcalls import as_subcall_error
from rlm_module.tools import HostTool
from rlm_module.workers import result_of

MakeChild: TypeAlias = "Callable[[type[dspy.Signature], Mapping[str, Any], Callable[[int], None], int], dspy.Module]"
"""Builds the RLM of a sub-agent: its signature, the options that generated code asked for, what charges a number of
calls, and how many are left."""


class SubAgents(FacadeInvocation):
    """The host side of the predictors that generated code builds, charged to the ledger of the run.

    Args:
        calls: Whose threads and ledger to use.
        tools: The user's tools, which generated code may hand to its predictors by name.
        factory: Makes the interpreters of predictors that run code.
        lm: The LM of all of them; None for the one dspy is configured with.
        make_child: Builds an RLM.
        run_id: The run they belong to.
    """

    def __init__(
        self,
        calls: Calls,
        tools: Mapping[str, HostTool],
        factory: Callable[[], Any],
        lm: Any,
        make_child: MakeChild,
        run_id: str,
    ) -> None:
        self._host_calls = calls
        self._make_child = make_child
        self._run_id = run_id
        self._host_tools = tools
        super().__init__(
            {name: self._routed(tool) for name, tool in tools.items()},
            factory,
            None,
            lm=lm,
            reserve=partial(_reserve, calls.ledger),
        )
        # One dspy tool for all of them, so that callbacks and status messages tell of sub-agents.
        self._tool = dspy.Tool(self._call, name="sub_agent", desc="Runs a predictor that generated code built.")
        calls.add(CONSTRUCT_TOOL, self._construct_parameters, "Builds a sub-agent.", self._answer_construct)
        calls.add(CALL_TOOL, self._call_parameters, "Runs a sub-agent.", self._answer_call)

    def setup_code(self, *, at_first_use: bool) -> str:
        """The cell that gives the sandbox its `dspy`.

        Args:
            at_first_use: Whether that is put off until something of `dspy` is used, which most runs never do.
        """
        recorder = _Recorder()
        self.install(recorder)
        assignments = [f"{name} = {value!r}" for name, value in recorder.variables.items()]
        code = "\n".join([*assignments, recorder.code])
        return _AT_FIRST_USE.format(code=code) if at_first_use else code

    def _answer_construct(self, spending: Spending, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Future[Any]:
        return self._host_calls.in_pool(partial(self.construct, *args, **kwargs))

    def _answer_call(self, spending: Spending, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Future[Any]:
        return self._host_calls.in_pool(partial(self._measured_call, spending, *args, **kwargs))

    def _measured_call(self, spending: Spending, handle: str, inputs: dict[str, Any] | None = None) -> Any:
        try:
            with spending.measured("sub"), within_run(self._run_id):
                return self._tool(handle=handle, inputs=inputs)
        except CodeInterpreterError as error:
            if isinstance(error.__cause__, dspy.LMError):
                raise as_subcall_error(error.__cause__) from error
            raise
        except dspy.AdapterParseError as error:
            raise as_subcall_error(error) from error

    def _call(self, handle: Any, inputs: Any) -> Any:
        # Optimizers read the trace to learn of the program's own predictors; these are the model's. Its inputs are
        # text from the sandbox, in which an adapter would expand dspy's marks.
        with dspy.context(trace=None, send_stream=None, allow_tool_async_sync_conversion=True):
            return self.call(handle, harmless_value(inputs or {}))

    def _lm_scope(self) -> contextlib.AbstractContextManager[Any]:
        lm = self._lm if self._lm is not None else dspy.settings.lm
        return contextlib.nullcontext() if lm is None else dspy.context(lm=ChargedLM(lm, self._reserve))

    def _build_predictor(self, kind: str, signature: Any, kwargs: dict[str, Any] | None) -> Any:
        if kind != "RLM":
            return super()._build_predictor(kind, signature, kwargs)
        options = {name: self._decode_tools(value) for name, value in (kwargs or {}).items()}
        marked = isinstance(signature, dict) and signature.get(SIGNATURE_MARKER)
        text, instructions = (signature["signature"], signature.get("instructions")) if marked else (signature, None)
        ledger = self._host_calls.ledger
        return self._make_child(make_signature(text, instructions), options, partial(_reserve, ledger), ledger.left)

    def _routed(self, tool: HostTool) -> dspy.Tool:
        """The tool as a predictor may call it, which still runs it where it runs for cells."""

        def run(**arguments: Any) -> Any:
            if tool.is_concurrent and not tool.is_async:
                return tool.tool(**arguments)
            return result_of(self._host_calls.call_tool(Spending(self._host_calls.ledger), tool, arguments))

        original = tool.tool
        return dspy.Tool(
            run,
            name=original.name,
            desc=original.desc,
            args=original.args,
            arg_types=original.arg_types,
            arg_desc=original.arg_desc,
        )

    @staticmethod
    def _construct_parameters(
        kind: str, signature: Any, attr_name: str, kwargs: dict[str, Any] | None = None
    ) -> None: ...

    @staticmethod
    def _call_parameters(handle: str, inputs: dict[str, Any] | None = None) -> None: ...


_AT_FIRST_USE = """\
import sys as _dspy_sys, types as _dspy_types

class _DspyLater(_dspy_types.ModuleType):
    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        if _dspy_sys.modules["dspy"] is self:
            exec({code!r}, globals())
        return getattr(_dspy_sys.modules["dspy"], name)

dspy = _dspy_sys.modules["dspy"] = _DspyLater("dspy")
"""


class ChargedLM(SandboxLM):
    """An LM of which generated code's predictors may make calls, each charged to the ledger.

    dspy warns of OpenAI-style messages unless they come from one of its adapters, which it tells by the LM they were
    made for. That is this one, so what it passes on has to be marked anew.
    """

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with adapter_message_call(self._lm, kwargs.get("messages")):
            return super().__call__(*args, **kwargs)

    async def acall(self, *args: Any, **kwargs: Any) -> Any:
        """The same, awaited."""
        with adapter_message_call(self._lm, kwargs.get("messages")):
            return await super().acall(*args, **kwargs)


class _Recorder:
    """Stands in for an interpreter, to learn what dspy would run in it."""

    def __init__(self) -> None:
        self.tools: dict[str, Any] = {}
        self.code = ""
        self.variables: Mapping[str, Any] = {}

    def execute(self, code: str, variables: Mapping[str, Any]) -> None:
        self.code, self.variables = code, variables


def _reserve(ledger: Ledger, calls: int) -> None:
    if ledger.reserve(calls) < calls:
        raise SubcallError(
            "budget", f"all {ledger.max_calls:,} sub-calls of this run are used up; go on with code alone"
        )
