"""Remembers chats and answers dated questions about them: `python examples/chat_memory.py [openai/gpt-5]`.

Without a model it plays what one would write, so that it shows how the parts fit with no key and no cost.
"""

from __future__ import annotations

import datetime as dt
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import dspy

from rlm_module.memory import MemorySystem, Session, SqliteStore, read_session

CHATS = [
    ("2024-03-01T18:00:00+01:00", "Any tips for keeping basil alive? I bought my third pot today."),
    ("2024-04-12T09:30:00+01:00", "The basil died again. I'm done with it; from now on I grow mint."),
    ("2024-05-20T20:15:00+01:00", "Plan a dinner for four, please. Ana is allergic to nuts."),
]
QUESTIONS = [
    ("Which herb does the user grow?", dt.datetime(2024, 3, 15, tzinfo=dt.UTC)),
    ("Which herb does the user grow?", dt.datetime(2024, 6, 1, tzinfo=dt.UTC)),
    ("What is the user's shoe size?", dt.datetime(2024, 6, 1, tzinfo=dt.UTC)),
]


def sessions() -> list[Session]:
    said = [(when, [{"role": "user", "text": text}, {"role": "assistant", "text": "Sure!"}]) for when, text in CHATS]
    return [
        read_session({"id": f"chat-{n}", "started_at": when, "turns": turns}) for n, (when, turns) in enumerate(said)
    ]


def main(model: str | None = None) -> list[str | None]:
    with tempfile.TemporaryDirectory() as folder, SqliteStore(Path(folder) / "memory.db") as store:
        memory = MemorySystem(store, user="ann")
        memory.ingest(sessions())
        if model is None:
            _play(memory)
        answers: list[str | None] = []
        with dspy.context(lm=dspy.LM(model) if model else None):
            for question, as_of in QUESTIONS:
                prediction = memory(question=question, as_of=as_of)
                answers.append(prediction.answer)
                print(f"{as_of:%Y-%m-%d}  {question}  ->  {prediction.answer or prediction.reason}")
                for turn in prediction.turns:
                    print(f"            {turn.ts:%Y-%m-%d} {turn.role}: {turn.text}")
        return answers


CELLS = [
    'ids = {hit.session_id for hit in search("herb grow basil mint plant", role="user")}\n'
    'readings = [r for r in map_sessions(list(ids), "Which herb does the user grow?") if r and r.answer]\n'
    "newest = max(readings, key=lambda r: r.started_at)\n"
    "SUBMIT(answer=newest.answer, evidence=list(newest.turns))",
    'print(search("shoe size shoes wear boots"))',
    "SUBMIT(answer=None, evidence=[])",
]


def _play(memory: MemorySystem) -> None:
    """Puts scripts in place of the models."""
    written = iter([CELLS[0], CELLS[0], *CELLS[1:]])
    memory.answer.generate_action = lambda **_: dspy.Prediction(reasoning="", code=next(written))
    memory.read = _read
    memory.check = lambda **_: dspy.Prediction(kind="statement", follows=True, counted=[], dates=[])


def _read(session: str, **_: Any) -> dspy.Prediction:
    """Reads a session as a model would: the last herb that its user names."""
    turns = [turn for turn in map(json.loads, session.splitlines()) if turn["role"] == "user"]
    found = [(herb, turn["id"]) for turn in turns for herb in ("basil", "mint") if herb in turn["text"]]
    return dspy.Prediction(answer=found[-1][0] if found else None, turns=[found[-1][1]] if found else [])


if __name__ == "__main__":
    main(*sys.argv[1:2])
