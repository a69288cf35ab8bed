"""Faults of proposed texts: what does not exist or goes stale is found, and prose is left alone."""

from __future__ import annotations

import pytest

from rlm_module import RLM
from rlm_module.optimizers.evolution.lint import absent_functions, faults, stale_limits
from rlm_module.signatures import SPARING, STRATEGY, TERSE


def search_pages(words: str) -> str:
    """Finds pages."""
    return words


READER = RLM("context, query -> answer", tools=[search_pages], max_depth=2)
OTHER = RLM("notes -> summary", max_depth=0)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Call `lookup_page(title)` first.", ["lookup_page"]),
        ("Use search(query) to find it.", ["search"]),
        ("Put the result in FINAL_VAR(answer).", ["FINAL_VAR"]),
        ("Ask with `llm_batch` and then `sub_llm_query`.", ["llm_batch", "sub_llm_query"]),
        ("Call `open_page` on each, and use the tool `browse`.", ["open_page", "browse"]),
        ("```python\nrows = fetch_rows(context)\n```", ["fetch_rows"]),
    ],
)
def test_functions_that_nobody_offers_are_found(text: str, names: list[str]) -> None:
    assert absent_functions(text, READER) == names


@pytest.mark.parametrize(
    "text",
    [
        "Call `search_pages(words)`, then `llm_query_batched(prompts)` and SUBMIT(answer=...).",
        "Look at the record(s) and the entry(ies), if any; mind the column(s).",
        "Print `len(context)`, `context[:500]` and `type(query)`.",
        "Split with re.split(r'\\n', context) and count with Counter(words).",
        "```python\ndef parts(text):\n    return text.split()\nfound = parts(context)\n```",
        "```python\nfrom collections import OrderedDict\nkept = OrderedDict()\nbest = max(kept, key=kept.get)\n```",
        "Keep what you found in `final_answer` and `search_results`.",
        "A plan that is O(n) beats one that is O(n**2), e.g. (for large n) a scan.",
        "A helper such as `normalise` is worth writing; `import json` is allowed.",
        "Use `rlm_query` for what is too large.",
        "for line in lines: print(line)",
        STRATEGY,
        SPARING,
        TERSE,
    ],
)
def test_what_exists_and_what_is_prose_is_left_alone(text: str) -> None:
    assert faults(text, READER, 10_000) == []


def test_functions_of_sub_lms_are_absent_where_there_are_none() -> None:
    assert absent_functions("Ask with `llm_query`.", OTHER) == ["llm_query"]


def test_functions_of_children_are_absent_where_there_are_none() -> None:
    assert absent_functions("Use rlm_query(context).", RLM("context -> answer")) == ["rlm_query"]


def test_a_tool_that_only_another_rlm_has_is_absent() -> None:
    assert absent_functions("Call search_pages(words).", OTHER) == ["search_pages"]


@pytest.mark.parametrize(
    "text",
    [
        "You have at most 50 sub-LM calls.",
        "Finish within 20 turns.",
        "The limit is 15 iterations.",
        "You may make up to 30 calls of `llm_query`.",
        "Mind max_iters = 20.",
        "No more than ten sub-calls are allowed.",
        "You have 12 turns left.",
        "Only the first 10,000 characters of output are shown.",
        "You may make 50 calls.",
        "Ask about 20 sub-calls.",
        "Stop after 5 turns.",
        "after 3 iterations submit",
        "After ten LM calls, whatever you found, finish.",
        "Submit by turn 8.",
    ],
)
def test_limits_that_go_stale_are_found(text: str) -> None:
    assert stale_limits(text)


@pytest.mark.parametrize(
    "text",
    [
        "Write at most two sentences, then the code.",
        "Split the text into 20 pieces and try 3 of them.",
        "Dates before 1950 have two digits; check the first 500 rows.",
        "Take turns; one call is rarely enough.",
        "Answer within the limits you are told.",
        "After two failed calls, ask in another way.",
        "Compare two turns of the chat before you ask.",
        "Use 3 examples in each query, and stop when there is nothing left.",
    ],
)
def test_other_numbers_are_left_alone(text: str) -> None:
    assert stale_limits(text) == []


def test_length_and_emptiness_are_faults() -> None:
    assert faults("x" * 101, READER, 100) == ["It is 101 characters long; the most is 100."]
    assert faults(" \n", READER, 100) == ["It is empty."]
    assert faults("Call `nothing_there()` within 3 turns.", None, 100) == []
