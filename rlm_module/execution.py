"""One RLM of a run tree: opens its session beside its first LM call, offers it the host's functions, and ends both."""

from __future__ import annotations

import asyncio
import inspect
import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import dspy

from rlm_module.driver import Ask, Steps, Wait, adrive, drive
from rlm_module.errors import FatalError, LimitReached, met_shared_limit
from rlm_module.events import RunFinished, RunStarted, TerminationReason
from rlm_module.extraction import Extraction, Outcome
from rlm_module.host.agents import SubAgents
from rlm_module.host.calls import Calls
from rlm_module.host.children import Children, ChildTask
from rlm_module.host.foreign_agents import ForeignAgents
from rlm_module.host.limits import offer_budget
from rlm_module.host.predictions import Predictions
from rlm_module.host.queries import Queries
from rlm_module.host.workers import Crew, result_of
from rlm_module.lms.prices import check_priced, count_tokens, price_list
from rlm_module.loop import TurnLoop
from rlm_module.opening import Opened, load_inputs, open_session
from rlm_module.plan import Plan, task_text
from rlm_module.prompting.contract import Contract
from rlm_module.prompting.previews import describe_input, one_line
from rlm_module.prompting.shown import encodable
from rlm_module.sandbox.base import Session, Setup
from rlm_module.signatures.inputs import SandboxInput
from rlm_module.tree import Node, Tree
from rlm_module.waiting import awaited, waited

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _State:
    """What of a run changes."""

    closed: bool = False
    is_recorded: bool = False
    opened: Opened | None = None
    loop: TurnLoop | None = None
    agents: SubAgents | ForeignAgents | None = None
    offer_agents: Callable[[Opened], SubAgents | ForeignAgents] | None = None
    started: float = field(default_factory=time.monotonic)


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
        self._state = _State()
        self._calls = Calls(tree, node, frozenset({*plan.task.fields, *plan.tools}))
        self._interpreter_thread = Crew("rlm-interpreter", 1)
        self._threads = Crew("rlm-run", 2, prepare=tree.prepare)

    @property
    def trajectory(self) -> tuple[Mapping[str, str], ...]:
        """The turns up to now."""
        return tuple(self._state.loop.trajectory) if self._state.loop else ()

    def run(self) -> Outcome:
        """Runs it on this thread.

        Raises:
            FatalError: If it ends without an answer.
        """
        steps = self._steps()
        try:
            outcome = drive(steps, self._ask, self._tree.deadline, self._node.stop)
            self._record_end(outcome)
            return outcome
        except BaseException as error:
            self._record_end(_failure(error))
            raise
        finally:
            steps.close()
            self._close()

    async def arun(self) -> Outcome:
        """Runs it without blocking the caller's event loop.

        Raises:
            FatalError: If it ends without an answer.
        """
        steps = self._steps()
        try:
            outcome = await adrive(steps, self._aask, self._tree.deadline)
            self._record_end(outcome)
            return outcome
        except BaseException as error:
            self._record_end(_failure(error))
            raise
        finally:
            steps.close()
            await _in_background(self._close)

    def _ask(self, step: Ask) -> Any:
        """Calls a predictor: that of the root where the caller is, so that dspy's context is the caller's own, unless
        it has to be left behind when the time is over; that of a child in a place of a sub-call.
        """
        left = self._tree.deadline.left(is_final=step.is_final)
        if not self._node.depth and left is None:
            return self._ask_here(step)
        crew = self._tree.lm_calls if self._node.depth else self._threads
        asked = crew.submit(partial(self._ask_here, step))
        try:
            return waited(asked, left, self._node.stop)
        finally:
            asked.cancel()  # if it has not begun yet

    def _ask_here(self, step: Ask) -> Any:
        with step.account.scope():
            result = step.predictor(**step.inputs)
            return result_of(self._tree.coroutines.submit(_result(result))) if inspect.isawaitable(result) else result

    async def _aask(self, step: Ask) -> Any:
        left = self._tree.deadline.left(is_final=step.is_final)
        with step.account.scope():
            call = getattr(step.predictor, "acall", None) or step.predictor
            if call is step.predictor and not inspect.iscoroutinefunction(call):
                return await awaited(asyncio.wrap_future(self._threads.submit(partial(call, **step.inputs))), left)
            return await awaited(call(**step.inputs), left)

    def _steps(self) -> Steps[Outcome]:
        try:
            loop = yield from self._prepared()
        except LimitReached as limit:
            raise FatalError(f"The run ended before its first turn, since {limit}; raise the limit.") from limit
        return (yield from loop.steps())

    def _prepared(self) -> Steps[TurnLoop]:
        prices = yield Wait(self._threads.submit(self._look_up_prices))
        if not self._tree.recording.began(self._node.number):
            stored = yield Wait(self._threads.submit(self._store_inputs))
            self._record_start(stored)
        self._state.is_recorded = True
        self._offer_functions()
        opened: Opened = yield Wait(self._interpreter_thread.submit(self._open))
        if self._state.offer_agents is not None:
            self._state.agents = self._state.offer_agents(opened)
        ready = self._threads.submit(lambda: self._boot(opened.session))
        if not opened.is_own and self._state.agents is not None:
            yield Wait(ready)  # whether it can hold sub-agents decides what the model is told
        loop = self._state.loop = self._turn_loop(opened, ready, prices)
        return loop

    def _offer_functions(self) -> None:
        plan, calls = self._plan, self._calls
        for tool in plan.tools.values():
            calls.add_tool(tool)
        offer_budget(calls, lambda: plan.max_iters - len(self.trajectory))
        if plan.models is None:
            return
        queries = Queries(calls, plan.models)
        predictions = Predictions(calls, plan.models)
        children = Children(calls, queries, plan.models, plan.max_depth, self._run_child)
        default = plan.models.default

        def agents(opened: Opened) -> SubAgents | ForeignAgents:
            """Those that the interpreter can hold."""
            if opened.is_own:
                return SubAgents(calls, predictions, children, plan.tools, plan.factory, default)
            return ForeignAgents(calls, children, plan.tools, plan.factory, default)

        self._state.offer_agents = agents

    def _run_child(self, child: ChildTask, node: Node) -> Mapping[str, Any]:
        with dspy.context(trace=None, send_stream=None):
            return Execution(self._plan.for_child(child), self._tree, node).run().outputs

    def _open(self) -> Opened:
        plan = self._plan
        # What this kind of interpreter gets besides is added to the signatures once it is known.
        signatures = self._calls.signatures
        opened = open_session(plan.factory, self._interpreter_thread, plan.task, plan.inputs, signatures)
        self._state.opened = opened
        if self._state.closed:
            opened.session.close()
        return opened

    def _boot(self, session: Session) -> None:
        functions = tuple(function.host_function for function in self._calls.functions.values())
        seed = int(self._tree.journal.run_id[:12], 16) + self._node.number
        outputs = self._plan.task.output_fields
        optional = frozenset(name for name, field in outputs.items() if not field.is_required())
        setup = Setup(functions, tuple(outputs), seed, self._plan.concurrency, optional)
        session.start(setup, self._calls).result()
        if isinstance(self._state.agents, ForeignAgents):
            # An interpreter of another kind may not be able to hold them, which it has to show now.
            installed = session.execute(self._state.agents.setup_code()).result()
            if installed.error is not None:
                logger.warning(
                    "This interpreter cannot hold sub-agents, so this run has none: %s", installed.error.message
                )
                self._state.agents = None
        load_inputs(session, self._plan.inputs)

    def _turn_loop(self, opened: Opened, ready: Future[Any], prices: Mapping[str, str]) -> TurnLoop:
        plan, predictors = self._plan, self._plan.predictors
        signature = predictors.act_signature
        if signature is not None:
            contract = self._contract(opened, prices).text()
            signature = signature.with_instructions(f"{signature.instructions}\n\n{contract}")
        told = introduction(plan.task, plan.inputs)
        return TurnLoop(
            task=plan.task,
            inputs=plan.inputs,
            introduction=told,
            act=predictors.act,
            act_signature=signature,
            extraction=Extraction(
                plan.task, plan.inputs, told, predictors.extract, self._tree, self._node, plan.root_lm
            ),
            session=opened.session,
            ready=ready,
            tree=self._tree,
            node=self._node,
            root_lm=plan.root_lm,
            strong_lm=plan.strong_lm,
            compact_at=plan.compact_at,
            max_iters=plan.max_iters,
            max_output_chars=plan.max_output_chars,
            verbose=plan.verbose,
            stop_work=self._stop_work,
        )

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
            has_sub_agents=self._state.agents is not None,
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
        if not self._state.is_recorded:
            return
        self._tree.journal.record(
            RunFinished(
                run_id=self._tree.journal.run_id,
                node=self._node.number,
                reason=outcome.reason,
                outputs=outcome.outputs,
                seconds=time.monotonic() - self._state.started,
                usage=self._node.spending.usage,
                met_shared_limit=outcome.met_shared_limit,
            )
        )

    def _stop_work(self) -> None:
        """Ends what would go on spending while the answer is drawn up."""
        if not self._node.depth:
            self._tree.ledger.stop()
        if self._state.opened is not None:
            self._state.opened.session.close()

    def _close(self) -> None:
        self._state.closed = True
        self._stop_work()
        if not self._node.depth:
            self._tree.close()
        self._interpreter_thread.close()
        self._threads.close()


def _failure(error: BaseException) -> Outcome:
    reason: TerminationReason = "error" if isinstance(error, Exception) else "cancelled"
    return Outcome({}, reason, "", met_shared_limit(error))


async def _result(awaitable: Any) -> Any:
    return await awaitable


async def _in_background(run: Callable[[], None]) -> None:
    closer = Crew("rlm-close", 1)
    closing = closer.submit(run)
    closer.close_when_idle()
    await asyncio.shield(asyncio.wrap_future(closing))


def introduction(task: type[dspy.Signature], inputs: Mapping[str, Any]) -> str:
    """The first request of a run: what is asked, and a glimpse of each input."""
    described = (describe_input(name, inputs[name], task.input_fields[name]) for name in task.input_fields)
    return "\n".join([encodable(task.instructions), "", "Inputs, as variables of the REPL:", *described])
