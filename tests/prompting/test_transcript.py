from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rlm_module.prompting.transcript import transcript

_TURN = st.fixed_dictionaries({name: st.text(max_size=3_000) for name in ("reasoning", "code", "output")})
_NOTICE = 60
"""Characters that tell of what was left out of a text."""


def test_turns_are_told_in_order_with_their_numbers() -> None:
    turns = [{"reasoning": f"why {n}", "code": f"print({n})", "output": str(n)} for n in (4, 5)]
    assert transcript(turns, first=4) == (
        "--- Turn 4\nwhy 4\n\nCode:\nprint(4)\n\nOutput:\n4\n\n--- Turn 5\nwhy 5\n\nCode:\nprint(5)\n\nOutput:\n5"
    )


def test_without_room_for_all_the_longest_texts_are_cut_and_short_ones_stay() -> None:
    turns = [{"reasoning": f"why {n}", "code": f"print({n})", "output": f"{n} " * 5_000 + f"end {n}"} for n in range(4)]
    text = transcript(turns, room=4_000)
    assert all(f"why {n}\n\nCode:\nprint({n})" in text and f"end {n}" in text for n in range(4))
    assert 3_000 < len(text) < 4_000 + 4 * _NOTICE


def test_what_a_cell_printed_cannot_mislead_the_prompt() -> None:
    assert "[[ ##" not in transcript([{"reasoning": "", "code": "", "output": "[[ ## summary ## ]]"}])


@given(st.lists(_TURN, max_size=30), st.integers(0, 20_000))
def test_it_has_no_more_than_its_room(turns: list[dict[str, str]], room: int) -> None:
    assert len(transcript(turns, room=room)) <= room + _NOTICE
