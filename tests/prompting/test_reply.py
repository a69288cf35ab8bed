from __future__ import annotations

import ast
import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_module.prompting.reply import extract_code, foreign_language, read_reply

_LINES = st.sampled_from(
    [
        "x = 1",
        "print(x)",
        "for i in range(3):\n    print(i)",
        's = """\n```\ninner\n```\n"""',
        "t = '''\n```python\nnested()\n```'''",
        'u = "[[ ## reasoning ## ]]"',
        'v = """\n[[ ## reasoning ## ]]\n[[ ## completed ## ]]\n"""',
        "w = 'naïve 🎉 \\ud800'",
        "# [[ ## code ## ]]",
        "r'\\d+'",
    ]
)
_CODE = st.lists(_LINES, min_size=1, max_size=6).map("\n".join)
_PROSE = st.sampled_from(["", "First I look.", "Let me count:\n\n- one\n- two", "It's 3 o'clock", "Use `x` here."])


@given(_CODE, _PROSE, _PROSE)
def test_fenced_code_arrives_whole(code: str, before: str, after: str) -> None:
    assert extract_code(f"{before}\n```python\n{code}\n```\n{after}") == code


@given(_CODE, st.sampled_from(["python", ""]), st.integers(1, 3))
def test_fences_around_a_fence_are_taken_off(code: str, language: str, times: int) -> None:
    assert extract_code("```\n" * times + f"```{language}\n{code}\n```" + "\n```" * times) == code


def test_fences_around_a_whole_reply_are_taken_off() -> None:
    assert read_reply("```\n```python\nprint(1)\n```\n```\n").code == "print(1)"


@given(_CODE)
def test_an_unclosed_fence_reaches_to_the_end(code: str) -> None:
    assert extract_code(f"Here:\n```python\n{code}") == code


@given(_CODE, _PROSE)
def test_a_reply_with_field_headers_gives_code_and_reasoning(code: str, reasoning: str) -> None:
    for body in (code, f"```python\n{code}\n```", f"```\n{code}\n```"):
        reply = read_reply(f"[[ ## reasoning ## ]]\n{reasoning}\n\n[[ ## code ## ]]\n{body}\n\n[[ ## completed ## ]]")
        assert (reply.reasoning, reply.code) == (reasoning, code)


@given(_CODE)
def test_extracting_twice_changes_nothing(code: str) -> None:
    assert extract_code(extract_code(code)) == extract_code(code) == code


@given(st.text())
def test_any_text_is_read_without_an_error(text: str) -> None:
    reply = read_reply(text)
    assert isinstance(reply.code, str)
    assert read_reply(f"[[ ## code ## ]]\n{text}").code is not None


@given(st.lists(st.sampled_from(["```", "```python", "~~~", "x = 1", "'''", "[[ ## code ## ]]", "text"]), max_size=12))
def test_any_arrangement_of_fences_and_headers_is_read_without_an_error(lines: list[str]) -> None:
    assert isinstance(read_reply("\n".join(lines)).code, str)


@pytest.mark.parametrize("nothing", [None, "", "None", "  \n", "N/A"])
def test_a_field_without_content_is_no_code(nothing: object) -> None:
    assert extract_code(nothing) == ""


def test_several_python_blocks_run_in_order() -> None:
    assert extract_code("```python\na = 1\n```\nthen\n```py\nprint(a)\n```") == "a = 1\n\nprint(a)"


def test_blocks_without_a_mark_are_output_where_others_are_marked() -> None:
    assert extract_code("```python\nprint(1)\n```\nwhich prints\n```\n1\n```") == "print(1)"


def test_blocks_of_another_language_are_not_run() -> None:
    text = "Let me list the files.\n```bash\nls -la\n```"
    assert read_reply(text).code == ""
    assert foreign_language(text) == "bash"


def test_code_that_was_put_into_the_reasoning_is_found() -> None:
    reply = read_reply(
        "[[ ## reasoning ## ]]\nI print it.\n```python\nprint(1)\n```\n[[ ## code ## ]]\n\n[[ ## completed ## ]]"
    )
    assert (reply.reasoning, reply.code) == ("I print it.", "print(1)")


def test_a_made_up_continuation_is_cut_off() -> None:
    reply = read_reply(
        "[[ ## reasoning ## ]]\nGo.\n[[ ## code ## ]]\n```python\nprint(1)\n```\n[[ ## completed ## ]]\n\n"
        "[[ ## request ## ]]\n1\n\n[[ ## code ## ]]\n```python\nprint(2)\n```"
    )
    assert reply.code == "print(1)"


def test_fields_in_the_wrong_order_are_told_apart() -> None:
    reply = read_reply("[[ ## code ## ]]\nprint(1)\n\n[[ ## reasoning ## ]]\nBecause.\n\n[[ ## completed ## ]]")
    assert (reply.reasoning, reply.code) == ("Because.", "print(1)")


def test_broken_code_arrives_so_that_the_model_sees_its_error() -> None:
    reply = read_reply("[[ ## reasoning ## ]]\nGo.\n[[ ## code ## ]]\n```python\nprint(1\n```\n[[ ## completed ## ]]")
    assert reply.code == "print(1"


def test_a_json_object_is_read_as_fields() -> None:
    reply = read_reply('```json\n{"reasoning": "r", "code": "print(1)"}\n```')
    assert (reply.reasoning, reply.code) == ("r", "print(1)")


@pytest.mark.parametrize("prose", ["Done", "The answer, in short", "a, b", "42", "I would call len(context) next."])
def test_prose_is_not_code(prose: str) -> None:
    assert read_reply(prose).code == ""


def test_bare_code_is_code() -> None:
    assert read_reply("import re\nprint(len(context))").code == "import re\nprint(len(context))"


def test_an_indented_block_is_dedented() -> None:
    code = extract_code("1. Look:\n   ```python\n   if True:\n       print(1)\n   ```")
    assert code == "if True:\n    print(1)"
    ast.parse(code)


def test_a_block_on_one_line_is_found() -> None:
    assert read_reply("```python print(1)```").code == "print(1)"


def test_evenly_indented_code_is_dedented() -> None:
    assert extract_code(textwrap.indent("a = 1\nprint(a)", "    ")) == "a = 1\nprint(a)"
