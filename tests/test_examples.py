"""Every example runs, and comes to what it is there to show."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"
SHOWN: dict[str, Any] = {
    "best_of_n.py": ("HERON-12", "HERON-12"),
    "chat_memory.py": ["basil", "mint", None],
    "count_labels.py": sum(n // 27 % 12 == 2 and n % 9 == 3 and n // 9 % 3 == 0 for n in range(20_000)),
    "go_on.py": "HERON-12",
    "needle.py": "behind the blue gauge",
    "pipeline.py": ("behind the boiler", True),
    "react_tool.py": "behind the blue gauge",
    "serve.py": ("HERON-12", "Stopped."),
}


def test_no_example_is_left_out() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(SHOWN)


@pytest.mark.parametrize("name", SHOWN)
def test_an_example_shows_what_it_promises(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = importlib.util.spec_from_file_location(name.removesuffix(".py"), EXAMPLES / name)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)  # where the types of its signatures are looked up
    spec.loader.exec_module(module)
    assert module.main() == SHOWN[name]
