"""Sub-agents: the predictors of the sandbox's `dspy`, each call of which is one host call that holds all of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Any

import dspy
from dspy.primitives.code_interpreter import CodeInterpreterError
from dspy.primitives.facade import prediction_to_fields

from rlm_module.errors import SubcallError
from rlm_module.host.calls import Calls, OpenCall
from rlm_module.host.children import Children, ChildTask
from rlm_module.host.facade import Facade
from rlm_module.host.predictions import Asked, Predictions
from rlm_module.host.queries import bound
from rlm_module.host.subcalls import as_subcall_error
from rlm_module.host.tools import HostTool, check_names
from rlm_module.host.typed import check_inputs, plain_inputs, plain_outputs, signature_from
from rlm_module.sandbox.agent_kinds import AGENT, KINDS, fault_of


@dataclass(frozen=True, slots=True)
class _Agent:
    """A call of a predictor, its parts checked.

    Args:
        kind: One of `KINDS`.
        task: Its signature.
        options: What generated code asked for; of tools, the names.
        inputs: By name, not checked yet.
    """

    kind: str
    task: type[dspy.Signature]
    options: Mapping[str, Any]
    inputs: Any

    @classmethod
    def of(cls, kind: Any, signature: Any, instructions: Any, options: Any, inputs: Any) -> _Agent:
        """Of what the sandbox sent.

        Raises:
            SubcallError: If it is no predictor.
        """
        if type(kind) is not str or kind not in KINDS:
            raise SubcallError("invalid", f"there is no such predictor; those of dspy here are {', '.join(KINDS)}")
        if type(options) is not dict:
            raise SubcallError("invalid", f"the options of dspy.{kind} must be a dict")
        if fault := fault_of(kind, options):
            raise SubcallError("invalid", fault)
        return cls(kind, signature_from(signature, instructions), options, inputs)


class SubAgents:
    """Answers for the predictors of the sandbox, charged to the ledger of the run.

    Args:
        calls: Whose threads and ledger to use.
        predictions: Makes typed sub-calls.
        children: Opens an RLM.
        tools: The user's tools, which generated code may hand to its predictors by name.
        factory: Makes the interpreters of predictors that run code.
        lm: The LM of predictors that take several steps; None for the one dspy is configured with.
    """

    def __init__(
        self,
        calls: Calls,
        predictions: Predictions,
        children: Children,
        tools: Mapping[str, HostTool],
        factory: Callable[[], Any],
        lm: Any,
    ) -> None:
        self._calls = calls
        self._predictions = predictions
        self._children = children
        self._facade = Facade(calls, tools, factory, lm)
        # One dspy tool for all of them, so that callbacks and status messages tell of sub-agents.
        self._tool = dspy.Tool(self._run, name="sub_agent", desc="Runs a predictor that generated code built.")
        calls.add(AGENT, _ask, self._answer)

    def _answer(self, opened: OpenCall, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Future[Any]:
        agent = _Agent.of(**bound(_ask, args, kwargs))
        self._check_tools(agent)
        if agent.kind == "RLM":
            return self._child(opened, agent)
        if agent.kind in ("Predict", "ChainOfThought"):
            config = {name: value for name, value in agent.options.items() if name != "model"}
            return self._predictions.start(opened, Asked(agent.task, agent.options.get("model"), config), agent.inputs)
        inputs = plain_inputs(agent.inputs, agent.task)
        self._calls.check_allowance(opened)
        return self._calls.in_pool(partial(self._charged, opened, agent, inputs))

    def _check_tools(self, agent: _Agent) -> None:
        try:
            self._facade.tools_named(agent.options.get("tools", []))
        except LookupError as error:
            raise SubcallError("invalid", str(error)) from None

    def _child(self, opened: OpenCall, agent: _Agent) -> Future[Any]:
        """Opens a child as `rlm_query` does; at the depth limit it is one typed sub-call."""
        if not self._children.is_open:
            return self._predictions.start(opened, Asked(agent.task), agent.inputs)
        check_inputs(agent.inputs, agent.task)
        try:
            check_names(agent.task, ())
        except ValueError as error:
            raise SubcallError("invalid", str(error)) from None
        child = ChildTask(agent.task, agent.inputs, options=agent.options)
        return self._children.open(opened, child, lambda outputs: plain_outputs(outputs, agent.task))

    def _charged(self, opened: OpenCall, agent: _Agent, inputs: Mapping[str, Any]) -> Any:
        try:
            with self._calls.account(opened, "sub", counts=True).scope():
                return self._tool(agent=agent, inputs=inputs)
        except Exception as error:
            raise as_subcall_error(error) from error

    def _run(self, agent: Any, inputs: Any) -> dict[str, Any]:
        options = dict(agent.options)
        if "tools" in options or agent.kind != "ProgramOfThought":
            options["tools"] = self._facade.tools_named(options.get("tools", []))
        try:
            predictor = self._facade.build(agent.kind, agent.task, options)
        except (ValueError, TypeError, CodeInterpreterError) as error:
            raise SubcallError("invalid", f"dspy.{agent.kind} cannot be made so ({error})") from error
        with self._facade.scope():
            prediction = predictor(**inputs)
        outputs = plain_outputs(prediction, agent.task)
        also = {name: value for name, value in prediction.items() if name not in outputs}
        return {**prediction_to_fields(also), **outputs}


def _ask(kind: str, signature: Any, instructions: Any, options: Any, inputs: Any) -> None:
    """Runs a predictor."""
