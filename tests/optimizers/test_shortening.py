"""Long texts keep both ends, and what speaks of an error."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rlm_module.optimizers.shortening import ends, gist, one_line


def test_both_ends_of_a_long_text_stay() -> None:
    shown = ends("HEAD" + "x" * 10_000 + "TAIL", 300)
    assert (shown[:4], shown[-4:], len(shown)) == ("HEAD", "TAIL", 300)
    assert "9,708 characters left out" in shown


def test_a_line_on_an_error_in_the_middle_of_a_long_text_stays() -> None:
    lines = [f"row {number}: all is well" for number in range(500)]
    lines[250] = "row 250: Warning, the unit is unknown"
    shown = gist("\n".join(lines), 500)
    assert len(shown) <= 500
    assert shown.startswith("row 0: all is well\nrow 1")
    assert "\n... row 250: Warning, the unit is unknown\n... " in shown
    assert shown.endswith("row 499: all is well")


@given(st.text(alphabet="error\nİ"), st.integers(0, 900))
def test_a_gist_is_within_its_room(text: str, room: int) -> None:
    assert len(gist(text * 40, room)) <= room


def test_one_line_is_one() -> None:
    assert one_line(" a\n\n b\t", 100) == "a b"
    assert "\n" not in one_line("x\n" * 500, 300)
    assert len(one_line("x\n" * 500, 300)) <= 300
