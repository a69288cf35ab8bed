"""The observer: reads what was ingested, session by session, and keeps what it learns in the store."""

from __future__ import annotations

import contextvars
import hashlib
import logging
import re
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import dspy

from rlm_module import Budget, price_of, spending
from rlm_module.errors import FatalError, InputError, LimitReached, describe
from rlm_module.events import Usage
from rlm_module.memory.asking import MemoryPredict
from rlm_module.memory.data import Observation, Turn
from rlm_module.memory.found import Pending
from rlm_module.memory.noticing import ObserveSession, as_noticed, believed
from rlm_module.memory.reading import as_data, windows
from rlm_module.memory.store import UserMemory

logger = logging.getLogger(__name__)

_WINDOW_CHARS = 60_000
_LOG_ENTRIES = 40
_LOG_CHARS = 200
_CHARS_PER_TOKEN = 4
_PROMPT_TOKENS = 2_500
_REPLY_TOKENS = 600
_HOPELESS = 20
"""So many sessions may fail before one is read; after that, none would be."""

_FAULT_CHARS = 300
_BEYOND_SESSIONS = (
    dspy.LMAuthError,
    dspy.LMBillingError,
    dspy.LMConfigurationError,
    dspy.LMTransportError,
    dspy.LMUnsupportedModelError,
)
"""What no session is to blame for."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What observing would take, before it is done: an estimate from the length of the texts.

    Args:
        sessions: Sessions to read.
        turns: Turns in them.
        calls: LM calls.
        prompt_tokens: Tokens to send.
        completion_tokens: Tokens to get back.
        cost_usd: US dollars; None where the LM's price is not known.
    """

    sessions: int
    turns: int
    calls: int
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float | None


@dataclass(frozen=True, slots=True)
class ObserverReport:
    """What observing did.

    Args:
        sessions: Sessions read to their end.
        observations: Observations kept.
        dropped: What the model said and no turn bears out.
        failed: Sessions that could not be read; they stay pending.
        faults: Of each of these, its id and why, in a sentence.
        is_cut_short: Whether the budget ended before the sessions did; the rest stays pending.
        usage: LM usage; `usage.cost_usd` is None where a price is not known.
        seconds: Wall time.
    """

    sessions: int
    observations: int
    dropped: int
    failed: int
    faults: tuple[str, ...]
    is_cut_short: bool
    usage: Usage
    seconds: float


@dataclass(frozen=True, slots=True)
class _Made:
    session_id: str
    observations: Sequence[Observation] = ()
    dropped: int = 0
    error: Exception | None = None


class Observer(dspy.Module):
    """Learns typed observations from sessions, several at a time.

    Each session is marked in the store as soon as its observations are, in one transaction: whatever ends the process,
    at most the sessions being read are paid for again. A change of the instructions, the demos, or `version` makes
    another observer of it, for which all sessions are pending again.

    Args:
        lm: The LM that reads. Default: the one dspy is configured with.
        version: Named by whoever wants everything observed anew, as after a change of the LM.
        concurrency: Sessions read at once. Those see only what was learned before the first of them.
        window_chars: How much of a session one call reads.
    """

    def __init__(
        self, lm: Any = None, *, version: str = "1", concurrency: int = 8, window_chars: int = _WINDOW_CHARS
    ) -> None:
        super().__init__()
        if concurrency < 1 or window_chars < 1:
            raise InputError("An observer's concurrency and window_chars must be at least 1.")
        self.observe_session: Any = MemoryPredict(ObserveSession)
        self.observe_session.lm = lm
        self.version = version
        self.concurrency = concurrency
        self.window_chars = window_chars

    @property
    def name(self) -> str:
        """By which the store knows what it has observed."""
        predictor = self.observe_session
        learned = f"{predictor.signature.instructions}\n{predictor.demos!r}"
        return f"{self.version}-{hashlib.sha256(learned.encode()).hexdigest()[:12]}"

    def estimate(self, memory: UserMemory, budget: Budget | None = None) -> Estimate:
        """What observing the pending sessions would cost.

        Args:
            memory: Whose.
            budget: Holds prices of LMs that are not known otherwise.
        """
        pending = list(self._pending(memory))
        calls = sum(1 + one.chars // self.window_chars for one in pending)
        prompt = sum(one.chars for one in pending) // _CHARS_PER_TOKEN + calls * _PROMPT_TOKENS
        reply = calls * _REPLY_TOKENS
        price = price_of(self.observe_session.lm or dspy.settings.lm, budget or Budget())
        cost = 0.0 if not calls else None if price is None else price.prompt * prompt + price.completion * reply
        return Estimate(len(pending), sum(one.turns for one in pending), calls, prompt, reply, cost)

    def observe(self, memory: UserMemory, *, budget: Budget | None = None) -> ObserverReport:
        """Reads all sessions that are pending.

        Args:
            memory: Whose.
            budget: What it may spend; what does not fit stays pending.

        Raises:
            FatalError: If the LM cannot be reached or used, or none of several sessions could be read. One that cannot
                be read beside others that can is in the report, and stays pending.
        """
        began = time.monotonic()
        pending = list(self._pending(memory))
        log = _Log(memory, {one.session_id for one in pending if one.first == 0})
        made: list[_Made] = []
        with spending(budget or Budget()) as spent:
            own = self.observe_session.lm
            lm = dspy.settings.lm if own is None else spent.lm(own)
            for batch in (pending[at : at + self.concurrency] for at in range(0, len(pending), self.concurrency)):
                results = self._batch(memory, batch, log, lm)
                made += results
                if any(isinstance(one.error, LimitReached) for one in results):
                    break
                if all(isinstance(one.error, _BEYOND_SESSIONS) for one in results):
                    raise _hopeless(results)
                if len(made) >= _HOPELESS and all(one.error is not None for one in made):
                    break
                for one in results:
                    log.add(one.observations)
        if len(made) > 1 and not any(one.error is None or isinstance(one.error, LimitReached) for one in made):
            raise _hopeless(made)
        return _report(made, spent.usage.total, time.monotonic() - began)

    def _batch(self, memory: UserMemory, batch: Sequence[Pending], log: _Log, lm: Any) -> list[_Made]:
        with ThreadPoolExecutor(len(batch), "rlm-observer") as pool:
            contexts = [contextvars.copy_context() for _ in batch]
            return list(pool.map(lambda context, one: context.run(self._one, memory, one, log, lm), contexts, batch))

    def _one(self, memory: UserMemory, pending: Pending, log: _Log, lm: Any) -> _Made:
        """Reads what is new of a session, and writes down each part when it is read."""
        made: list[Observation] = []
        dropped = 0
        try:
            turns = memory.get_session(pending.session_id).turns
            first = pending.first
            new = [turn for turn in turns if _position(turn) >= first]
            for part in _parts(new, self.window_chars):
                through = _position(part[-1]) + 1
                entries = log.about(part)
                found, missed = self._read(part, entries, lm)
                shown = [entry.id for entry in entries]
                ids = memory.observe(
                    pending.session_id, found, observer=self.name, first=first, through=through, log=shown
                )
                made += [one.model_copy(update={"id": name}) for one, name in zip(found, ids, strict=True)]
                dropped, first = dropped + missed, through
        except (dspy.LMNotConfiguredError, dspy.LMConfigurationError):
            raise
        except Exception as error:
            if not isinstance(error, LimitReached):
                logger.warning("Session %s could not be observed: %s", pending.session_id, _fault(error))
            return _Made(pending.session_id, made, dropped, error)
        return _Made(pending.session_id, made, dropped)

    def _read(self, turns: Sequence[Turn], entries: Sequence[Observation], lm: Any) -> tuple[list[Observation], int]:
        shown = "\n".join(
            as_data({"id": one.id, "subject": one.subject, "value": one.value[:_LOG_CHARS]}) for one in entries
        )
        found: list[Any] = []
        for lines in windows(turns, self.window_chars):
            with dspy.context(send_stream=None):
                reply = self.observe_session(session=lines, log=shown, lm=lm)
            found += as_noticed(reply.observations)
        return believed(found, turns, {one.id: one for one in entries})

    def _pending(self, memory: UserMemory) -> Iterator[Pending]:
        cursor = None
        while True:
            page = memory.pending(self.name, limit=1_000, cursor=cursor)
            yield from (one for one in page.items if one.turns)  # those left may have been forgotten
            cursor = page.cursor
            if cursor is None:
                return


class _Log:
    """What is known of a user, out of which each session is shown a little.

    Args:
        memory: Whose.
        stale: Sessions that are to be observed from their beginning: what was learned from them before goes then, and
            what superseded it.
    """

    def __init__(self, memory: UserMemory, stale: Collection[str]) -> None:
        known: list[Observation] = []
        cursor = None
        while True:
            page = memory.observations(limit=1_000, cursor=cursor)
            known += page.items
            cursor = page.cursor
            if cursor is None:
                break
        later = {one.id for one in known if any(_session(source) in stale for source in one.source_turn_ids)}
        gone: set[str] = set()
        while later:
            gone |= later
            later = {one.id for one in known if one.supersedes in later} - gone
        self._entries: list[Observation] = []
        self.add(one for one in known if one.id not in gone)

    def add(self, observations: Iterable[Observation]) -> None:
        """Takes in what was learned of the user, and drops what it supersedes."""
        new = [*self._entries, *(one for one in observations if one.kind != "assistant_output")]
        gone = {one.supersedes for one in new}
        self._entries = [one for one in new if one.id not in gone]

    def about(self, turns: Sequence[Turn]) -> list[Observation]:
        """The entries, stated before the turns, that share most words with them, and the latest of equals."""
        last, sources = turns[-1].ts, {turn.id for turn in turns}
        words = {word for turn in turns for word in _words(turn.text[:_WINDOW_CHARS])}
        ranked = sorted(
            (
                (len(_words(f"{one.subject} {one.value}") & words), one.stated_at, one.id, one)
                for one in self._entries
                if one.stated_at <= last and not sources.intersection(one.source_turn_ids)
            ),
            key=lambda entry: entry[:3],
        )
        return [entry[3] for entry in ranked[-_LOG_ENTRIES:]]


def _hopeless(made: Sequence[_Made]) -> FatalError:
    first = next(one.error for one in made if one.error is not None)
    sessions = "The session" if len(made) == 1 else f"None of {len(made)} sessions"
    could = "could not" if len(made) == 1 else "could"
    fatal = FatalError(f"{sessions} {could} be observed ({_fault(first)}); see to the LM, or name another.")
    fatal.__cause__ = first
    return fatal


def _fault(error: Exception) -> str:
    """The first paragraph of an error: what follows are prompts, replies and advice."""
    text = " ".join(describe(error).strip().split("\n\n")[0].split())
    return text if len(text) <= _FAULT_CHARS else f"{text[:_FAULT_CHARS]}…"


def _report(made: Sequence[_Made], usage: Usage, seconds: float) -> ObserverReport:
    errors = [one.error for one in made if one.error is not None]
    limits = sum(isinstance(error, LimitReached) for error in errors)
    failed = [(one.session_id, one.error) for one in made if one.error and not isinstance(one.error, LimitReached)]
    return ObserverReport(
        sessions=len(made) - len(errors),
        observations=sum(len(one.observations) for one in made),
        dropped=sum(one.dropped for one in made),
        failed=len(failed),
        faults=tuple(f"Session {name} could not be observed ({_fault(error)})." for name, error in failed),
        is_cut_short=limits > 0,
        usage=usage,
        seconds=seconds,
    )


def _parts(turns: Sequence[Turn], chars: int) -> Iterator[list[Turn]]:
    """Whole turns, as many as one call reads; a turn that is longer than that comes alone."""
    part: list[Turn] = []
    length = 0
    for turn in turns:
        if part and length + len(turn.text) > chars:
            yield part
            part, length = [], 0
        part.append(turn)
        length += len(turn.text)
    if part:
        yield part


def _position(turn: Turn) -> int:
    return int(turn.id.rpartition(".")[2])


def _session(turn_id: str) -> str:
    return turn_id.rpartition(".")[0]


def _words(text: str) -> set[str]:
    return set(re.findall(r"[^\W_]{4,}", text.casefold()))
