"""Questions about what was said in a chat history, as of a date."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, Self

import dspy
import pydantic

from rlm_module.signatures.citing import needs_evidence
from rlm_module.signatures.grounded import Ungrounded, names_listed
from rlm_module.signatures.history import ChatHistory, is_known
from rlm_module.signatures.inputs import short


class TurnQuote(pydantic.BaseModel):
    """Words of a turn: the session's id, the turn's number in it, counted from 0, and what it says, word for word."""

    session: str
    turn: int
    quote: str = pydantic.Field(min_length=1, max_length=10_000)

    def check_against(self, inputs: Mapping[str, Any]) -> None:
        """Refuses a quote that the turn does not hold, or that is later than the input `as_of`, if there is one.

        Raises:
            Ungrounded: With the turn that holds it, if there is only one.
        """
        histories = [value for value in inputs.values() if isinstance(value, ChatHistory)]
        moment = inputs.get("as_of")
        sessions = {session.id: session for history in histories for session in history.sessions}
        session = sessions.get(self.session)
        turns = session.turns if session else ()
        if session and 0 <= self.turn < len(turns) and self.quote in turns[self.turn].text:
            if moment is None or is_known(session.time_of(turns[self.turn]), moment):
                return
            raise Ungrounded(f"that turn is not known to be from {moment} or before; use earlier ones only.")
        places = [
            (session.id, number)
            for session in sessions.values()
            for number, turn in enumerate(session.turns)
            if self.quote in turn.text and (moment is None or is_known(session.time_of(turn), moment))
        ]
        if session is None:
            fault = f"there is no session {short(self.session)!r}, only {names_listed(list(sessions))}"
        else:
            fault = f"turn {self.turn} of session {short(self.session)!r} does not hold the quote"
        raise self._fault(fault, places)

    def _fault(self, fault: str, places: list[tuple[str, int]]) -> Ungrounded:
        if not places:
            return Ungrounded(f"{fault}, and no other turn that counts does; copy it from the turn's text.")
        name, number = places[0]
        if len(places) > 1:
            return Ungrounded(f"{fault}; several do, such as turn {number} of {short(name)!r}: name the one meant.")
        mended = self.model_copy(update={"session": name, "turn": number})
        return Ungrounded(f"{fault}; it stands in turn {number} of session {short(name)!r}.", mended)


class ChatQA(dspy.Signature):
    """Answer the question from the chat history alone, as of the date given, and quote the turns that bear it out.

    Only what was said up to that date counts, and where later turns correct earlier ones, the latest of those does.
    Search all sessions by code, for the question's words and for other words for the same thing; read what stands
    around each hit; work out dates from the timestamps. A question about several sessions needs all of them: list
    what each says before you add up or compare. If the history doesn't answer the question, or the question assumes
    what was never said, submit None and no evidence.
    """

    history: ChatHistory = dspy.InputField()
    question: str = dspy.InputField()
    as_of: dt.datetime | dt.date | None = dspy.InputField(
        desc="When the question is asked; None for after all that was said", default=None
    )
    answer: str | None = dspy.OutputField(desc="None if the history doesn't answer the question")
    evidence: list[TurnQuote] = dspy.OutputField(desc="What bears the answer out")

    @pydantic.model_validator(mode="after")
    def _answer_has_evidence(self, info: pydantic.ValidationInfo) -> Self:
        return needs_evidence(self, info, "evidence")
