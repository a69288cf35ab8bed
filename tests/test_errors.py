"""What stands behind an error."""

from __future__ import annotations

import pytest

from rlm_module import FatalError, LimitReached
from rlm_module.errors import causes, met_shared_limit


def _drawn_up() -> None:
    """Fails for a reason of its own, after a limit."""
    try:
        raise LimitReached("cost", is_shared=True)
    except LimitReached:
        try:
            raise KeyError("a")
        except KeyError as error:
            raise FatalError("No answer could be drawn up.") from error


def _raised() -> BaseException:
    with pytest.raises(FatalError) as raised:
        _drawn_up()
    return raised.value


def test_causes_are_those_that_are_named_and_those_that_were_being_handled() -> None:
    assert [type(cause) for cause in causes(_raised())] == [FatalError, KeyError, LimitReached]
    assert list(causes(None)) == []


def test_a_shared_limit_is_seen_behind_whatever_came_of_it() -> None:
    assert met_shared_limit(_raised())
    assert met_shared_limit(LimitReached("tokens", is_shared=True))
    assert not met_shared_limit(LimitReached("tokens"))
    assert not met_shared_limit(FatalError("Something else."))
