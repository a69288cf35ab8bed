"""What is taken from a reflection model's replies."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_module.optimizers.evolution.replies import fence_for, read_text

CURRENT = "Be brief.\n- Probe first."


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        ("```\nBe long.\n```", "Be long."),
        ("Thoughts first.\n\n```text\nBe long.\n- Twice.\n```\nDone.", "Be long.\n- Twice."),
        (
            "```markdown\nWrite\n```python\nprint(1)\n```\nand go on.\n```",
            "Write\n```python\nprint(1)\n```\nand go on.",
        ),
        ("````\nWrite\n```\nprint(1)\n```\nand go on.\n````", "Write\n```\nprint(1)\n```\nand go on."),
        ("It was:\n```\nBe brief, then.\n```\nNow:\n```\nBe long, then.\n```", "Be long, then."),
        (
            "```\nBe long, and do this as well as you can.\n```\nSuch as:\n```\nx = 1\n```",
            "Be long, and do this as well as you can.",
        ),
        ("```\nBe long.", "Be long."),
        ("Be long.\n- Twice.", "Be long.\n- Twice."),
        ("Here is the new text:\nBe long.", "Be long."),
        ("No change is needed.", CURRENT),
        ("Nothing in these records calls for a change.", CURRENT),
        ("", ""),
        ("I'm sorry, but I can't help with that.", ""),
        ("I think so. " * 400, ""),
    ],
)
def test_the_text_is_found_in_any_reply(reply: str, text: str) -> None:
    assert read_text(reply, CURRENT) == text


_LINES = st.lists(
    st.sampled_from(["Be long.", "- Item", "```", "```python", "x = 1", "", "````", "    code"]), max_size=12
)


@given(_LINES)
def test_a_text_survives_the_fence_that_it_is_shown_in(lines: list[str]) -> None:
    text = "\n".join(["First.", *lines, "Last."])
    fence = fence_for(text)
    assert read_text(f"Here:\n{fence}\n{text}\n{fence}\nBye.", "other") == text


@given(st.text(max_size=300))
def test_no_reply_is_too_odd(reply: str) -> None:
    assert isinstance(read_text(reply, CURRENT), str)
