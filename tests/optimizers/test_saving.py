"""Saved programs: dspy loads them, they tell how they came about, and no half of one is left behind."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import dspy
import pytest

from rlm_module import RLM, InputError
from rlm_module.optimizers.saving import data_hash, load_compiled, read_saved, save_compiled
from tests.optimizers.samples import PROVENANCE


def _learned() -> RLM:
    rlm = RLM("q -> answer")
    rlm.generate_action.signature = rlm.generate_action.signature.with_instructions("Look twice. Ünïcode.")
    rlm.wording.sub_calls = "Count aloud."
    return rlm


def test_dspy_loads_what_was_saved(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    save_compiled(_learned(), path, PROVENANCE)
    other = RLM("q -> answer", max_iters=3)
    other.load(path)
    assert other.generate_action.signature.instructions == "Look twice. Ünïcode."
    assert other.wording.sub_calls == "Count aloud."
    assert other.max_iters == 3


def test_what_is_read_back_is_what_was_saved(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    save_compiled(_learned(), path, PROVENANCE)
    saved = read_saved(path)
    assert saved.provenance == PROVENANCE
    assert saved.state["generate_action"]["instructions"] == "Look twice. Ünïcode."


def test_a_file_that_dspy_saved_has_no_provenance(tmp_path: Path) -> None:
    dspy.Predict("q -> answer").save(tmp_path / "plain.json")
    saved = read_saved(tmp_path / "plain.json")
    assert saved.provenance is None
    assert "demos" in json.dumps(saved.state)


def test_what_stood_there_stays_where_the_new_file_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "out.json"
    save_compiled(_learned(), path, PROVENANCE)
    before = path.read_bytes()

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(InputError, match="No space left on device"):
        save_compiled(RLM("q -> answer"), path, PROVENANCE)
    assert path.read_bytes() == before
    assert [found.name for found in tmp_path.iterdir()] == ["out.json"]


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"metadata": 3}', '{"a": 1, "metadata": {}}', '{"metadata": {"compilation": {"optimizer": 1}}}'],
)
def test_another_file_is_refused_in_one_sentence(tmp_path: Path, text: str) -> None:
    path = tmp_path / "other.json"
    path.write_text(text)
    with pytest.raises(InputError, match=re.escape("is no program as `save` writes it")):
        read_saved(path)


def test_the_hash_depends_on_values_and_order_and_on_nothing_else() -> None:
    one, two = dspy.Example(q="a", answer=1), dspy.Example(q="b", answer=2)
    assert data_hash([one, two]) == data_hash([dspy.Example(answer=1, q="a"), two])
    assert len({data_hash([one, two]), data_hash([two, one]), data_hash([one]), data_hash([])}) == 4


class _Outer(dspy.Module):
    def __init__(self, task: str = "a -> b") -> None:
        super().__init__()
        self.reader: Any = RLM("q -> answer")
        self.check: Any = dspy.Predict(task)


def test_a_larger_program_is_loaded_with_how_it_came_about(tmp_path: Path) -> None:
    path, outer, plain = tmp_path / "out.json", _Outer(), tmp_path / "plain.json"
    outer.reader.wording.sub_calls = "Count aloud."
    save_compiled(outer, path, PROVENANCE)
    other = _Outer()
    assert load_compiled(other, path) == PROVENANCE
    assert other.reader.wording.sub_calls == "Count aloud."
    dspy.Predict("q -> answer", n=1).save(plain)
    assert load_compiled(dspy.Predict("q -> answer"), plain) is None


@pytest.mark.parametrize(
    ("saved", "program", "fault"),
    [
        (RLM("q -> answer"), _Outer(), "lacks check, reader.extract"),
        (_Outer(), RLM("q -> answer"), "holds check, reader.extract"),
        (dspy.Predict("q -> answer"), RLM("q -> answer"), "holds self besides"),
    ],
)
def test_another_programs_file_is_one_sentence(
    tmp_path: Path, saved: dspy.Module, program: dspy.Module, fault: str
) -> None:
    saved.save(tmp_path / "other.json")
    before = json.dumps(program.dump_state())
    with pytest.raises(InputError, match=fault):
        load_compiled(program, tmp_path / "other.json")
    assert json.dumps(program.dump_state()) == before


def test_a_state_that_dspys_own_predictor_fails_with_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    save_compiled(_Outer(), path, PROVENANCE)
    found = json.loads(path.read_text())
    del found["check"]["signature"]
    path.write_text(json.dumps(found))
    with pytest.raises(InputError, match=r"does not fit the program .KeyError: 'signature'"):
        load_compiled(_Outer(), path)


def test_no_credential_of_an_lm_is_saved_and_the_rest_of_it_is(tmp_path: Path) -> None:
    path, outer = tmp_path / "out.json", _Outer()
    outer.check.lm = dspy.LM(
        "openai/x",
        api_key="HIDDEN-0",
        max_tokens=300,
        temperature=0.5,
        extra_headers={
            "Authorization": "Bearer HIDDEN-1",
            "X-Api-Key": "HIDDEN-2",
            "X-Team": "red",
            "X": "Bearer HIDDEN-3",
        },
        extra_body={"a": [{"client_secret": "HIDDEN-4", "effort": "low"}, "sk-HIDDEN5HIDDEN"]},
        aws_session_token="HIDDEN-6",
        aws_access_key_id="HIDDEN-7",
        proxy="https://ann:HIDDEN-8@proxy.example",
    )
    save_compiled(outer, path, PROVENANCE)
    assert "HIDDEN" not in path.read_text()
    assert outer.check.lm.kwargs["extra_headers"]["Authorization"] == "Bearer HIDDEN-1"
    other = _Outer()
    load_compiled(other, path)
    kwargs = other.check.lm.kwargs
    assert (kwargs["max_tokens"], kwargs["temperature"]) == (300, 0.5)
    assert kwargs["extra_headers"] == {"X-Team": "red"}
    assert kwargs["extra_body"] == {"a": [{"effort": "low"}]}


def test_a_single_predictors_lm_is_saved_without_its_credentials(tmp_path: Path) -> None:
    path, program = tmp_path / "out.json", dspy.Predict("key -> token")
    program.demos = [dspy.Example(key="5", token="Bearer of news")]
    program.lm = dspy.LM("openai/x", extra_headers={"Authorization": "Bearer HIDDEN"})
    save_compiled(program, path, PROVENANCE)
    assert "HIDDEN" not in path.read_text()
    assert read_saved(path).state["self"]["demos"] == [{"key": "5", "token": "Bearer of news"}]
    outer: Any = dspy.Module()
    outer.lm = program
    save_compiled(outer, path, PROVENANCE)
    assert read_saved(path).state["lm"]["demos"] == [{"key": "5", "token": "Bearer of news"}]
