"""Examples that differ in what an input type, an array or a private attribute holds are different examples."""

from __future__ import annotations

import collections
import datetime
import decimal
from pathlib import Path
from typing import Any

import dspy
import numpy as np
import pydantic
import pytest

from rlm_module.optimizers import RLMGEPA, data_hash
from rlm_module.optimizers.evolution.cases import digest
from rlm_module.signatures import ChatHistory, Directory, Documents, Table, Text
from tests.scripted import ScriptedLM, fields


class _Slotted:
    __slots__ = ("__held",)

    def __init__(self, held: Any) -> None:
        self.__held = held


class _Private(pydantic.BaseModel, extra="allow"):
    _held: Any = pydantic.PrivateAttr(default=None)


def _private(held: Any) -> _Private:
    made = _Private()
    made._held = held  # pyright: ignore[reportPrivateUsage]
    return made


def _array(held: int) -> Any:
    made = np.zeros(5_000)
    made[2_500] = held
    return made


@pytest.mark.parametrize(
    "make",
    [
        lambda n: Documents({"a": f"{n}"}),
        lambda n: Text("x" * 9_000 + str(n) + "x" * 9_000),
        lambda n: Table([{"a": n}]),
        lambda n: ChatHistory([[{"role": "user", "content": str(n)}]]),
        _array,
        lambda n: np.array([{"a": n}], dtype=object),
        lambda n: np.float32(n),
        _Slotted,
        _private,
        lambda n: _Private(more=n),  # pyright: ignore[reportCallIssue]
        lambda n: decimal.Decimal(n),
        lambda n: datetime.date(2020, 1, n),
        lambda n: collections.deque([n]),
        lambda n: memoryview(bytes([n])),
        range,
    ],
)
def test_what_holds_something_else_is_another_example(make: Any) -> None:
    assert digest(make(1)) == digest(make(1))
    assert digest(make(1)) != digest(make(2))
    assert data_hash([dspy.Example(x=make(1))]) != data_hash([dspy.Example(x=make(2))])


def test_input_types_of_the_same_texts_differ() -> None:
    assert digest(Documents({"a": "x"})) != digest({"a": "x"})


def test_a_folder_is_told_by_what_its_files_hold_now(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one")
    folder = Directory(tmp_path)
    first = digest(folder)
    assert digest(Directory(tmp_path)) == first
    (tmp_path / "a.txt").write_text("two")
    assert digest(folder) != first
    (tmp_path / "a.txt").unlink()
    assert digest(folder)


def test_each_of_several_documents_is_run() -> None:
    seen: list[str] = []

    class _Reader(dspy.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = dspy.Predict("q -> a")

        def forward(self, texts: Documents, q: str) -> Any:
            seen.append(texts.texts()["r"])
            return self.inner(q=q)

    examples = [dspy.Example(texts=Documents({"r": str(n)}), q="?").with_inputs("texts", "q") for n in range(4)]
    with dspy.context(lm=ScriptedLM(lambda request: fields(a="yes"))):
        RLMGEPA(lambda example, prediction: 1.0, show_progress=False).compile(_Reader(), trainset=examples)
    assert sorted(seen) == ["0", "1", "2", "3"]
