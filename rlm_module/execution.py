"""One RLM of a run tree: opens its session beside its first LM call, offers it the host's functions, and ends both."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

import dspy

from rlm_module.driver import adrive, drive
from rlm_module.errors import FatalError, LimitReached
from rlm_module.events import RunFinished, RunStarted
from rlm_module.extraction import Outcome
from rlm_module.host.agents import SubAgents
from rlm_module.host.calls import Calls
from rlm_module.host.children import Children, ChildTask
from rlm_module.host.foreign_agents import ForeignAgents
from rlm_module.host.limits import offer_budget
from rlm_module.host.predictions import Predictions
from rlm_module.host.queries import Queries
from rlm_module.host.workers import Crew, in_background
from rlm_module.lms.prices import check_priced, count_tokens, price_list
from rlm_module.loop import TurnLoop
from rlm_module.opening import Opened, load_inputs, open_session
from rlm_module.plan import Plan, task_text
from rlm_module.prompting.contract import Contract
from rlm_module.prompting.previews import one_line
from rlm_module.sandbox.base import Session, Setup
from rlm_module.signatures.inputs import SandboxInput
from rlm_module.steps import Doer, Steps, Wait
from rlm_module.tree import Node, Tree

logger = logging.getLogger(__name__)


class Execution:
    """An RLM from its start to its end.

    Args:
        plan: What it is made of.
        tree: What it shares with the others.
        node: Its place there.
    """

    def __init__(self, plan: Plan, tree: Tree, node: Node) -> None:
        self._plan = plan
        self._tree = tree
        self._node = node
        self._calls = Calls(tree, node, frozenset({*plan.task.fields, *plan.tools}))
        self._interpreter_thread = Crew("rlm-interpreter", 1)
        self._threads = Crew("rlm-run", 2, prepare=tree.prepare)
        self._doer = Doer(tree, node, self._threads)
        self._opened: Opened | None = None
        self._agents: SubAgents | ForeignAgents | None = None
        self._loop: TurnLoop | None = None
        self._is_closed = False
        self._began = time.monotonic()

    @property
    def trajectory(self) -> tuple[Mapping[str, str], ...]:
        """The turns up to now."""
        return tuple(self._loop.trajectory) if self._loop else ()

    def run(self) -> Outcome:
        """Runs it on this thread.

        Raises:
            FatalError: If it ends without an answer.
        """
        try:
            return drive(self._steps(), self._doer.do)
        finally:
            self._close()

    async def arun(self) -> Outcome:
        """Runs it without blocking the caller's event loop.

        Raises:
            FatalError: If it ends without an answer.
        """
        try:
            return await adrive(self._steps(), self._doer.ado)
        finally:
            await in_background(self._close)

    def _steps(self) -> Steps[Outcome]:
        try:
            prices = yield Wait(self._threads.submit(self._look_up_prices))
            if not self._tree.recording.began(self._node.number):
                stored = yield Wait(self._threads.submit(self._store_inputs))
                self._record_start(stored)
            return (yield from self._recorded_steps(prices))
        except LimitReached as limit:
            raise FatalError(f"The run ended before its first turn, since {limit}; raise the limit.") from limit

    def _recorded_steps(self, prices: Mapping[str, str]) -> Steps[Outcome]:
        """What comes after the start is on record: the end is put there, too, however it comes."""
        try:
            self._loop = yield from self._opened_loop(prices)
            outcome = yield from self._loop.steps()
        except BaseException as error:  # where the driver is stopped, it closes this
            self._record_end(Outcome.of_failure(error))
            raise
        self._record_end(outcome)
        return outcome

    def _opened_loop(self, prices: Mapping[str, str]) -> Steps[TurnLoop]:
        agents_for = self._offer_functions()
        opened: Opened = yield Wait(self._interpreter_thread.submit(self._open))
        self._agents = agents_for(opened) if agents_for is not None else None
        ready = self._threads.submit(lambda: self._boot(opened.session))
        if not opened.is_own and self._agents is not None:
            yield Wait(ready)  # whether it can hold sub-agents decides what the model is told
        return TurnLoop(
            self._plan,
            self._tree,
            self._node,
            act_signature=self._act_signature(opened, prices),
            session=opened.session,
            ready=ready,
            stop_work=self._stop_work,
        )

    def _offer_functions(self) -> Callable[[Opened], SubAgents | ForeignAgents] | None:
        """Offers the host's functions to generated code; returns what makes its sub-agents, if it may have some."""
        plan, calls = self._plan, self._calls
        for tool in plan.tools.values():
            calls.add_tool(tool)
        offer_budget(calls, lambda: plan.max_iters - len(self.trajectory))
        if plan.models is None:
            return None
        queries = Queries(calls, plan.models)
        predictions = Predictions(calls, plan.models)
        children = Children(calls, queries, plan.models, plan.max_depth, self._run_child)
        default = plan.models.default

        def agents_for(opened: Opened) -> SubAgents | ForeignAgents:
            """Those that the interpreter can hold."""
            if opened.is_own:
                return SubAgents(calls, predictions, children, plan.tools, plan.factory, default)
            return ForeignAgents(calls, children, plan.tools, plan.factory, default)

        return agents_for

    def _run_child(self, child: ChildTask, node: Node) -> Mapping[str, Any]:
        with dspy.context(trace=None, send_stream=None):
            return Execution(self._plan.for_child(child), self._tree, node).run().outputs

    def _open(self) -> Opened:
        plan = self._plan
        # What this kind of interpreter gets besides is added to the signatures once it is known.
        signatures = self._calls.signatures
        opened = open_session(plan.factory, self._interpreter_thread, plan.task, plan.inputs, signatures)
        self._opened = opened
        if self._is_closed:
            opened.session.close()
        return opened

    def _boot(self, session: Session) -> None:
        functions = tuple(function.host_function for function in self._calls.functions.values())
        seed = int(self._tree.journal.run_id[:12], 16) + self._node.number
        outputs = self._plan.task.output_fields
        optional = frozenset(name for name, field in outputs.items() if not field.is_required())
        setup = Setup(functions, tuple(outputs), seed, self._plan.concurrency, optional)
        session.start(setup, self._calls).result()
        if isinstance(self._agents, ForeignAgents):
            # An interpreter of another kind may not be able to hold them, which it has to show now.
            installed = session.execute(self._agents.setup_code()).result()
            if installed.error is not None:
                logger.warning(
                    "This interpreter cannot hold sub-agents, so this run has none: %s", installed.error.message
                )
                self._agents = None
        load_inputs(session, self._plan.inputs)

    def _act_signature(self, opened: Opened, prices: Mapping[str, str]) -> type[dspy.Signature] | None:
        """The root predictor's signature with all that the model must know of this run's REPL."""
        signature = self._plan.predictors.act_signature
        if signature is None:
            return None
        contract = self._contract(opened, prices).text()
        return signature.with_instructions(f"{signature.instructions}\n\n{contract}")

    def _contract(self, opened: Opened, prices: Mapping[str, str]) -> Contract:
        plan = self._plan
        return Contract(
            task=plan.task,
            functions=self._calls.functions,
            tools=plan.tools,
            models=prices,
            opens_children=self._node.depth + 1 < plan.max_depth,
            max_iters=plan.max_iters,
            max_llm_calls=self._node.allowance.limit,
            max_output_chars=plan.max_output_chars,
            runtime=opened.runtime,
            is_own_sandbox=opened.is_own,
            has_sub_agents=self._agents is not None,
        )

    def _look_up_prices(self) -> Mapping[str, str]:
        """Those of the LMs that generated code may choose from; not on the caller's loop, since a list of prices may
        have to be fetched first.
        """
        budget = self._tree.ledger.budget
        if not self._node.depth:
            check_priced(self._plan.lms, budget)
            if budget.limits_spending:
                count_tokens("The tokenizer takes seconds to load.")
        return price_list(self._plan.models.named, budget) if self._plan.models else {}

    def _store_inputs(self) -> Mapping[str, str]:
        """Those of a child are made again where it is resumed. What is read from a disk is read here, off the loop."""
        for value in self._plan.inputs.values():
            if isinstance(value, SandboxInput):
                value.sandbox_value()
        if self._node.depth:
            return {}
        self._tree.journal.open()
        return self._tree.journal.store_inputs(self._plan.inputs)

    def _record_start(self, stored: Mapping[str, str]) -> None:
        plan, node, journal = self._plan, self._node, self._tree.journal
        journal.record(
            RunStarted(
                run_id=journal.run_id,
                node=node.number,
                task=plan.task.__name__,
                instructions=plan.task.instructions,
                fields=task_text(plan.task),
                inputs={name: one_line(value) for name, value in plan.inputs.items()},
                stored=stored,
                settings={} if node.depth else plan.settings,
                max_iters=plan.max_iters,
                max_llm_calls=node.allowance.limit,
                parent=node.parent,
                call=node.call,
                key=node.key,
                depth=node.depth,
            )
        )

    def _record_end(self, outcome: Outcome) -> None:
        self._tree.journal.record(
            RunFinished(
                run_id=self._tree.journal.run_id,
                node=self._node.number,
                reason=outcome.reason,
                outputs=outcome.outputs,
                seconds=time.monotonic() - self._began,
                usage=self._node.spending.usage,
                met_shared_limit=outcome.met_shared_limit,
            )
        )

    def _stop_work(self) -> None:
        """Ends what would go on spending while the answer is drawn up."""
        if not self._node.depth:
            self._tree.ledger.stop()
        if self._opened is not None:
            self._opened.session.close()

    def _close(self) -> None:
        self._is_closed = True
        self._stop_work()
        if not self._node.depth:
            self._tree.close()
        self._interpreter_thread.close()
        self._threads.close()
