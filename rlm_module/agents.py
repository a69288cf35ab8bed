"""Sub-agents: the `import dspy` of generated code, whose predictors are built and run on the host."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Any

import dspy
from dspy.clients._deprecation import adapter_message_call
from dspy.primitives.code_interpreter import CodeInterpreterError
from dspy.primitives.facade import CALL_TOOL, CONSTRUCT_TOOL, SIGNATURE_MARKER, FacadeInvocation, SandboxLM
from dspy.signatures.signature import make_signature

from rlm_module.accounts import Account, current_account
from rlm_module.calls import Calls, OpenCall
from rlm_module.children import Children, ChildTask
from rlm_module.errors import LimitReached
from rlm_module.queries import bound
from rlm_module.shown import harmless_value
from rlm_module.subcalls import as_subcall_error
from rlm_module.tools import HostTool
from rlm_module.workers import result_of

_CHILD_OPTIONS = {"max_iters", "max_llm_calls", "max_output_chars", "tools", "verbose"}


@dataclass(frozen=True, slots=True)
class _Child:
    """A `dspy.RLM` of generated code, until it is called.

    Args:
        task: Its signature.
        options: What generated code asked for.
    """

    task: type[dspy.Signature]
    options: Mapping[str, Any]


class SubAgents(FacadeInvocation):
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
        self._host_calls = calls
        self._children = children
        super().__init__({name: self._routed(tool) for name, tool in tools.items()}, factory, None, lm=lm)
        # One dspy tool for all of them, so that callbacks and status messages tell of sub-agents.
        self._tool = dspy.Tool(self._run, name="sub_agent", desc="Runs a predictor that generated code built.")
        calls.add(CONSTRUCT_TOOL, _construct, self._answer_construct)
        calls.add(CALL_TOOL, _call, self._answer_call, is_ahead=True)

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
        # Optimizers read the trace to learn of the program's own predictors; these are the model's. Its inputs are
        # text from the sandbox, in which an adapter would expand dspy's marks.
        with dspy.context(trace=None, send_stream=None, allow_tool_async_sync_conversion=True):
            return self.call(handle, harmless_value(inputs))

    def _lm_scope(self) -> contextlib.AbstractContextManager[Any]:
        lm, account = self._lm if self._lm is not None else dspy.settings.lm, current_account()
        assert account is not None
        return contextlib.nullcontext() if lm is None else dspy.context(lm=AgentLM(lm, account))

    def _build_predictor(self, kind: str, signature: Any, kwargs: dict[str, Any] | None) -> Any:
        if kind != "RLM":
            return super()._build_predictor(kind, signature, kwargs)
        marked = isinstance(signature, dict) and signature.get(SIGNATURE_MARKER)
        text, instructions = (signature["signature"], signature.get("instructions")) if marked else (signature, None)
        task = make_signature(text, instructions)
        options = {name: self._decode_tools(value) for name, value in (kwargs or {}).items()}
        if unknown := sorted(options.keys() - _CHILD_OPTIONS):
            raise TypeError(f"dspy.RLM in the sandbox takes no {', '.join(unknown)}; leave it out.")
        return _Child(task, options) if self._children.is_open else dspy.Predict(task)

    def _routed(self, tool: HostTool) -> dspy.Tool:
        """The tool as a predictor may call it, which still runs it where it runs for cells."""

        def run(**arguments: Any) -> Any:
            if tool.is_concurrent and not tool.is_async:
                return tool.tool(**arguments)
            account = current_account()
            assert account is not None
            opened = OpenCall(account.call or 0, 0, "", account.spending)
            return result_of(self._host_calls.call_tool(opened, tool, arguments))

        original = tool.tool
        return dspy.Tool(
            run,
            name=original.name,
            desc=original.desc,
            args=original.args,
            arg_types=original.arg_types,
            arg_desc=original.arg_desc,
        )


def _construct(kind: str, signature: Any, attr_name: str, kwargs: dict[str, Any] | None = None) -> None:
    """Builds a sub-agent."""


def _call(handle: str, inputs: dict[str, Any] | None = None) -> None:
    """Runs a sub-agent."""


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


class AgentLM(SandboxLM):
    """An LM as the predictors of generated code may call it: with options that are harmless, and charged."""

    def __init__(self, lm: Any, account: Account) -> None:
        super().__init__(account.lm(lm))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        # dspy takes chat messages from an adapter only, which it tells by the LM that they were made for.
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
