"""The simulated task model: it works as well as the advice in its messages lets it, and shows what it lacks."""

from __future__ import annotations

import random
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.compiling.advice import Case, Piece, Place, World, filler
from benchmarks.compiling.messages import Message, text_of
from tests.scripted import turn as cell

TURNS = 5
_SUB_CALLS, _LINES, _WORDS = 3, 8, 7
_CASE = re.compile(r"case-[a-z]+")
_SLIP = re.compile(r"slip ([a-z]+)")


class CapReachedError(Exception):
    """The harness refuses another program run."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What the harness saw of a run of an RLM as it began.

    Args:
        case: The example's name.
        part: Which RLM of the program it was; empty where the program is the RLM.
        strategy: The messages that hold its strategy.
        pieces: How many pieces of advice it holds.
        harms: How many harmful lines it holds.
    """

    case: str
    part: str
    strategy: str
    pieces: int
    harms: int


class TaskModel:
    """Root and sub-LM of every arm, and the harness's counter of program runs.

    Args:
        world: What it knows.
        cap: Runs after which it refuses to begin another one; None for no cap.
    """

    def __init__(self, world: World, cap: int | None = None) -> None:
        self.runs: list[Seen] = []
        self.refused = 0
        self._world = world
        self._cases = world.cases()
        self._cap = cap
        self._slips: dict[str, str] = {}
        self._words = filler(random.Random(f"filler {world.pieces[0].advice}"))
        self._lock = threading.Lock()

    def __call__(self, messages: Sequence[Message]) -> str:
        text = text_of(messages)
        with self._lock:
            if "`code`" not in text:
                return self._sub_reply(text)
            strategy = "\n".join(message.text for message in messages if message.role == "system")
            named = _CASE.search(text)
            if named is None:
                raise ValueError(f"No case is named in {text[-300:]!r}.")
            case, part = self._cases[named[0]], self._part(text)
            turn = max(map(int, re.findall(rf"{case.name}: step (\d) of {TURNS} done", text)), default=0) + 1
            harms = len(self._world.harmful(strategy))
            held = self._world.held(strategy)
            if turn == 1:
                self._begin(Seen(case.name, part, strategy, len(held), harms))
            missing = [piece for piece in self._needs(case, part) if piece not in held]
            return self._turn(turn, case, missing, self._answer(case, part, missing, text, harms))

    def _part(self, text: str) -> str:
        """Which RLM of the program it speaks for."""
        return ""

    def _needs(self, case: Case, part: str) -> Sequence[Piece]:
        """The pieces that a run of this RLM needs."""
        return case.needs

    def _shown(self, case: Case, missing: Sequence[Piece], place: Place) -> list[str]:
        """The symptoms that a run shows at a place."""
        return [piece.symptom for piece in missing if piece.place == place]

    def _begin(self, seen: Seen) -> None:
        if self._cap is not None and len(self.runs) >= self._cap:
            self.refused += 1
            raise CapReachedError(f"{self._cap} program runs are all there are.")
        self.runs.append(seen)

    def _turn(self, turn: int, case: Case, missing: Sequence[Piece], answer: str) -> str:
        done = f"print('{case.name}: ' + 'step {turn} of ' + '{TURNS} done')"
        match turn:
            case 1:
                return cell(f"print('{next(self._words)}')\n{done}")
            case 2:
                backwards = [line[::-1] for line in self._lines(self._shown(case, missing, "middle"))]
                return cell(f"lines = {backwards!r}\nfor line in lines:\n    print(line[::-1])\n{done}")
            case 3:
                prompts = self._prompts(self._shown(case, missing, "sub"))
                return cell(f"replies = llm_query_batched({prompts!r})\nprint(*replies, sep='\\n')\n{done}")
            case 4:
                return cell(f"print(len(' '.join(replies).split()), '{next(self._words)}')\n{done}")
            case _:
                return cell(answer, " ".join(["Submit.", *self._shown(case, missing, "final")]))

    def _lines(self, symptoms: Sequence[str]) -> list[str]:
        """Lines of filler, with each symptom somewhere in one of them."""
        lines = [[next(self._words) for _ in range(_WORDS)] for _ in range(_LINES)]
        for at, symptom in enumerate(symptoms):
            lines[(2 + 3 * at + len(self.runs)) % _LINES][_WORDS // 2] = symptom
        return [" ".join(line) for line in lines]

    def _prompts(self, symptoms: Sequence[str]) -> list[str]:
        """Prompts of sub-calls. What is answered to each is settled here, since sub-LMs see no strategy."""
        prompts: list[str] = []
        for number in range(_SUB_CALLS):
            slip, words = next(self._words), [next(self._words) for _ in range(3 * _WORDS)]
            self._slips[slip] = " ".join([*words[:_WORDS], *symptoms[number::_SUB_CALLS], *words[_WORDS:]])
            prompts.append(f"What do the notes say on {next(self._words)}? They are those of slip {slip}.")
        return prompts

    def _sub_reply(self, text: str) -> str:
        slip = _SLIP.search(text)
        if slip is None or slip[1] not in self._slips:  # such as drawing up the answer of a run that was refused
            raise CapReachedError("This is neither a turn nor a sub-call.")
        return f"They say: {self._slips[slip[1]]}."

    def _answer(self, case: Case, part: str, missing: Sequence[Piece], text: str, harms: int) -> str:
        """The last cell: a right word for each piece held, another for each missing, one too many for each harm."""
        words = [
            next(self._words) if piece in missing else right
            for piece, right in zip(case.needs, case.words, strict=True)
        ]
        return f"SUBMIT(answer={' '.join([*words, *self._too_many(harms)])!r})"

    def _too_many(self, harms: int) -> list[str]:
        return [next(self._words) for _ in range(harms)]
