"""The one loop of a run: a generator without I/O, which yields what it waits for, and its two drivers."""

from __future__ import annotations

import asyncio
import inspect
import logging
import time
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias, TypeVar

import dspy

from rlm_module.budget import Ledger
from rlm_module.errors import FatalError
from rlm_module.events import Acted, CellFinished, TerminationReason, TurnStarted
from rlm_module.journal import Journal
from rlm_module.meter import Meter
from rlm_module.outputs import Accepted, check_outputs
from rlm_module.previews import glimpse
from rlm_module.reply import extract_code, foreign_language, read_reply
from rlm_module.sandbox.base import CellResult, Session
from rlm_module.shown import clip, encodable, harmless
from rlm_module.signatures.extract import extract_inputs
from rlm_module.workers import Coroutines, Crew, result_of

logger = logging.getLogger(__name__)

T = TypeVar("T")

_SMALL_CHARS = 8_000
_DRAWN_UP = "Nothing was submitted; the answer was drawn up from the record of the run."


@dataclass(frozen=True, slots=True)
class Wait:
    """Wants the result of something that is under way."""

    future: Future[Any]


@dataclass(frozen=True, slots=True)
class Ask:
    """Wants a predictor called where the caller of the run is, and what that uses measured."""

    predictor: Callable[..., Any]
    inputs: Mapping[str, Any]
    meter: Meter


Steps: TypeAlias = "Generator[Wait | Ask, Any, T]"


def drive(steps: Steps[T], coroutines: Coroutines) -> T:
    """Does what the steps want, on this thread; `coroutines` runs a predictor that is async only."""

    def do(step: Wait | Ask) -> Any:
        if isinstance(step, Wait):
            return result_of(step.future)
        with step.meter.scope():
            result = step.predictor(**step.inputs)
            return result_of(coroutines.submit(_awaited(result))) if inspect.isawaitable(result) else result

    reply = _Reply()
    while True:
        try:
            step = reply.give(steps)
        except StopIteration as end:
            return end.value
        try:
            reply = _Reply(do(step))
        except Exception as error:
            reply = _Reply(error=error)


async def adrive(steps: Steps[T], threads: Crew) -> T:
    """Does the same without blocking the event loop; `threads` runs a predictor that cannot be awaited."""

    async def do(step: Wait | Ask) -> Any:
        if isinstance(step, Wait):
            return await asyncio.wrap_future(step.future)
        with step.meter.scope():
            call = getattr(step.predictor, "acall", None) or step.predictor
            if call is step.predictor and not inspect.iscoroutinefunction(call):
                return await asyncio.wrap_future(threads.submit(partial(call, **step.inputs)))
            return await call(**step.inputs)

    reply = _Reply()
    while True:
        try:
            step = reply.give(steps)
        except StopIteration as end:
            return end.value
        try:
            reply = _Reply(await do(step))
        except Exception as error:
            reply = _Reply(error=error)


@dataclass(frozen=True, slots=True)
class _Reply:
    value: Any = None
    error: Exception | None = None

    def give(self, steps: Steps[Any]) -> Wait | Ask:
        return steps.send(self.value) if self.error is None else steps.throw(self.error)


async def _awaited(awaitable: Any) -> Any:
    return await awaitable


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a loop ended.

    Args:
        outputs: The answer.
        reason: Why it ended.
        reasoning: What the model said with it.
    """

    outputs: dict[str, Any]
    reason: TerminationReason
    reasoning: str


@dataclass(frozen=True, slots=True)
class _Action:
    reasoning: str
    code: str
    language: str | None = None


@dataclass(slots=True)
class TurnLoop:
    """The turns of one run.

    Args:
        task: The RLM's signature.
        inputs: Its inputs.
        introduction: The first request: the task and the inputs' previews.
        act: The root predictor.
        act_signature: Its signature for this run, None where it takes none.
        extract: Draws up an answer where none was submitted.
        session: Where cells run.
        ready: Done when the session holds the inputs.
        ledger: Books usage, and knows what is left.
        journal: Records what happens.
        max_iters: Turns.
        max_output_chars: Characters of a cell's output that are shown.
        verbose: Whether turns are logged.
    """

    task: type[dspy.Signature]
    inputs: Mapping[str, Any]
    introduction: str
    act: Callable[..., Any]
    act_signature: type[dspy.Signature] | None
    extract: Callable[..., Any]
    session: Session
    ready: Future[Any]
    ledger: Ledger
    journal: Journal
    max_iters: int
    max_output_chars: int
    verbose: bool
    trajectory: list[dict[str, str]] = field(default_factory=list)
    _history: list[dict[str, str]] = field(default_factory=list)

    def steps(self) -> Steps[Outcome]:
        """The run, from the first request to an answer.

        Raises:
            FatalError: If there is none.
        """
        request = f"{self.introduction}\n\n{self._left(1)}"
        for turn in range(1, self.max_iters + 1):
            self.journal.record(TurnStarted(run_id=self.journal.run_id, turn=turn))
            try:
                action = yield from self._act(turn, request)
            except dspy.LMError as error:
                return (yield from self._after_lm_error(error))
            output, outcome = yield from self._cell(turn, action)
            self.trajectory.append({"reasoning": action.reasoning, "code": action.code, "output": output})
            self._history.append({"request": request, "reasoning": action.reasoning, "code": action.code})
            if outcome is not None:
                return outcome
            request = f"{output}\n\n{self._left(turn + 1)}"
        logger.warning("The RLM used all of its %d turns; the answer is drawn up from what it found.", self.max_iters)
        return (yield from self._draw_up("max_iters"))

    def _left(self, turn: int) -> str:
        calls = (
            f" Sub-LM calls left: {self.ledger.left:,} of {self.ledger.max_calls:,}." if self.ledger.max_calls else ""
        )
        last = " This is the last one: SUBMIT the best answer you have." if turn == self.max_iters else ""
        return f"[Turn {turn} of {self.max_iters}.{last}{calls}]"

    def _act(self, turn: int, request: str) -> Steps[_Action]:
        inputs: dict[str, Any] = {"request": request, "history": dspy.History(messages=list(self._history))}
        if self.act_signature is not None:
            inputs["signature"] = self.act_signature
        meter, began = Meter(), time.monotonic()
        try:
            action = _read_action((yield Ask(self.act, inputs, meter)))
        except (dspy.AdapterParseError, RecursionError) as error:  # a reply of brackets can exhaust a parser
            reply = read_reply(getattr(error, "lm_response", None) or "")
            action = _Action(reply.reasoning, reply.code)
        finally:
            self.ledger.settle("root", meter.spent)
        action = _Action(harmless(action.reasoning), encodable(action.code), foreign_language(action.reasoning))
        seconds = time.monotonic() - began
        self.journal.record(
            Acted(
                run_id=self.journal.run_id,
                turn=turn,
                reasoning=action.reasoning,
                code=action.code,
                seconds=seconds,
                usage=meter.usage,
            )
        )
        if self.verbose:
            logger.info("Turn %d of %d\nReasoning: %s\nCode:\n%s", turn, self.max_iters, action.reasoning, action.code)
        return action

    def _cell(self, turn: int, action: _Action) -> Steps[tuple[str, Outcome | None]]:
        """Runs the turn's code, and says what the model is shown of it and whether that ends the run."""
        if not action.code:
            given = f"the block marked as {action.language} is not run" if action.language else "your reply held none"
            return f"No code was run: {given}. Put Python, and only Python, into `code`.", None
        yield Wait(self.ready)
        result: CellResult = yield Wait(self.session.execute(action.code))
        output, outcome = result.text, None
        if result.final is not None:
            checked = check_outputs(self.task, self.inputs, result.final)
            if isinstance(checked, Accepted):
                outcome = Outcome(checked.values, "submitted", action.reasoning)
                shown_values = ", ".join(f"{name!r}: {glimpse(value)}" for name, value in checked.values.items())
                verdict = f"SUBMITTED: {{{shown_values}}}"
            else:
                names = ", ".join(self.task.output_fields)
                verdict = (
                    f"SUBMIT was refused. {' '.join(checked.faults)} Mend that and call SUBMIT with {names} again."
                )
            output = f"{output}\n{verdict}" if output else verdict
        shown = (
            harmless(clip(output, self.max_output_chars)) or "(The cell printed nothing; print what you want to see.)"
        )
        failed = result.error is not None or (result.final is not None and outcome is None)
        self.journal.record(
            CellFinished(run_id=self.journal.run_id, turn=turn, output=shown, failed=failed, seconds=result.seconds)
        )
        if self.verbose:
            logger.info("Output of turn %d:\n%s", turn, shown)
        return shown, outcome

    def _after_lm_error(self, error: dspy.LMError) -> Steps[Outcome]:
        """Ends a run whose LM failed with what it has found, if anything."""
        if self.trajectory:
            logger.warning("The root LM failed (%s); the answer is drawn up from what was found.", error)
            return (yield from self._draw_up("error"))
        if isinstance(error, dspy.LMConfigurationError):
            raise error
        raise FatalError(
            f"The root LM failed on the first turn ({error}); try again, or name another model."
        ) from error

    def _draw_up(self, reason: TerminationReason) -> Steps[Outcome]:
        """Asks for the outputs, at a second try with less to read."""
        told, record = extract_inputs(self.task)
        fault: Exception | str = ""
        for limit in (None, _SMALL_CHARS):
            texts = {told: self.introduction, record: self._transcript()}
            if limit is not None:
                texts = {name: clip(text, limit) for name, text in texts.items()}
            meter = Meter()
            try:
                answer = yield Ask(self.extract, texts, meter)
            except (dspy.AdapterParseError, dspy.LMError) as error:
                fault = error
                continue
            finally:
                self.ledger.settle("extract", meter.spent)
            values = {name: getattr(answer, name) for name in self.task.output_fields if hasattr(answer, name)}
            checked = check_outputs(self.task, self.inputs, values)
            if isinstance(checked, Accepted):
                return Outcome(checked.values, reason, _DRAWN_UP)
            fault = " ".join(checked.faults)
        cause = fault if isinstance(fault, Exception) else None
        message = " ".join(str(fault).split())
        raise FatalError(
            f"The run ended without an answer, and none could be drawn up from its record ({clip(message, 500)}); "
            "look at `.partial` for what was found, and raise max_iters or name another model."
        ) from cause

    def _transcript(self) -> str:
        turns = (
            f"--- Turn {number}\n{turn['reasoning']}\n\nCode:\n{turn['code']}\n\nOutput:\n{turn['output']}"
            for number, turn in enumerate(self.trajectory, 1)
        )
        return harmless("\n\n".join(turns)) or "(Nothing was done.)"


def _read_action(answer: Any) -> _Action:
    """A predictor's answer as an action, whoever made the predictor."""
    code = getattr(answer, "code", None)
    return _Action(str(getattr(answer, "reasoning", None) or ""), extract_code(getattr(code, "code", code)))
