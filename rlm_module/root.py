"""A run from its start to its end: its tree, its root, and what is left of it."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import dspy
from dspy.primitives.code_interpreter import CodeInterpreterError

from rlm_module.errors import SandboxError
from rlm_module.events import Resumed
from rlm_module.execution import Execution
from rlm_module.extraction import Outcome
from rlm_module.foreign import InterpreterError
from rlm_module.host.workers import in_background
from rlm_module.journal import Journal, RunFolder
from rlm_module.lms.ledger import Ledger
from rlm_module.lms.shared_budget import current_spending
from rlm_module.plan import Plan
from rlm_module.prompting.shown import is_secret_name, keep_secret
from rlm_module.recording import Recording
from rlm_module.runs import Run, RunPrediction, open_journal
from rlm_module.streams import inherit_stream
from rlm_module.tree import Node, Tree
from rlm_module.waiting import Deadline


class RootRun:
    """The run of a root RLM with all below it.

    Args:
        module: The RLM.
        plan: What it is made of.
        loop: The caller's event loop, where the caller is async.
        journal: The record of an earlier part of the run, which goes on; None for a new run.
    """

    def __init__(
        self,
        module: dspy.Module,
        plan: Plan,
        loop: asyncio.AbstractEventLoop | None = None,
        journal: Journal | None = None,
    ) -> None:
        self._journal = journal or _new_journal(module, plan)
        recording = Recording(self._journal.events if journal else ())
        spent = current_spending()
        self._ledger = Ledger(plan.max_llm_calls if plan.models else 0, plan.budget, spent.ledger if spent else None)
        deadline = Deadline.of(plan.budget, recording.seconds)
        self._tree = Tree(
            self._journal,
            self._ledger,
            deadline.sooner(spent.deadline) if spent else deadline,
            concurrency=plan.concurrency,
            tool_seconds=plan.tool_seconds,
            loop=loop,
            prepare=inherit_stream(),
            recording=recording,
        )
        self._node = Node(self._ledger.calls)
        self._execution = Execution(plan, self._tree, self._node)
        self._began = time.monotonic()
        if journal is not None:
            self._restore(recording)

        keep_secret(secrets_of(plan))

    def run(self) -> RunPrediction:
        """Runs it on this thread.

        Raises:
            FatalError: If it ends without an answer.
        """
        with self._in_errors():
            try:
                outcome = self._execution.run()
            finally:
                self._journal.close()
        return RunPrediction.of(self._ended(outcome))

    async def arun(self) -> RunPrediction:
        """Runs it without blocking the caller's event loop.

        Raises:
            FatalError: If it ends without an answer.
        """
        with self._in_errors():
            try:
                outcome = await self._execution.arun()
            finally:
                await in_background(self._journal.close)  # it waits for the disk
        return RunPrediction.of(self._ended(outcome))

    def _restore(self, recording: Recording) -> None:
        """Books what the earlier part of the run spent, which counts as before."""
        for call in recording.lm_calls:
            self._ledger.restore(call.role, {call.model: call.usage}, call.depth)
            self._node.spending.add(call.usage)
        self._ledger.calls.reserve(recording.calls)
        self._journal.record(Resumed(run_id=self._journal.run_id, turns=recording.turns(0)))

    @contextmanager
    def _in_errors(self) -> Generator[None]:
        """Puts the record into whatever is raised, errors of a user's own predictor or LM included."""
        try:
            yield
        except BaseException as error:
            raised = _as_dspys(error)
            if getattr(raised, "partial", None) is None:
                with suppress(AttributeError):
                    raised.partial = self._ended(Outcome.of_failure(raised))  # pyright: ignore[reportAttributeAccessIssue]
            if raised is error:
                raise
            raise raised from error

    def _ended(self, outcome: Outcome) -> Run:
        return Run(
            run_id=self._journal.run_id,
            path=self._journal.path,
            termination_reason=outcome.reason,
            outputs=outcome.outputs,
            trajectory=self._execution.trajectory,
            final_reasoning=outcome.reasoning,
            usage=self._ledger.report(),
            seconds=time.monotonic() - self._began,
            events=self._journal.events,
        )


def _as_dspys(error: BaseException) -> BaseException:
    """The loss of a sandbox as one of dspy's errors, too, which is what its programs catch."""
    is_ours_alone = isinstance(error, SandboxError) and not isinstance(error, CodeInterpreterError)
    return InterpreterError(str(error)) if is_ours_alone else error


def _new_journal(module: dspy.Module, plan: Plan) -> Journal:
    run_id, folder = uuid.uuid4().hex, plan.journal
    if folder is None:
        return open_journal(run_id, module)
    return open_journal(run_id, module, open_store=lambda: RunFolder.create(folder, run_id, secrets=secrets_of(plan)))


def secrets_of(plan: Plan) -> list[str]:
    """Credentials of the plan's LMs, which no record may hold."""
    return [secret for lm in plan.lms.values() for secret in _credentials(getattr(lm, "kwargs", None) or {})]


def _credentials(options: Mapping[str, Any], is_header: bool = False) -> Iterator[str]:
    for name, value in options.items():
        if isinstance(value, Mapping):
            yield from _credentials(value, "header" in name.lower())
        elif isinstance(value, str) and (is_header or is_secret_name(name)):
            yield value.removeprefix("Bearer ")
