"""Records in LongMemEval's form, made small for tests."""

from __future__ import annotations

from typing import Any


def turn(role: str, content: str, **more: Any) -> dict[str, Any]:
    return {"role": role, "content": content, **more}


def record(name: str = "q1", **changes: Any) -> dict[str, Any]:
    """A question with three sessions, of which the second holds the answer."""
    return {
        "question_id": name,
        "question_type": "single-session-user",
        "question": "What is my dog called?",
        "answer": "Rex",
        "question_date": "2023/05/30 (Tue) 23:40",
        "haystack_session_ids": ["sharegpt_1", "answer_2", "ultrachat_3"],
        "haystack_dates": ["2023/05/20 (Sat) 02:21", "2023/05/21 (Sun) 10:00", "2023/05/22 (Mon) 11:00"],
        "haystack_sessions": [
            [turn("user", "How do tides work?"), turn("assistant", "The moon pulls.")],
            [turn("user", "Rex chewed my slipper.", has_answer=True), turn("assistant", "Oh dear.", has_answer=False)],
            [turn("user", "What is basalt?"), turn("assistant", "A rock.")],
        ],
        "answer_session_ids": ["answer_2"],
        **changes,
    }
