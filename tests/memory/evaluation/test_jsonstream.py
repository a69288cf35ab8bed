"""Objects of a JSON file one at a time: what they are, how little is held, and what a broken file is told."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rlm_module.errors import InputError
from rlm_module.memory.evaluation import jsonstream
from rlm_module.memory.evaluation.jsonstream import json_objects

_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
_OBJECTS = st.lists(st.dictionaries(st.text(), _VALUES, max_size=4), max_size=6)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(objects=_OBJECTS, part=st.integers(1, 40), indent=st.sampled_from([None, 2]), ascii_only=st.booleans())
def test_objects_come_back_wherever_the_text_is_cut(
    tmp_path: Path, objects: list[dict[str, object]], part: int, indent: int | None, ascii_only: bool
) -> None:
    path = tmp_path / "objects.json"
    path.write_text(json.dumps(objects, indent=indent, ensure_ascii=ascii_only), encoding="utf-8", errors="replace")
    wanted = json.loads(path.read_text(encoding="utf-8"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jsonstream, "_PART", part)
        assert list(json_objects(path)) == wanted


def test_lines_of_objects_are_read_too(tmp_path: Path) -> None:
    path = tmp_path / "objects.jsonl"
    path.write_text('{"a": 1}\n{"a": 2}\n')
    assert list(json_objects(path)) == [{"a": 1}, {"a": 2}]


def test_no_more_than_one_object_is_held(tmp_path: Path) -> None:
    path = tmp_path / "large.json"
    with path.open("w") as file:
        file.write("[" + ",".join(json.dumps({"text": "x" * 400_000}) for _ in range(100)) + "]")
    tracemalloc.start()
    try:
        assert sum(1 for _ in json_objects(path)) == 100
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 16e6


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "no list of JSON objects"),
        ("hello", "no list of JSON objects"),
        ('{"a": 1} 7', "should begin"),
        ('[{"a": 1}, {"a": ', "cut off after 1 whole objects"),
        ('[{"a": "long', "cut off after 0 whole objects"),
        ('[{"a": 1}', "cut off after 1 whole objects"),
        ('[{"a": 1}, 5]', "should begin"),
        ('[{"a" 1, "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb": 2}]', "object 1: Expecting ':' delimiter"),
    ],
)
def test_a_broken_file_is_told_in_one_sentence(tmp_path: Path, text: str, fault: str) -> None:
    path = tmp_path / "broken.json"
    path.write_text(text)
    with pytest.raises(InputError) as refused:
        list(json_objects(path))
    assert fault in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


def test_what_never_ends_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonstream, "_LONGEST", 1 << 20)
    path = tmp_path / "endless.json"
    path.write_text('[{"a": "' + "x" * (4 << 20))
    with pytest.raises(InputError, match="longer than 1 MiB"):
        list(json_objects(path))


def test_a_deep_nest_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "deep.json"
    path.write_text('[{"a": ' + "[" * 100_000 + "]" * 100_000 + "}]")
    with pytest.raises(InputError, match="nested too deeply"):
        list(json_objects(path))


def test_other_encodings_and_missing_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "latin.json"
    path.write_bytes('[{"a": "é"}]'.encode("latin-1"))
    with pytest.raises(InputError, match="not UTF-8"):
        list(json_objects(path))
    with pytest.raises(InputError, match="cannot be read"):
        list(json_objects(tmp_path / "missing.json"))
