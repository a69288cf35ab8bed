"""Sessions go into a task's chat history and come back."""

from __future__ import annotations

import pytest

from rlm_module.errors import InputError
from rlm_module.memory import as_history, read_history
from rlm_module.memory.samples import session
from rlm_module.signatures import ChatHistory


def test_a_history_holds_what_the_sessions_do_and_can_be_ingested() -> None:
    sessions = [session("a", "one", "two"), session("b", "three")]
    history = as_history(sessions)
    assert [(found.id, len(found.turns)) for found in history.sessions] == [("a", 2), ("b", 1)]
    assert read_history(history).sessions == tuple(sessions)


def test_a_history_without_times_is_told_in_one_sentence() -> None:
    with pytest.raises(InputError, match=r"Session 'session_1' of the history has no time; give it `started_at`"):
        read_history(ChatHistory([{"role": "user", "content": "hi"}]))
