"""Predictors of dspy that generated code has made on the host: whose tools, interpreters and LM they use."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Any

import dspy
from dspy.clients._deprecation import adapter_message_call
from dspy.primitives.facade import FacadeInvocation, SandboxLM

from rlm_module.host.calls import Calls, OpenCall
from rlm_module.host.tools import HostTool
from rlm_module.host.workers import result_of
from rlm_module.lms.accounts import Account, current_account


class Facade(FacadeInvocation):
    """Makes predictors, and runs them in the name of the account in whose scope it is called.

    Args:
        calls: Whose threads and ledger to use.
        tools: The user's tools, which generated code may hand to its predictors by name.
        factory: Makes the interpreters of predictors that run code.
        lm: The LM of all of them; None for the one dspy is configured with.
    """

    def __init__(self, calls: Calls, tools: Mapping[str, HostTool], factory: Callable[[], Any], lm: Any) -> None:
        self._host_calls = calls
        super().__init__({name: self._routed(tool) for name, tool in tools.items()}, factory, None, lm=lm)

    def tools_named(self, names: list[str]) -> list[dspy.Tool]:
        """The user's tools of these names.

        Raises:
            LookupError: If there is no such tool.
        """
        for name in names:
            if name not in self._tools:
                raise LookupError(f"there is no tool {name!r}; the run's tools are: {', '.join(self._tools) or 'none'}")
        return [self._tools[name] for name in names]

    def build(self, kind: str, task: type[dspy.Signature], options: Mapping[str, Any]) -> Callable[..., Any]:
        """A predictor of dspy."""
        predictor: Callable[..., Any] = self._build_predictor(kind, task, dict(options))
        return predictor

    @contextlib.contextmanager
    def scope(self) -> Any:
        """Runs predictors as the model's own: optimizers read the trace, and listeners the stream, to learn of the
        program's.
        """
        with dspy.context(trace=None, send_stream=None, allow_tool_async_sync_conversion=True), self._lm_scope():
            yield

    def _lm_scope(self) -> contextlib.AbstractContextManager[Any]:
        lm, account = self._lm if self._lm is not None else dspy.settings.lm, current_account()
        assert account is not None
        return contextlib.nullcontext() if lm is None else dspy.context(lm=AgentLM(lm, account))

    def _routed(self, tool: HostTool) -> dspy.Tool:
        """The tool as a predictor may call it, which still runs it where it runs for cells."""

        def run(**arguments: Any) -> Any:
            account = current_account()
            assert account is not None
            opened = OpenCall(account.call or 0, account.cell, "", account.spending)
            return result_of(self._host_calls.call_nested(opened, tool, arguments))

        original = tool.tool
        return dspy.Tool(
            run,
            name=original.name,
            desc=original.desc,
            args=original.args,
            arg_types=original.arg_types,
            arg_desc=original.arg_desc,
        )


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
