"""RLMGEPA on real RLMs: trajectories reach the reflection model, money is held, limits and tools stay what they are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import dspy
import pytest
from dspy.lm15 import Request

from rlm_module import RLM, Budget, InputError, spending
from rlm_module.optimizers import RLMGEPA, trajectory_feedback
from tests.scripted import ScriptedLM, said, texts, turn

ADVICE, SYMPTOM = "mind the gap", "flumox"
PRICES = {"scripted/model": (0.0, 1_000.0)}


def _root(request: Request) -> str:
    """Does well where it was advised to; else it prints the symptom first."""
    if any(ADVICE in text for _, text in texts(request)):
        return turn("SUBMIT(answer='good')")
    return turn("SUBMIT(answer='bad')") if SYMPTOM in said(request) else turn(f"print('{SYMPTOM}' + ' in sight')")


def _reflect(request: str) -> str:
    found = re.search(r"```\n(.*?)\n```", request, re.DOTALL)
    assert found is not None
    text = found.group(1)
    return f"```\n{text}\n- Always {ADVICE}.\n```" if f"{SYMPTOM} in sight" in request and ADVICE not in text else text


def _metric(example: Any, prediction: Any, trace: Any = None) -> float:
    return float(prediction.answer == example.answer)


def _examples(count: int = 2) -> list[dspy.Example]:
    return [dspy.Example(q=f"question {n}", answer="good").with_inputs("q") for n in range(count)]


def _compile(student: dspy.Module, metric: Any = _metric, **options: Any) -> Any:
    options = {"reflection_lm": _reflect, "max_runs": 20, "num_threads": 2, "show_progress": False, **options}
    return RLMGEPA(metric, **options).compile(student, trainset=_examples())


def test_what_a_middle_turn_printed_is_learned_from() -> None:
    rlm, lm = RLM("q -> answer", max_iters=4), ScriptedLM(_root)
    with dspy.context(lm=lm):
        compiled = _compile(rlm)
        before = len(lm.requests)
        assert compiled(q="another").answer == "good"
    assert ADVICE in compiled.generate_action.signature.instructions
    assert ADVICE not in rlm.generate_action.signature.instructions
    record = compiled.compilation
    assert [one.score for one in record.candidates] == [0.0, 1.0]
    assert record.candidates[1].changed == ("strategy",)
    asked = "\n".join(text for _, text in texts(lm.requests[before]))
    assert "at most 4 turns" in asked
    assert "SUBMIT(answer: str)" in asked


def test_what_was_learned_is_saved_and_nothing_else(tmp_path: Path) -> None:
    with dspy.context(lm=ScriptedLM(_root)):
        compiled = _compile(RLM("q -> answer", max_iters=4))
    compiled.save(tmp_path / "program.json")
    assert "compilation" not in (tmp_path / "program.json").read_text()
    other = RLM("q -> answer", max_iters=9)
    other.load(tmp_path / "program.json")
    lm = ScriptedLM(_root)
    with dspy.context(lm=lm):
        assert other(q="another").answer == "good"
    assert "at most 9 turns" in "\n".join(text for _, text in texts(lm.requests[0]))
    assert compiled.deepcopy().compilation == compiled.compilation


def test_feedback_from_trajectories_reaches_the_reflection_model() -> None:
    asked: list[str] = []

    def reflect(request: str) -> str:
        asked.append(request)
        return _reflect(request)

    def root(request: Request) -> str:
        has_failed = any("ZeroDivisionError" in text for _, text in texts(request))
        return _root(request) if has_failed else turn("1 / 0")

    with dspy.context(lm=ScriptedLM(root)):
        _compile(RLM("q -> answer", max_iters=5), trajectory_feedback(_metric), reflection_lm=reflect, max_runs=8)
    assert "1 turn (of 3) ran code that failed." in asked[0]
    assert asked[0].count("The run of") == 0  # it is shown whole, once


class _Two(dspy.Module):
    def __init__(self) -> None:
        super().__init__()
        self.reader = RLM("q -> notes", max_iters=4)
        self.writer = RLM("notes -> answer", max_iters=4)

    def forward(self, q: str) -> dspy.Prediction:
        return self.writer(notes=self.reader(q=q).notes)


@pytest.mark.parametrize("at_fault", ["reader", "writer"])
def test_credit_goes_to_the_rlm_that_acted(at_fault: str) -> None:
    def root(request: Request) -> str:
        told = "\n".join(text for _, text in texts(request))
        who = "writer" if "SUBMIT(answer" in told else "reader"
        name = {"reader": "notes", "writer": "answer"}[who]
        if who != at_fault:
            return turn(
                "SUBMIT(answer='good' if 'good' in notes else 'bad')" if who == "writer" else "SUBMIT(notes='good')"
            )
        if ADVICE in told:
            return turn(f"SUBMIT({name}='good')")
        return turn(f"SUBMIT({name}='bad')") if SYMPTOM in said(request) else turn(f"print('{SYMPTOM}' + ' in sight')")

    with dspy.context(lm=ScriptedLM(root)):
        compiled = _compile(_Two(), max_runs=16)
    record = compiled.compilation
    assert record.candidates[record.best].score == 1.0
    assert record.candidates[record.best].changed == (f"{at_fault}.strategy",)
    assert set(record.candidates[0].texts) == {"reader.strategy", "reader.extract", "writer.strategy", "writer.extract"}


def _priced(folder: Path | None, limit: float | None) -> tuple[Any, int]:
    """The record of a compile whose calls are priced, and the number of calls that were made."""
    lm = ScriptedLM(_root, max_tokens=5)
    model = ScriptedLM(lambda request: _reflect(said(request)), max_tokens=5)
    options = {"max_cost_usd": limit, "max_runs": None, "num_threads": 1, "run_dir": folder, "reflection_lm": model}
    with spending(Budget(prices=PRICES)) as spent, dspy.context(lm=lm):
        record = _compile(RLM("q -> answer"), **options).compilation
        if folder is None:
            assert record.cost_usd == pytest.approx(spent.usage.total.cost_usd)
        return record, len(lm.requests) + len(model.requests)


def test_one_ledger_holds_money_over_runs_and_reflection() -> None:
    whole, calls = _priced(None, None)
    assert whole.cost_usd is not None
    assert 0 < whole.reflection_cost_usd < whole.cost_usd
    assert [one.cost_usd is not None for one in whole.candidates] == [True, True]
    assert whole.candidates[1].cost_usd < whole.candidates[0].cost_usd
    part, fewer = _priced(None, 0.75 * whole.cost_usd)
    assert part.stopped == "money"
    assert part.cost_usd <= 0.75 * whole.cost_usd
    assert part.runs > 0
    assert fewer < calls


def test_money_spent_before_a_stop_counts_after_it(tmp_path: Path) -> None:
    whole, calls = _priced(None, None)
    limit = 0.75 * whole.cost_usd
    first, some = _priced(tmp_path, limit)
    again, none = _priced(tmp_path, limit)
    assert none == 0
    assert again.cost_usd == pytest.approx(first.cost_usd)
    more, rest = _priced(tmp_path, 10 * whole.cost_usd)
    assert more.candidates[more.best].score == 1.0
    assert some + rest == calls


def test_a_price_that_nobody_knows_is_asked_for() -> None:
    with dspy.context(lm=ScriptedLM(_root)), pytest.raises(InputError, match="price"):
        _compile(RLM("q -> answer"), max_cost_usd=1.0)


def test_a_run_that_ends_by_a_limit_of_its_own_is_a_record_like_any() -> None:
    asked: list[str] = []

    def reflect(request: str) -> str:
        asked.append(request)
        return ""

    def root(request: Request) -> str:
        return "[[ ## answer ## ]]\nbad" if "transcript" in said(request) else turn("print(1)")

    with dspy.context(lm=ScriptedLM(root)):
        record = _compile(RLM("q -> answer", max_iters=2), reflection_lm=reflect, patience=1).compilation
    assert record.candidates[0].score == 0.0
    assert "max_iters" in asked[0]


def test_tool_descriptions_and_sub_call_prompts_are_learned_where_asked_for() -> None:
    def lookup(word: str) -> str:
        """Finds a word."""
        return f"{word}: {SYMPTOM} in sight"

    def root(request: Request) -> str:
        if ADVICE in "\n".join(text for _, text in texts(request)):
            return turn("SUBMIT(answer='good')")
        return turn("SUBMIT(answer='bad')") if SYMPTOM in said(request) else turn("print(lookup('x'))")

    with dspy.context(lm=ScriptedLM(root)):
        compiled = _compile(RLM("q -> answer", tools=[lookup]), learn=("tools", "sub_calls"))
    assert ADVICE in compiled.wording.tools["lookup"]
    assert compiled.compilation.candidates[1].changed == ("tools.lookup",)
