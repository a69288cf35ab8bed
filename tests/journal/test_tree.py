"""From events to nodes: who spent what, and what counts where a run was cut off, resumed, or tells nonsense."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlm_module.errors import InputError
from rlm_module.events import AnyEvent, Diverged, Resumed, Scored, TurnStarted, Usage
from rlm_module.journal import build_tree, group_calls
from tests.journal.samples import KINDS, acted, call, cell, finished, instances, lm_called, small_run, started, usage


def _child(node: int, parent: int, at: float = 2.0) -> list[AnyEvent]:
    return [
        started(node=node, parent=parent, depth=1, task=f"Child{node}", at=at),
        lm_called([], "x", role="child", node=node, usage=usage(100, 0.1)),
    ]


def test_a_run_is_its_root() -> None:
    tree = build_tree(small_run())
    assert list(tree.nodes) == [0]
    assert tree.root.reason == "submitted"
    assert tree.root.seconds == 8.0
    assert tree.root.outputs == {"answer": {1, 2}}
    assert list(tree.root.turns) == [1]
    assert tree.root.turns[1].cell == cell()
    assert tree.calls == 1


def test_what_children_spent_counts_for_all_above_them() -> None:
    tree = build_tree([started(), lm_called([], ""), *_child(1, 0), *_child(2, 1), *_child(3, 0), finished()])
    assert [tree.nodes[n].own.tokens for n in range(4)] == [10, 100, 100, 100]
    assert [tree.nodes[n].total.tokens for n in range(4)] == [310, 200, 100, 100]
    assert tree.root.children == [1, 3]
    assert tree.nodes[1].children == [2]
    assert tree.root.total.cost_usd == pytest.approx(0.31)


def test_one_unknown_price_makes_the_sum_unknown() -> None:
    tree = build_tree([started(), *_child(1, 0), lm_called([], "", node=1, usage=usage(1, None))])
    assert tree.root.own.cost_usd == 0.0
    assert tree.root.total.cost_usd is None


def test_a_run_that_was_cut_off_lasted_as_long_as_is_known() -> None:
    tree = build_tree([started(), lm_called([], "", at=4.5), Scored(run_id="r1", score=1.0, at=99.0)])
    assert tree.root.reason is None
    assert tree.root.seconds == 3.5
    assert tree.score == 1.0


def test_a_resumed_run_has_not_ended_until_it_ends_again() -> None:
    events = [started(), finished(reason="cancelled"), Resumed(run_id="r1", turns=1)]
    assert build_tree(events).root.reason is None
    tree = build_tree([*events, finished()])
    assert (tree.root.reason, tree.resumed) == ("submitted", 1)


def test_a_turn_that_was_done_again_counts_once_and_its_cost_twice() -> None:
    again = [TurnStarted(run_id="r1", turn=1), lm_called([], "b"), acted(code="b"), cell(output="b")]
    tree = build_tree([started(), lm_called([], "a"), acted(code="a"), cell(output="a"), *again])
    turn = tree.root.turns[1]
    assert turn.acted is not None
    assert turn.cell is not None
    assert (turn.acted.code, turn.cell.output) == ("b", "b")
    assert tree.root.own.tokens == 20


def test_turns_after_the_one_that_diverged_are_gone() -> None:
    turns = [event for turn in (1, 2, 3) for event in (acted(turn), cell(turn))]
    tree = build_tree([started(), *turns, Diverged(run_id="r1", turn=2, what="output")])
    assert list(tree.root.turns) == [1, 2]


def test_calls_are_grouped_by_function_and_batches_by_their_items() -> None:
    events = [
        started(),
        *call(1),
        *call(2, error="timeout: too slow"),
        *call(3, "llm_query_batched", error="2 failed"),
        *call(4, batch=3, error="budget: none left"),
        *call(5, batch=3, error="budget: none left"),
        *call(6, batch=3),
        call(7, "lookup", "no words before a colon here")[0],
        *call(8, "lookup", "what went wrong is not one word: here"),
    ]
    tree = build_tree(events)
    groups = {group.function: group for group in group_calls(tree.root)}
    assert list(groups) == ["llm_query", "llm_query_batched", "lookup"]
    single, batched, lookup = groups.values()
    assert (single.calls, single.items, single.failed) == (2, 0, {"timeout": 1})
    assert (batched.calls, batched.items, batched.failed) == (1, 3, {"budget": 2})
    assert batched.usage == usage()
    assert (lookup.calls, lookup.unfinished, lookup.failed) == (2, 1, {"error": 1})
    assert tree.calls == 7


@pytest.mark.parametrize("events", [(), (acted(),), (started(node=1, parent=0),)])
def test_events_without_a_root_are_no_run(events: tuple[AnyEvent, ...]) -> None:
    with pytest.raises(InputError, match="holds no run"):
        build_tree(events)


@pytest.mark.parametrize("parent", [1, 2, 7, -1, None])
def test_a_parent_that_cannot_be_is_the_root(parent: int | None) -> None:
    tree = build_tree([started(), started(node=1, parent=parent), started(node=2, parent=1)])
    assert tree.nodes[1].parent == 0
    assert tree.root.parent is None


def test_nodes_that_begin_out_of_order_cost_what_they_cost() -> None:
    tree = build_tree([started(), *_child(2, 0), *_child(1, 2)])
    assert tree.nodes[1].parent == 0
    assert tree.root.total.tokens == 200


def _some(kind: type[Any]) -> st.SearchStrategy[Any]:
    return instances(kind)


@settings(max_examples=60)
@given(st.lists(st.one_of([_some(kind) for kind in KINDS]), max_size=8))
def test_any_events_make_a_tree_that_ends(events: list[AnyEvent]) -> None:
    tree = build_tree([started(), *events])

    def below(node: int) -> Iterator[int]:
        yield node
        for child in tree.nodes[node].children:
            yield from below(child)

    assert sorted(below(0)) == sorted(tree.nodes)
    for node in tree.nodes.values():
        list(group_calls(node))
        assert isinstance(node.total, Usage)
