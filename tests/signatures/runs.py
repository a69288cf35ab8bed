"""Runs of a signature on a scripted root, in a real sandbox."""

from __future__ import annotations

from typing import Any

import dspy

from rlm_module import RLM, RunPrediction
from tests.scripted import ScriptedLM, texts, turn


def play(signature: type[dspy.Signature] | RLM, *cells: str, **inputs: Any) -> RunPrediction:
    """The prediction of a run whose root plays these cells."""
    return play_asked(signature, *cells, **inputs)[0]


def play_asked(signature: type[dspy.Signature] | RLM, *cells: str, **inputs: Any) -> tuple[RunPrediction, str]:
    """The same, with the first request."""
    lm = ScriptedLM(map(turn, cells))
    rlm = signature if isinstance(signature, RLM) else RLM(signature)
    with dspy.context(lm=lm):
        prediction: Any = rlm(**inputs)
    return prediction, texts(lm.requests[0])[1][1]


def outputs(prediction: RunPrediction) -> list[str]:
    """What each cell printed."""
    return [entry["output"] for entry in prediction.trajectory]
