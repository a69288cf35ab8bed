"""Child RLMs with real sandboxes: what reaches them, what they inherit, what they cost, and how they end."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import dspy
import pytest

from rlm_module import RLM, RunPrediction
from rlm_module.events import CallFinished, RunFinished, RunStarted
from tests.scripted import ScriptedLM, fields, said, texts, turn

CHILD = "rlm_query('What is it?', context='the secret is 42')"


def _run(sub: ScriptedLM, *cells: str, tools: Any = None, inputs: Any = None, **options: Any) -> RunPrediction:
    """Runs cells of the root one a turn, then submits what the last one bound to `out`."""
    root = ScriptedLM([*map(turn, cells), turn("SUBMIT(answer=str(out))")])
    given: dict[str, Any] = {"max_depth": 2, **options}
    rlm = RLM("query -> answer", sub_lm=sub, tools=tools, **given)
    with dspy.context(lm=root):
        return RunPrediction.of(rlm(**(inputs or {"query": "go"})).run)


def _sub(*cells: str, leaf: str = "leaf") -> ScriptedLM:
    """Children that run these cells, and a plain answer for everything else."""
    left = iter(cells)
    return ScriptedLM(lambda request: turn(next(left)) if "[Turn" in said(request) else leaf)


def test_a_child_answers_in_a_repl_of_its_own() -> None:
    sub = _sub("x = 1\nprint(context, query)", "SUBMIT(answer=context[-2:])")
    prediction = _run(sub, "x = 0", f"out = ({CHILD}, x)")
    assert prediction.answer == "('42', 0)"
    assert "the secret is 42 What is it?" in said(sub.requests[1])


def test_its_data_reaches_it_without_a_prompt() -> None:
    sub = _sub("SUBMIT(answer=str(len(context)))")
    prediction = _run(sub, "out = rlm_query('How long?', 'y' * 3_000_000)")
    assert prediction.answer == "3000000"
    assert all(len(text) < 20_000 for request in sub.requests for _, text in texts(request))


@pytest.mark.parametrize("value", [{"a": [1, 2]}, ["x"], 2**70, b"bytes"], ids=str)
def test_any_value_may_be_its_context(value: object) -> None:
    assert _run(_sub("SUBMIT(answer=repr(context))"), f"out = rlm_query('q', {value!r})").answer == repr(value)


def test_without_a_context_it_has_the_query_alone() -> None:
    assert _run(_sub("SUBMIT(answer=query)"), "out = rlm_query('just this')").answer == "just this"


def test_many_run_side_by_side_and_answer_in_order() -> None:
    together = threading.Barrier(4)

    def child(request: Any) -> str:
        together.wait(30)
        return turn("SUBMIT(answer=context)")

    cell = "out = rlm_query_batched(['q'] * 4, ['a', 'b', 'c', 'd'])"
    assert _run(ScriptedLM(child), cell).answer == "['a', 'b', 'c', 'd']"


def test_one_query_may_be_asked_of_many_contexts() -> None:
    sub = ScriptedLM(lambda request: turn("SUBMIT(answer=context)"))
    assert _run(sub, "out = rlm_query_batched('q', ['a', 'b'])").answer == "['a', 'b']"


def test_a_child_that_fails_is_a_typed_failure_in_its_place() -> None:
    def child(request: Any) -> Any:
        return dspy.LMServerError("down") if "bad" in said(request) else turn("SUBMIT(answer='fine')")

    cell = "r = rlm_query_batched(['good', 'bad'], ['x', 'y'])\nout = (r[0], r[1].kind, bool(r[1]))"
    assert _run(ScriptedLM(child), cell).answer == "('fine', 'lm', False)"


def test_at_the_limit_of_depth_it_is_a_plain_sub_call() -> None:
    sub = ScriptedLM(lambda request: f"plain: {said(request)}")
    assert _run(sub, f"out = {CHILD}", max_depth=1).answer == "plain: What is it?\n\nContext:\nthe secret is 42"
    assert len(sub.requests) == 1


def test_children_open_children_down_to_the_limit() -> None:
    def answer(request: Any) -> str:
        return turn("SUBMIT(answer='>' + rlm_query(query, context))") if "[Turn" in said(request) else "leaf"

    prediction = _run(ScriptedLM(answer), f"out = {CHILD}", max_depth=3)
    assert prediction.answer == ">>leaf"
    assert [e.depth for e in prediction.run.events if isinstance(e, RunStarted)] == [0, 1, 2]


def test_beyond_the_limit_a_context_too_large_for_a_prompt_is_refused_in_a_sentence() -> None:
    cell = "try:\n    rlm_query('q', 'x' * 2_000_000)\nexcept SubcallError as e:\n    out = (e.kind, e.message)"
    kind, message = eval(_run(_sub(), cell, max_depth=1).answer)
    assert kind == "context_window"
    assert "cannot hold 2,000,000 characters of context; cut it into pieces" in message


def test_without_sub_calls_there_is_no_rlm_query() -> None:
    prediction = _run(_sub(), "try:\n    rlm_query\nexcept NameError as e:\n    out = e", max_depth=0)
    assert "rlm_query" in prediction.answer


def test_the_contract_tells_of_children_only_where_they_can_be_opened() -> None:
    sub, root = _sub("SUBMIT(answer='x')"), ScriptedLM([turn(f"SUBMIT(answer={CHILD})")])
    with dspy.context(lm=root):
        RLM("query -> answer", sub_lm=sub, max_depth=2)(query="go")
    root_told, child_told = texts(root.requests[0])[0][1], texts(sub.requests[0])[0][1]
    assert "rlm_query(query: str" in root_told
    assert "dspy.RLM(" in root_told
    assert "rlm_query" not in child_told
    assert "dspy.RLM(" not in child_told


def test_a_child_has_its_parents_tools_and_limits() -> None:
    sub = _sub("SUBMIT(answer=str(double(21)))")

    def double(x: int) -> int:
        return 2 * x

    assert _run(sub, f"out = {CHILD}", tools=[double], max_iters=7).answer == "42"
    assert "[Turn 1 of 7." in said(sub.requests[0])
    assert "double(x: int)" in texts(sub.requests[0])[0][1]


def test_a_childs_turns_count_as_sub_calls_of_the_tree() -> None:
    sub = _sub(*["print(1)"] * 9, leaf=fields(answer="drawn up"))
    prediction = _run(sub, f"out = ({CHILD}, budget()['sub_calls'])", max_llm_calls=3)
    assert prediction.answer == "('drawn up', 0)"
    assert prediction.usage.by_role["child"].calls == 3
    ends = [event.reason for event in prediction.run.events if isinstance(event, RunFinished)]
    assert ends == ["budget:calls", "submitted"]


def test_with_no_sub_calls_left_none_is_opened() -> None:
    cell = f"llm_query('x')\ntry:\n    {CHILD}\nexcept SubcallError as e:\n    out = e.kind"
    assert _run(_sub(), cell, max_llm_calls=1).answer == "budget"


def test_usage_is_split_by_role_and_depth_and_adds_up() -> None:
    sub = _sub("SUBMIT(answer=llm_query('deep'))")
    prediction = _run(sub, f"out = {CHILD} + llm_query('flat')")
    usage = prediction.usage
    assert {role: used.calls for role, used in usage.by_role.items()} == {"root": 2, "child": 1, "sub": 2}
    assert {depth: used.calls for depth, used in usage.by_depth.items()} == {0: 3, 1: 2}
    ends = {e.node: e.usage.calls for e in prediction.run.events if isinstance(e, RunFinished)}
    assert ends == {0: 5, 1: 2}
    calls = [e for e in prediction.run.events if isinstance(e, CallFinished) and e.function == "rlm_query"]
    assert [e.usage.calls for e in calls] == [2]


def test_a_model_is_chosen_by_name() -> None:
    strong = ScriptedLM([turn("SUBMIT(answer='strong')")])
    assert _run(_sub(), "out = rlm_query('q', 'c', model='strong')", sub_lms={"strong": strong}).answer == "strong"
    cell = "try:\n    rlm_query('q', 'c', model='weak')\nexcept SubcallError as e:\n    out = str(e)"
    answer = _run(_sub(), cell, sub_lms={"strong": strong}).answer
    assert answer.startswith("invalid: there is no model 'weak'")


def test_without_a_sub_lm_children_use_the_configured_one() -> None:
    lm = ScriptedLM([turn(f"SUBMIT(answer={CHILD})"), turn("SUBMIT(answer='same')")])
    with dspy.context(lm=lm):
        assert RLM("query -> answer", max_depth=2)(query="go").answer == "same"


def test_a_child_whose_cell_was_interrupted_stops() -> None:
    release, asked = threading.Event(), threading.Event()

    def child(request: Any) -> str:
        asked.set()
        release.wait(30)
        return turn("SUBMIT(answer='late')")

    root = ScriptedLM([turn(f"out = {CHILD}")])
    rlm = RLM("query -> answer", sub_lm=ScriptedLM(child), max_depth=2)

    async def cancelled() -> list[Any]:
        with dspy.context(lm=root):
            task = asyncio.ensure_future(rlm.acall(query="go"))
            await asyncio.to_thread(asked.wait, 30)
            task.cancel()
            return list(await asyncio.gather(task, return_exceptions=True))

    (error,) = asyncio.run(cancelled())
    release.set()
    assert isinstance(error, asyncio.CancelledError)


def test_a_name_of_the_users_wins_over_ours() -> None:
    def rlm_query(text: str) -> str:
        return f"mine: {text}"

    root = ScriptedLM([turn("SUBMIT(answer=rlm_query('x') + budget)")])
    with dspy.context(lm=root):
        made = RLM("budget: str -> answer", tools=[rlm_query], max_depth=2, sub_lm=_sub())(budget="!")
    assert made.answer == "mine: x!"
    told = texts(root.requests[0])[0][1]
    assert "`rlm_query(text: str)" in told
    assert "`budget()`" not in told


@pytest.mark.parametrize("query", ["''", "5", "None"])
def test_what_is_no_query_is_refused(query: str) -> None:
    cell = f"try:\n    rlm_query({query}, 'c')\nexcept SubcallError as e:\n    out = e.kind"
    assert _run(_sub(), cell).answer == "invalid"


def test_a_batch_that_does_not_pair_up_is_refused() -> None:
    cell = "try:\n    rlm_query_batched(['a'], ['c', 'd'])\nexcept SubcallError as e:\n    out = str(e)"
    assert "as many contexts" in _run(_sub(), cell).answer


def test_an_rlm_of_generated_code_gets_typed_outputs() -> None:
    sub = _sub("SUBMIT(total=2**70)")
    cell = "import dspy\nout = dspy.RLM('context: str -> total: int')(context='c').total"
    assert _run(sub, cell).answer == str(2**70)
