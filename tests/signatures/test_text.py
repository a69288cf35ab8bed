from __future__ import annotations

import pickle
from pathlib import Path

import dspy
import pytest
from dspy.signatures.signature import make_signature

from rlm_module import RLM
from rlm_module.errors import InputError
from rlm_module.signatures import Text
from rlm_module.signatures.grounded import sources
from tests.scripted import ScriptedLM, said, turn


def test_a_text_comes_from_a_str_or_a_file(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("grüß")
    assert Text(file).sandbox_value() == "grüß"
    assert Text(Text("x")) == Text("x") != Text("y")
    assert pickle.loads(pickle.dumps(Text("x"))) == Text("x")


def test_what_is_no_text_is_refused() -> None:
    with pytest.raises(InputError, match="not list; convert it"):
        Text(["x"])


@pytest.mark.parametrize("text", ["", "short", "long " * 300_000])
def test_its_repr_and_preview_are_bounded_and_say_how_long_it_is(text: str) -> None:
    assert len(repr(Text(text))) < 120
    assert all(len(Text(text).rlm_preview(chars)) <= chars for chars in (20, 300, 2_000))
    assert f"{len(text):,} characters" in Text(text).rlm_preview()


def test_a_preview_shows_both_ends() -> None:
    preview = Text("alpha " + "-" * 1_000_000 + " omega").rlm_preview()
    assert "begins:\nalpha" in preview
    assert preview.endswith("omega")


@pytest.mark.parametrize("annotation", ["str", "Text"])
def test_in_the_sandbox_it_is_a_str_whatever_the_field_is(annotation: str) -> None:
    rlm = RLM(make_signature(f"context: {annotation} -> answer", custom_types={"Text": Text}))
    lm = ScriptedLM([turn("SUBMIT(answer=type(context).__name__ + context[-5:])")])
    with dspy.context(lm=lm):
        assert rlm(context=Text("x" * 50_000 + "omega")).answer == "stromega"
    assert "`context` (Text, 50,005 characters)" in said(lm.requests[0])


def test_it_can_be_cited_like_a_str() -> None:
    assert sources({"documents": Text("x"), "question": "y"}) == [("documents", "x"), ("question", "y")]
