"""A user's memory as lines of JSON: what `export` gives and `restore` takes."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from rlm_module.errors import InputError
from rlm_module.memory.data import MAX_TURNS, Id, Moment, Observation, Role, Text, fault


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ExportedTurn(_Line):
    """A turn with its place, since turns that were forgotten leave gaps.

    Args:
        position: Counted from 0 in its session.
        role: By whom.
        text: In which words.
        ts: When.
    """

    position: int = Field(ge=0, lt=MAX_TURNS)
    role: Role
    text: Text
    ts: Moment


class ExportedSession(_Line):
    """A session.

    Args:
        type: Tells it from an observation.
        id: The caller's own.
        public_id: The opaque one, to which turn ids of observations refer.
        started_at: When it began.
        length: How many turns it was ever given.
        turns: Those that are left.
        observed: Up to which position which observer has read it.
    """

    type: Literal["session"] = "session"
    id: Id
    public_id: str
    started_at: Moment
    length: int = Field(ge=0, le=MAX_TURNS)
    turns: tuple[ExportedTurn, ...]
    observed: dict[str, int] = {}

    @model_validator(mode="after")
    def _within_its_length(self) -> ExportedSession:
        if fault := self.fault():
            raise ValueError(fault)
        return self

    def fault(self) -> str | None:
        """What is wrong with its places, which a copy with other values may have; None where nothing is."""
        places = [turn.position for turn in self.turns]
        if not 0 <= self.length <= MAX_TURNS:
            return f"its length is {self.length}, not 0 to {MAX_TURNS:,}"
        if places != sorted(set(places)) or any(not 0 <= place < self.length for place in places):
            return "its turns are at wrong positions"
        if any(not 0 <= through <= self.length for through in self.observed.values()):
            return "an observer has read more of it than there was"
        return None


class ExportedObservation(_Line):
    """An observation.

    Args:
        type: Tells it from a session.
        session_id: The opaque id of the session it was made of.
        observation: The observation, with its id.
        known_at: When the latest was known of what it was made of; None is when the session's last turn was said.
    """

    type: Literal["observation"] = "observation"
    session_id: str
    observation: Observation
    known_at: Moment | None = None


ExportedLine: TypeAlias = ExportedSession | ExportedObservation

_LINE: TypeAdapter[ExportedLine] = TypeAdapter(Annotated[ExportedLine, Field(discriminator="type")])


def read_line(text: str | bytes) -> ExportedLine:
    """The line that `model_dump_json` wrote.

    Raises:
        InputError: If it is none.
    """
    try:
        return _LINE.validate_json(text)
    except ValidationError as error:
        raise InputError(f"A line is not of an exported memory: {fault(error)}.") from error
