"""The one loop of an RLM: asks for a cell, runs it, shows what it printed, until an answer is submitted."""

from __future__ import annotations

import base64
import logging
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import dspy

from rlm_module.errors import LimitReached, SandboxError
from rlm_module.events import Acted, CellFinished, Diverged, TurnStarted
from rlm_module.extraction import Extraction, Outcome
from rlm_module.host.limits import little_left
from rlm_module.plan import Plan
from rlm_module.prompting.compaction import shortened_request
from rlm_module.prompting.outputs import Accepted, check_outputs
from rlm_module.prompting.previews import glimpse, introduction
from rlm_module.prompting.reply import extract_code, foreign_language, read_reply
from rlm_module.prompting.shown import clip, encodable, harmless
from rlm_module.recording import RecordedTurn
from rlm_module.sandbox.base import CellResult, Session
from rlm_module.sandbox.record import plain
from rlm_module.sandbox.replay import assigned_names
from rlm_module.steps import Ask, Steps, Wait
from rlm_module.tree import Node, Tree
from rlm_module.window import ContextWindow

logger = logging.getLogger(__name__)
# Where dspy shows what dspy.RLM logs; without a handler, nobody would see it.
turn_logger = logging.getLogger("dspy.rlm_module")

_FAILURES_BEFORE_ESCALATION = 3
_INTERRUPT_SECONDS = 1.0
_CUT_SHORT = "(The cell was stopped here: the time of the run is over.)"
_NOTHING_PRINTED = "(The cell printed nothing; print what you want to see.)"


@dataclass(frozen=True, slots=True)
class _Action:
    reasoning: str
    code: str
    language: str | None = None


class TurnLoop:
    """The turns of one RLM.

    Args:
        plan: What it is made of.
        tree: Its ledger and journal, and what is on record of an earlier part of the run.
        node: Its place in the tree.
        act_signature: Its predictor's signature for this run, None where that takes none.
        session: Where cells run.
        ready: Done when the session holds the inputs.
        stop_work: Ends all that is under way, before an answer is drawn up.
    """

    def __init__(
        self,
        plan: Plan,
        tree: Tree,
        node: Node,
        *,
        act_signature: type[dspy.Signature] | None,
        session: Session,
        ready: Future[Any],
        stop_work: Callable[[], None],
    ) -> None:
        self._plan = plan
        self._tree = tree
        self._node = node
        self._act_signature = act_signature
        self._session = session
        self._ready = ready
        self._stop_work = stop_work
        self.trajectory: list[dict[str, str]] = []
        self._introduction = introduction(plan.task, plan.inputs)
        self._window = ContextWindow(plan, tree, node, self._introduction, self.trajectory)
        self._extraction = Extraction(plan, tree, node, self._introduction)
        self._failures = 0
        self._lost: list[str] = []

    def steps(self) -> Steps[Outcome]:
        """The run, from the first request to an answer.

        Raises:
            FatalError: If there is none.
        """
        self._extraction.keep_slice()
        try:
            outcome = yield from self._turns()
        except dspy.LMError as error:
            self._stop_work()
            return (yield from self._extraction.after_lm_error(error, self.trajectory))
        except LimitReached as limit:
            self._stop_work()
            return (yield from self._extraction.after_limit(limit, self.trajectory))
        if outcome is not None:
            return outcome
        logger.warning(
            "The RLM used all of its %d turns; the answer is drawn up from what it found.", self._plan.max_iters
        )
        return (yield from self._extraction.draw_up("max_iters", self.trajectory))

    def _turns(self) -> Steps[Outcome | None]:
        request = f"{self._introduction}\n\n{self._left(1)}"
        for turn in range(1, self._plan.max_iters + 1):
            known = self._tree.recording.turn(self._node.number, turn)
            self._window.restore(turn)
            if (known is None or (known.cell is None and known.acted.code)) and (drawn := self._extraction.recorded()):
                return drawn
            if known is not None:
                request, action = known.acted.request, _recorded_action(known)
                self._turn_lm()  # counts failures anew where it escalated then
                self._window.take_usage(known.acted.usage)
            else:
                request, action = yield from self._act(turn, request)
            output, outcome = yield from self._cell(turn, action, known.cell if known else None)
            self.trajectory.append({"reasoning": action.reasoning, "code": action.code, "output": output})
            self._window.add(request, action.reasoning, action.code)
            if outcome is not None:
                return outcome
            request = f"{output}\n\n{self._left(turn + 1)}"
        return self._extraction.recorded()

    def _left(self, turn: int) -> str:
        allowance = self._node.allowance
        calls = f" Sub-LM calls left: {allowance.left:,} of {allowance.limit:,}." if allowance.limit else ""
        last = " This is the last one: SUBMIT the best answer you have." if turn == self._plan.max_iters else ""
        lost, self._lost = ", ".join(self._lost), []
        gone = f" The run was resumed; gone are the variables of interrupted cells: {lost}." if lost else ""
        return f"[Turn {turn} of {self._plan.max_iters}.{last}{calls}{little_left(self._tree)}{gone}]"

    def _act(self, turn: int, request: str) -> Steps[tuple[str, _Action]]:
        """Asks for a turn; also tells what was asked in the end, which is less where it was too much."""
        journal = self._tree.journal
        journal.record(TurnStarted(run_id=journal.run_id, node=self._node.number, turn=turn))
        lm, began = self._turn_lm(), time.monotonic()
        yield from self._window.shorten_if_large(turn, lm)
        while True:
            account = self._tree.turn_account(self._node, lm)
            try:
                action = _read_action((yield Ask(self._plan.predictors.act, self._inputs(request), account)))
            except (dspy.AdapterParseError, RecursionError) as error:  # a reply of brackets can exhaust a parser
                reply = read_reply(getattr(error, "lm_response", None) or "")
                action = _Action(reply.reasoning, reply.code)
            except dspy.ContextWindowExceededError:
                if (yield from self._window.shorten(turn, lm)):
                    continue
                shorter = shortened_request(request) if turn > 1 else None  # the first one is the task
                if shorter is None:
                    raise
                request = shorter
                continue
            break
        usage = account.spending.usage
        self._window.take_usage(usage)
        action = _Action(harmless(action.reasoning), encodable(action.code), foreign_language(action.reasoning))
        journal.record(
            Acted(
                run_id=journal.run_id,
                node=self._node.number,
                turn=turn,
                request=request,
                reasoning=action.reasoning,
                code=action.code,
                language=action.language,
                seconds=time.monotonic() - began,
                usage=usage,
            )
        )
        if self._plan.verbose:
            turn_logger.info(
                "Turn %d of %d\nReasoning: %s\nCode:\n%s", turn, self._plan.max_iters, action.reasoning, action.code
            )
        return request, action

    def _inputs(self, request: str) -> dict[str, Any]:
        inputs: dict[str, Any] = {"request": request, "history": dspy.History(messages=self._window.messages)}
        if self._act_signature is not None:
            inputs["signature"] = self._act_signature
        return inputs

    def _turn_lm(self) -> Any:
        """Whom the turn is asked of; None for the predictor's own LM."""
        if self._plan.strong_lm is None or self._failures < _FAILURES_BEFORE_ESCALATION:
            return self._plan.root_lm
        self._failures = 0
        return self._plan.strong_lm

    def _cell(self, turn: int, action: _Action, known: CellFinished | None) -> Steps[tuple[str, Outcome | None]]:
        """Runs the turn's code, and says what the model is shown of it and whether that ends the run."""
        if not action.code:
            self._failures += 1
            given = f"the block marked as {action.language} is not run" if action.language else "your reply held none"
            return f"No code was run: {given}. Put Python, and only Python, into `code`.", None
        yield Wait(self._ready)
        if known is not None and known.ended != "completed":
            names = assigned_names(action.code) if known.ended == "interrupted" else ()
            self._lost += names
            self._failures += 1
            yield Wait(self._session.lose(names))
            return known.output, None
        clock = base64.b64decode(known.clock) if known is not None else b""
        running = self._session.execute(action.code, clock)
        try:
            result: CellResult = yield Wait(running)
        except LimitReached:
            yield from self._cut_short(turn, action, running)
            raise
        if known is not None and _was_refused(known, result):
            self._failures += 1
            return known.output, None
        output, outcome = self._judged(result, action)
        shown = harmless(clip(output, self._plan.max_output_chars)) or _NOTHING_PRINTED
        failed = result.error is not None or (result.final is not None and outcome is None)
        self._failures = self._failures + 1 if failed else 0
        if known is not None and known.output == shown:
            return shown, outcome
        if known is not None:
            self._diverge(turn)
        kind = result.error.kind if result.error is not None else None
        self._tree.journal.record(
            CellFinished(
                run_id=self._tree.journal.run_id,
                node=self._node.number,
                turn=turn,
                output=shown,
                failed=failed,
                seconds=result.seconds,
                ended=kind if kind in ("interrupted", "killed") else "completed",
                unused=result.unused,
                clock=base64.b64encode(result.clock).decode(),
            )
        )
        if self._plan.verbose:
            turn_logger.info("Output of turn %d:\n%s", turn, shown)
        return shown, outcome

    def _cut_short(self, turn: int, action: _Action, running: Future[CellResult]) -> Steps[None]:
        """Ends the cell that runs while the time is over, and keeps what it has printed for the answer."""
        self._session.interrupt()
        printed, seconds = "", 0.0
        try:
            result: CellResult = yield Wait(running, grace=_INTERRUPT_SECONDS)
            printed, seconds = result.text, result.seconds
        except (LimitReached, SandboxError):
            logger.debug("The cell of turn %d did not come back.", turn)
        output = harmless(clip(f"{printed}\n{_CUT_SHORT}".strip(), self._plan.max_output_chars))
        self.trajectory.append({"reasoning": action.reasoning, "code": action.code, "output": output})
        self._tree.journal.record(
            CellFinished(
                run_id=self._tree.journal.run_id,
                node=self._node.number,
                turn=turn,
                output=output,
                failed=True,
                seconds=seconds,
                ended="interrupted",
            )
        )

    def _judged(self, result: CellResult, action: _Action) -> tuple[str, Outcome | None]:
        """What a cell printed, with a word on what it submitted, and the outcome if that was accepted."""
        if result.final is None:
            return result.text, None
        checked, outcome = check_outputs(self._plan.task, self._plan.inputs, result.final), None
        if isinstance(checked, Accepted):
            outcome = Outcome(checked.values, "submitted", action.reasoning)
            # As they came, since a replay does not know the user's types.
            values = {name: plain(result.final.get(name, value)) for name, value in checked.values.items()}
            shown_values = ", ".join(f"{name!r}: {glimpse(value)}" for name, value in values.items())
            verdict = f"SUBMITTED: {{{shown_values}}}"
        else:
            names = ", ".join(self._plan.task.output_fields)
            verdict = f"SUBMIT was refused. {' '.join(checked.faults)} Mend that and call SUBMIT with {names} again."
        return f"{result.text}\n{verdict}" if result.text else verdict, outcome

    def _diverge(self, turn: int) -> None:
        what = "its cell printed something else than the record says"
        logger.warning("The run goes on live after turn %d: %s.", turn, what)
        journal = self._tree.journal
        journal.record(Diverged(run_id=journal.run_id, node=self._node.number, turn=turn, what=what))
        self._tree.recording.forget(self._node.number, turn)


def _was_refused(known: CellFinished, result: CellResult) -> bool:
    """Whether what a replayed cell submitted was refused then: by types that a replay offline does not know."""
    return known.failed and result.final is not None and known.output.startswith(harmless(result.text))


def _recorded_action(known: RecordedTurn) -> _Action:
    return _Action(known.acted.reasoning, known.acted.code, known.acted.language)


def _read_action(answer: Any) -> _Action:
    """A predictor's answer as an action, whoever made the predictor."""
    code = getattr(answer, "code", None)
    return _Action(str(getattr(answer, "reasoning", None) or ""), extract_code(getattr(code, "code", code)))
