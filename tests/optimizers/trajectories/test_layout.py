from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rlm_module.optimizers.trajectories.layout import Exchange, Passage, Section, chosen, shares

_TEXT = st.text(alphabet="ab \n", max_size=400)
_PASSAGES = st.builds(Passage, st.sampled_from(["Output:", "Code:"]), _TEXT, st.floats(0.5, 4.0), st.booleans())
_PARTS: Any = st.recursive(
    _PASSAGES | st.builds(Exchange, _TEXT, _TEXT),
    lambda inner: st.builds(
        Section,
        heading=st.sampled_from(["", "Turn 7"]),
        parts=st.lists(inner, max_size=8),
        least=st.integers(1, 100),
        indent=st.integers(0, 4),
    ),
    max_leaves=20,
)


@given(_PARTS, st.integers(0, 3_000))
def test_nothing_takes_more_room_than_it_is_given(part: Any, room: int) -> None:
    assert len(part.show(room)) <= room


@given(st.lists(_PASSAGES, max_size=8))
def test_what_there_is_room_for_is_shown_whole(passages: list[Passage]) -> None:
    section = Section(heading="Turn 1", parts=passages, indent=2)
    shown = section.show(section.need)
    assert "left out" not in shown
    assert shown.count("Output:") + shown.count("Code:") == len(passages)


@given(st.lists(st.integers(0, 500), min_size=1, max_size=20), st.integers(0, 3_000), st.data())
def test_shares_are_within_need_and_room(needs: list[int], room: int, data: st.DataObject) -> None:
    weights = data.draw(st.lists(st.floats(0.5, 4.0), min_size=len(needs), max_size=len(needs)))
    given_ = shares(needs, weights, room)
    assert sum(given_) <= room
    assert all(0 <= own <= need for own, need in zip(given_, needs, strict=True))


def test_what_one_does_not_need_goes_to_the_others() -> None:
    assert shares([10, 500, 500], [1, 1, 1], 410) == [10, 200, 200]


def test_the_last_and_what_is_urgent_come_before_the_rest() -> None:
    are_urgent = [place in (30, 70) for place in range(100)]
    assert {0, 30, 70, 99} <= set(chosen([10] * 100, are_urgent, 42 * 6))
    assert chosen([10] * 100, are_urgent, 42) == [99]


def test_what_is_left_out_is_counted() -> None:
    section = Section(heading="Turns", parts=[Passage("Turn:", "x" * 90)] * 20, noun="turn", least=90)
    shown = section.show(700)
    left_out = sum(int(line.split()[0][1:]) for line in shown.splitlines() if "left out here" in line)
    assert left_out + shown.count("Turn:") == 20
