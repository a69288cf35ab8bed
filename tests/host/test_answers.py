from __future__ import annotations

import pytest

from rlm_module import SubcallError
from rlm_module.host.answers import answer_text, error_text
from rlm_module.host.calls import done, failed
from rlm_module.sandbox.codec import decode


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit("no"), KeyboardInterrupt("no")], ids=repr)
def test_whatever_a_tool_raises_is_recorded_as_its_failure(error: BaseException) -> None:
    """A tool may call `sys.exit`: what cannot be recorded would never be answered."""
    text = answer_text(failed(error))
    assert text is not None
    assert decode(text.encode()) == ["error", f"{type(error).__name__}: no"]
    assert error_text(failed(error)) == f"{type(error).__name__}: no"


def test_a_sub_call_s_failure_is_recorded_with_its_kind() -> None:
    text = answer_text(failed(SubcallError("timeout", "late")))
    assert text is not None
    assert decode(text.encode())[1].kind == "timeout"


class _Unwilling:
    def __getattribute__(self, name: str) -> object:
        raise ValueError("no")

    def __str__(self) -> str:
        return "as text"


def test_a_value_that_cannot_be_read_is_recorded_as_its_text() -> None:
    text = answer_text(done(_Unwilling()))
    assert text is not None
    assert decode(text.encode()) == ["value", "as text"]
