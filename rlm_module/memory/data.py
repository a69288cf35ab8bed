"""What a memory holds: sessions of turns, and observations made of them.

These are records of a store: validated, frozen, every time aware of its zone. `rlm_module.signatures.Session` and
`Turn` are something else: the shape in which a chat history is handed to a task's sandbox, where a time may be missing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias, cast, get_args

import pydantic
from pydantic import BaseModel, ConfigDict, Field, ValidationInfo

from rlm_module.errors import InputError
from rlm_module.memory.times import settled

Role: TypeAlias = Literal["user", "assistant", "system", "tool"]
ObservationKind: TypeAlias = Literal["fact", "preference", "event", "plan", "update", "assistant_output"]
OBSERVATION_KINDS: tuple[ObservationKind, ...] = get_args(ObservationKind)

MAX_TURNS = 1 << 20
"""How many turns a session can have."""

_MAX_ID_CHARS = 512


def _in_zone(moment: dt.datetime, info: ValidationInfo) -> dt.datetime:
    context = cast("Mapping[str, Any] | None", info.context)
    return settled(moment, context.get("zone", dt.UTC) if context else dt.UTC)


Moment: TypeAlias = Annotated[dt.datetime, pydantic.AfterValidator(_in_zone)]
"""A time with its offset from UTC; one that names no zone is read in that of the validation context, or in UTC."""


def _of_whole_characters(text: str) -> str:
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise ValueError("there is half of a character in it, a lone surrogate, which no file can hold") from error
    return text


Text: TypeAlias = Annotated[str, pydantic.AfterValidator(_of_whole_characters)]
"""Text that UTF-8 can hold."""

Id: TypeAlias = Annotated[Text, Field(min_length=1, max_length=_MAX_ID_CHARS)]
"""A short text that is not empty."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Turn(_Record):
    """What was said.

    Args:
        role: By whom.
        text: In which words, which may be none.
        ts: When.
        id: What the store calls it, such as `k3x7q2ma.12`; what is ingested needs none, and loses one it has.
    """

    role: Role
    text: Text
    ts: Moment
    id: str = ""


class Session(_Record):
    """One conversation.

    Args:
        id: What it is known by: in what is ingested, the caller's own id; in what a store returns, an opaque one.
        started_at: When it began.
        turns: In order; where they are validated as dicts, one without `ts` was said when the session began.
    """

    id: Id
    started_at: Moment
    turns: tuple[Turn, ...] = Field(min_length=1, max_length=MAX_TURNS)

    @pydantic.model_validator(mode="before")
    @classmethod
    def _with_times(cls, given: Any) -> Any:
        """Gives its turns the session's time where they have none."""
        if not isinstance(given, Mapping) or not isinstance(given.get("turns"), (list, tuple)):
            return cast("Any", given)
        fields = cast("Mapping[str, Any]", given)
        start = fields.get("started_at")
        turns = [
            {**turn, "ts": start} if isinstance(turn, dict) and turn.get("ts") is None else turn
            for turn in cast("list[Any]", fields["turns"])
        ]
        return {**fields, "turns": turns}


class Observation(_Record):
    """What was learned from turns.

    Args:
        kind: Of what sort it is; `assistant_output` is what the assistant said, and no claim about the user.
        subject: What it is about, in a few words; `timeline` collects by it, whatever its case.
        value: What is so.
        stated_at: When it was said.
        refers_start: When what was said began to be so, or was, if that could be computed.
        refers_end: When it ended.
        supersedes: The id of an earlier observation that no longer holds because of this one.
        source_turn_ids: The turns that say so, by the ids that the store gave them.
        id: What the store calls it; a new one needs none.
    """

    kind: ObservationKind
    subject: Id
    value: Text
    stated_at: Moment
    refers_start: Moment | None = None
    refers_end: Moment | None = None
    supersedes: str | None = None
    source_turn_ids: tuple[str, ...] = Field(min_length=1)
    id: str = ""

    @pydantic.model_validator(mode="after")
    def _in_order(self) -> Observation:
        if self.refers_start and self.refers_end and self.refers_end < self.refers_start:
            raise ValueError("refers_end is before refers_start")
        return self


def read_session(value: Any, zone: dt.tzinfo = dt.UTC) -> Session:
    """A session from JSON-like data.

    Args:
        value: A dict with `id`, `started_at` and `turns`, which have `role`, `text` and perhaps `ts`.
        zone: Where times that name no zone are read.

    Raises:
        InputError: If it is no session, in one sentence.
    """
    try:
        return Session.model_validate(value, context={"zone": zone})
    except pydantic.ValidationError as error:
        name = cast("Mapping[str, Any]", value).get("id") if isinstance(value, Mapping) else None
        raise InputError(f"Session {str(name)[:80]!r} cannot be read: {fault(error)}.") from error


def fault(error: pydantic.ValidationError) -> str:
    """The first of its faults, as the place and what is wrong there."""
    first = error.errors(include_url=False, include_context=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    shown = "" if first["type"] == "missing" else f", not {_short(first['input'])}"
    text = first["msg"].removeprefix("Value error, ")
    return f"{place or 'it'}: {text[:1].lower()}{text[1:]}{shown}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
