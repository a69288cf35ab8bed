"""`MemorySystem`: a program that takes in years of chats and answers dated questions, or says that it doesn't know."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import dspy

from rlm_module import RLM, Budget, Spent, spending
from rlm_module.driver import adrive, drive
from rlm_module.errors import FatalError, InputError, LimitReached, describe
from rlm_module.memory import forgetting, tools
from rlm_module.memory.answering import DELEGATION, OBSERVING, READING, MemoryQA, settled
from rlm_module.memory.asking import MemoryPredict
from rlm_module.memory.data import Session, Turn
from rlm_module.memory.forgetting import Erased, Target, known_by, session_ids, texts_of
from rlm_module.memory.found import IngestReport
from rlm_module.memory.inquiry import Inquiry
from rlm_module.memory.observing import Estimate, Observer, ObserverReport
from rlm_module.memory.owned_runs import OwnedRuns
from rlm_module.memory.prediction import MemoryPrediction, abstained, after_failure, answered
from rlm_module.memory.reading import Reader, ReadSession, lines_of, shown, told
from rlm_module.memory.steps import Ask, Steps
from rlm_module.memory.store import MemoryStore, UserMemory
from rlm_module.memory.support import Answered, CheckAnswer, is_supported, later_turns
from rlm_module.signatures import act_signature


@dataclass(frozen=True, slots=True)
class Ingested:
    """What taking in sessions did.

    Args:
        sessions: To the store.
        observed: What was learned from them, where there is an observer.
    """

    sessions: IngestReport
    observed: ObserverReport | None = None


class Shared:
    """What copies of a program share and no copy is saved with: its store."""

    def __init__(self, store: MemoryStore | None) -> None:
        self.store = store

    @property
    def required(self) -> MemoryStore:
        """The store.

        Raises:
            InputError: If there is none, as in a program that was loaded whole.
        """
        if self.store is None:
            raise InputError("This memory was loaded without its store; set `memory.store` to one.")
        return self.store

    def __deepcopy__(self, memo: dict[int, Any]) -> Shared:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return Shared, (None,)


class MemorySystem(dspy.Module):
    """Answers questions over the chats of a user, as of a date, with the turns that bear the answer out.

    An RLM searches and reads the user's memory with tools that can reach nobody else's and nothing later; what it
    answers is checked against the turns it cites.

    Args:
        store: Where sessions are kept; many users may share it.
        user: Whose memory; may be given with each call instead.
        observer: Learns typed observations from what is ingested; without one the system works on the sessions alone.
        delegates: Whether sub-models read sessions (`ask_session`, `map_sessions`).
        sub_lm: The LM that reads sessions. Default: the root's.
        max_iters: Turns of the root LM.
        max_llm_calls: Sub-calls in one question, sessions read by sub-models included.
        budget: What one question may cost, the check of its answer included.
        concurrency: Sessions read at once.
        journal: Folder in which runs are recorded.
        interpreter_factory: Makes the interpreter of a run.
        zone: Where times are read that generated code writes without a zone.
    """

    def __init__(
        self,
        store: MemoryStore,
        user: str | None = None,
        *,
        observer: Observer | None = None,
        delegates: bool = True,
        sub_lm: Any = None,
        max_iters: int = 20,
        max_llm_calls: int = 100,
        budget: Budget | None = None,
        concurrency: int = 16,
        journal: str | None = None,
        interpreter_factory: Callable[[], Any] | None = None,
        zone: dt.tzinfo = dt.UTC,
    ) -> None:
        super().__init__()
        self._shared = Shared(store)
        self.user = user
        self.observer = observer
        self.delegates = delegates
        self.zone = zone
        self.budget = budget or Budget()
        offered = [*tools.READING_TOOLS]
        strategy = [DELEGATION if delegates else READING]
        if observer is not None:
            offered += tools.OBSERVATION_TOOLS
            strategy.append(OBSERVING)
        if delegates:
            offered += tools.DELEGATION_TOOLS
        self.answer: Any = RLM(
            MemoryQA,
            tools=offered,
            sub_lm=sub_lm,
            max_iters=max_iters,
            max_llm_calls=max_llm_calls,
            max_depth=1 if delegates else 0,
            concurrency=concurrency,
            tool_seconds=900.0,
            journal=journal,
            interpreter_factory=interpreter_factory,
        )
        self.answer.generate_action.signature = act_signature(MemoryQA, *strategy)
        self.read: Any = MemoryPredict(ReadSession)
        self.check: Any = MemoryPredict(CheckAnswer)

    @property
    def store(self) -> MemoryStore:
        """Where sessions are kept; a program that was loaded whole has none until it is set."""
        return self._shared.required

    @store.setter
    def store(self, store: MemoryStore) -> None:
        self._shared = Shared(store)

    def memory(self, user: str | None = None) -> UserMemory:
        """A user's part of the store.

        Raises:
            InputError: If neither the call nor the system says whose.
        """
        name = self.user if user is None else user
        if not isinstance(name, str) or not name:
            raise InputError("Nobody is named whose memory is meant; pass user=, here or to MemorySystem.")
        return self.store.user(name)

    def ingest(
        self,
        sessions: Iterable[Session],
        *,
        user: str | None = None,
        replace: bool = False,
        budget: Budget | None = None,
    ) -> Ingested:
        """Takes in sessions, and has those observed that are new.

        Args:
            sessions: In any order; those that are there already change nothing.
            user: Whose.
            replace: Whether a session with other turns than before takes the old one's place.
            budget: What the observer may spend; what is left over stays pending.
        """
        memory = self.memory(user)
        report = memory.ingest(sessions, replace=replace)
        return Ingested(report, None if self.observer is None else self.observer.observe(memory, budget=budget))

    def estimate(self, user: str | None = None) -> Estimate:
        """What observing would cost now: new sessions, or all of them after a change of the observer.

        Raises:
            InputError: If there is no observer.
        """
        if self.observer is None:
            raise InputError("This memory has no observer; pass observer=Observer() to MemorySystem.")
        return self.observer.estimate(self.memory(user))

    def session_id(self, caller_id: str, user: str | None = None) -> str | None:
        """What the memory calls a session that the caller knows by another id."""
        return self.memory(user).session_id(caller_id)

    def forget_turn(self, turn_id: str, *, user: str | None = None, purge: bool = False) -> Erased:
        """Removes a turn, and the observations that rest on it or superseded one of these.

        Args:
            turn_id: The turn.
            user: Whose. Default: the system's user.
            purge: Whether nothing may be left of it on disk: its bytes go from the store's files, and with them all
                runs of the user that the system's `journal` holds, and replies in dspy's cache that tell of the turn
                or name a session of the user. A call that was killed can be made again, so that a turn that isn't there
                counts as forgotten before. That takes time in proportion to all of these.

        Raises:
            InputError: If the user has no such turn, or a run of the user is under way that is to be deleted.
            StoreBusyError: If others kept a file from being purged; the same call does the rest.
        """
        memory, name = self.memory(user), known_by("turn", turn_id)
        forget = partial(memory.forget_turn, name, purge=purge)
        return self._forget(memory, Target(forget, lambda: [memory.get_turn(name).text]), purge)

    def forget_session(self, session_id: str, *, user: str | None = None, purge: bool = False) -> Erased:
        """The same for a session, by the id that `session_id` tells."""
        memory, name = self.memory(user), known_by("session", session_id)
        forget = partial(memory.forget_session, name, purge=purge)
        return self._forget(memory, Target(forget, lambda: texts_of(memory, [name])), purge)

    def forget_user(self, user: str | None = None, *, purge: bool = False) -> Erased:
        """The same for all there is of a user."""
        memory = self.memory(user)
        forget = partial(memory.forget_user, purge=purge)
        return self._forget(memory, Target(forget, lambda: texts_of(memory, session_ids(memory))), purge)

    def forward(self, question: str, as_of: dt.datetime | None = None, user: str | None = None) -> MemoryPrediction:
        """Answers a question.

        Args:
            question: In words.
            as_of: When it is asked: nothing later counts. Default: now.
            user: Whose memory. Default: the system's user.

        Returns:
            `answer`, `evidence`, `turns`, `abstained`, `reason` ("no_evidence", "unsupported" or "budget") and `note`.

        Raises:
            InputError: If the question is empty, the time names no zone, or nobody is named.
            FatalError: If the run failed before it found anything, or its answer could not be checked; `partial` is the
                run, with the answer among its `outputs`.
        """
        return drive(self._steps(question, as_of, user), Ask.call)

    async def aforward(
        self, question: str, as_of: dt.datetime | None = None, user: str | None = None
    ) -> MemoryPrediction:
        """The same without blocking the event loop."""
        return await adrive(self._steps(question, as_of, user), Ask.acall)

    def _steps(self, question: Any, as_of: Any, user: str | None) -> Steps[MemoryPrediction]:
        if not isinstance(question, str) or not question.strip():
            raise InputError("The question is empty; ask something.")
        with spending(self.budget) as spent:
            inquiry = self._inquiry(known_at(as_of), user)
            if (yield Ask(is_empty, {"memory": inquiry.memory})):
                return abstained("no_evidence", f"The memory holds nothing from {shown(inquiry.as_of)} or before.")
            found = yield from self._found(inquiry, question, spent)
            return found.after(spent.usage)

    def _found(self, inquiry: Inquiry, question: str, spent: Spent) -> Steps[MemoryPrediction]:
        """An answer, if one was found that follows from the turns it cites."""
        try:
            with inquiry.open(), self._runs(inquiry.memory).marked():
                found = yield Ask(self.answer, {"question": question, "as_of": inquiry.as_of})
        except FatalError as error:
            return after_failure(error)
        run = found.run
        answer, turns = yield Ask(_cited, {"inquiry": inquiry, "found": found})
        if answer is None or not turns:
            is_cut_short = run.termination_reason.startswith("budget")
            note = (
                ""
                if run.termination_reason == "submitted"
                else "The run submitted nothing, and no answer was drawn up."
            )
            return abstained("budget" if is_cut_short else "no_evidence", note, run)
        later = yield Ask(later_turns, {"inquiry": inquiry, "question": question, "answer": answer, "turns": turns})
        own = getattr(self.check, "lm", None) or getattr(self.answer.generate_action, "lm", None)
        matter = f"{question[:2_000]} {answer[:2_000]}"
        inputs = {
            "question": question,
            "as_of": shown(inquiry.as_of),
            "answer": answer,
            "turns": lines_of(turns, about=matter),
            "later": lines_of(later, 2_000, about=matter),
        }
        try:
            verdict = yield Ask(self.check, inputs if own is None else {**inputs, "lm": spent.lm(own)})
        except LimitReached:
            return abstained("budget", "Nothing is left of the budget to check the answer with.", run)
        except dspy.AdapterParseError:
            return abstained("unsupported", "The check of the answer could not be read.", run)
        except dspy.LMError as error:  # whether it follows is not known, and the run is paid for
            raise FatalError(f"The answer could not be checked: {describe(error)[:1_000]}", run) from error
        if not is_supported(verdict, Answered(question=question, as_of=inquiry.as_of, answer=answer, turns=turns)):
            return abstained("unsupported", "The turns cited do not bear the answer out.", run)
        return answered(answer, turns, run)

    def _forget(self, memory: UserMemory, target: Target, purge: bool) -> Erased:
        return forgetting.purge(self.store, memory, self._runs(memory), target) if purge else Erased(target.forget())

    def _runs(self, memory: UserMemory) -> OwnedRuns:
        """The recorded runs of a user."""
        return OwnedRuns(getattr(self.answer, "journal", None), memory.name)

    def _inquiry(self, as_of: dt.datetime, user: str | None) -> Inquiry:
        name = self.user if user is None else user
        self.memory(name)
        memory = self.store.user(str(name), as_of=as_of)
        own = getattr(self.answer.generate_action, "lm", None)
        lm = self.answer.sub_lm or getattr(self.read, "lm", None) or own or dspy.settings.lm
        reader = Reader(self.read, lm, self.answer.concurrency) if self.delegates else None
        return Inquiry(memory=memory, as_of=as_of, reader=reader, zone=self.zone)


def is_empty(memory: UserMemory) -> bool:
    """Whether nothing of a user is known."""
    return not memory.list_sessions(limit=1).items


def known_at(as_of: Any) -> dt.datetime:
    """The time of a question; None is now.

    Raises:
        InputError: If it is no time, or names no zone.
    """
    if as_of is None:
        return dt.datetime.now(dt.UTC)
    if not isinstance(as_of, dt.datetime):
        raise InputError(
            f"as_of is a datetime, not {type(as_of).__name__}; pass one, such as datetime.now(datetime.UTC)."
        )
    if as_of.tzinfo is None:
        raise InputError(f"The time {as_of.isoformat()} names no zone; give it one, such as tzinfo=datetime.UTC.")
    return as_of


def _cited(inquiry: Inquiry, found: Any) -> tuple[str | None, list[Turn]]:
    """The answer of a run, and those of its turns that exist and were read."""
    if isinstance(found.answer, list):
        turns = {turn.id: turn for turn in inquiry.turns(claim.turn for claim in found.answer)}
        newest = settled(found.answer, turns)
        return (None, []) if newest is None else (newest[0], [turns[name] for name in newest[1]])
    turns = inquiry.turns(found.evidence)
    return told(found.answer, turns), turns
