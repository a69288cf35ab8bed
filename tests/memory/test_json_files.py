"""Items of a JSON file one at a time: that they come back, and how little is held, of a broken file, too."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rlm_module.errors import InputError
from rlm_module.memory.importing import json_files
from rlm_module.memory.importing.json_files import items

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
        patch.setattr(json_files, "_CHUNK_CHARS", part)
        assert list(items(path)) == wanted


@contextmanager
def _little_memory() -> Generator[None]:
    """Fails if much is held at any time within it."""
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 16e6


def test_no_more_than_one_object_is_held(tmp_path: Path) -> None:
    path = tmp_path / "large.json"
    with path.open("w") as file:
        file.write("[" + ",".join(json.dumps({"text": "x" * 400_000}) for _ in range(100)) + "]")
    with _little_memory():
        assert sum(1 for _ in items(path)) == 100


def test_what_is_broken_early_is_told_before_the_rest_is_read(tmp_path: Path) -> None:
    path = tmp_path / "broken.json"
    with path.open("w") as file:
        file.write('[{"a" 1, ' + " " * 64 + "}" + ("," + "x" * 999_999) * 40 + "]")
    with _little_memory(), pytest.raises(InputError, match=r"Item 0 of .* is no JSON"):
        list(items(path))


def test_what_never_ends_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_files, "_LONGEST_ITEM_CHARS", 1 << 20)
    path = tmp_path / "endless.json"
    path.write_text('[{"a": "' + "x" * (40 << 20) + "]")
    with _little_memory(), pytest.raises(InputError, match=r"Item 0 of .* is no JSON"):
        list(items(path))
