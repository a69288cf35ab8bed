"""Finds the reasoning and the code in a root LM's reply, whatever shape it came in.

Rules, in order: code that is Python as it stands is taken as it stands, so backticks and field headers in its strings
do no harm. Else fenced blocks count: those marked as Python if there are any, else those without a mark; several are
joined in order, as a notebook's cells would run. An unclosed fence reaches to the end. Blocks marked as another
language are not code. Without a fence, a reply is code only if it parses as Python that does something.
"""

from __future__ import annotations

import ast
import itertools
import json
import re
import textwrap
import threading
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_HEADER = re.compile(r"^[ \t]*\[\[[ \t]*##[ \t]*(\w+)[ \t]*##[ \t]*\]\][ \t]*", re.M)
_OPENING = re.compile(r"(?P<fence>`{3,}|~{3,})[ \t]*(?P<language>[\w+#.-]*)[^\n`~]*$", re.M)
_ONE_LINE = re.compile(r"^[ \t]*(`{3,})(?:(?:python|py)[ \t]+)?([^`\n]+)\1[ \t]*$", re.M)
_DRESSED = re.compile(r"\s*```[ \t]*\n([ \t]*```.*\n[ \t]*```)[ \t]*\n[ \t]*```\s*", re.S)
_PYTHON = {"python", "py", "python3", "py3", "ipython", "pycon", "repl", "jupyter", "tool_code"}
_MAX_HEADERS = 40  # a reply with more is noise, which must not cost seconds
_NOTHING = {"", "none", "null", "n/a"}
_ACTS = (ast.Call, ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Import, ast.ImportFrom, ast.Await, ast.stmt)
_warning_filters = threading.Lock()


@dataclass(frozen=True, slots=True)
class Reply:
    """One turn of the root LM.

    Args:
        reasoning: What it said around the code.
        code: The cell to run; empty where there is none.
    """

    reasoning: str
    code: str


@dataclass(frozen=True, slots=True)
class _Block:
    language: str
    code: str


def read_reply(text: str) -> Reply:
    """Takes a whole reply apart: with field headers, as a JSON object, or as prose around fenced code."""
    sections = _sections(text)
    if sections is not None:
        reasoning, code = sections
        # Some models put the cell into the reasoning and leave the code's section empty.
        return Reply(reasoning, extract_code(code)) if extract_code(code) else _read_prose(reasoning)
    fields = _json_fields(text)
    if fields is not None:
        return Reply(str(fields.get("reasoning") or ""), extract_code(fields.get("code")))
    return _read_prose(text)


def extract_code(text: object) -> str:
    """The Python in a reply's code field, without fences and without the prose around them.

    Args:
        text: The field's value; anything but text with content (None, "None") is no code.
    """
    if text is None or str(text).strip().lower() in _NOTHING:
        return ""
    code = _undressed(str(text).strip("\n").rstrip())
    if _is_python(code):
        return code
    if _is_python(textwrap.dedent(code)):
        return textwrap.dedent(code)
    blocks = list(_blocks(code))
    return _join(blocks) if blocks else code


def foreign_language(text: str) -> str | None:
    """The language that a reply's fenced blocks are marked as, where none of them is Python."""
    languages = [block.language for block in _blocks(text)]
    return languages[0] if languages and not any(_may_be_python(language) for language in languages) else None


def _read_prose(text: str) -> Reply:
    text = _undressed(text)
    if _is_python(text) and _acts(text):
        return Reply("", text.strip("\n").rstrip())
    code = _join(list(_blocks(text)))
    first = min((match.start() for match in (_OPENING.search(text), _ONE_LINE.search(text)) if match), default=None)
    return Reply(text[:first].strip() if code else text.strip(), code)


def _sections(text: str) -> tuple[str, str] | None:
    """The reasoning and code sections of a reply with field headers, None where it has no header of code."""
    headers = list(itertools.islice(_HEADER.finditer(text), _MAX_HEADERS))
    start = next((i for i, header in enumerate(headers) if header[1] == "code"), None)
    if start is None:
        return None if all(header[1] != "reasoning" for header in headers) else (_between(text, headers, 0), "")
    before = [header for header in headers[:start] if header[1] == "reasoning"]
    reasoning = text[before[0].end() : headers[start].start()] if before else text[: headers[start].start()]
    body = text[headers[start].end() :]
    end = _end_of_code(body)
    if not before:
        later = next((header for header in _HEADER.finditer(body, end) if header[1] == "reasoning"), None)
        reasoning = body[later.end() :].split("[[ ##")[0] if later else reasoning
    return reasoning.strip(), body[:end]


def _between(text: str, headers: list[re.Match[str]], index: int) -> str:
    end = headers[index + 1].start() if index + 1 < len(headers) else len(text)
    return text[headers[index].end() : end].strip()


def _end_of_code(body: str) -> int:
    """Where the code section ends: at the first header before which the code is whole, else at the first of all.

    A header in a string of the code is not its end, as what stands before it has an open string or an open fence.
    """
    ends = [header.start() for header in itertools.islice(_HEADER.finditer(body), _MAX_HEADERS)]
    for end in (*ends, len(body)):
        if body[:end].strip() and _is_whole(body[:end]):
            return end
    return ends[0] if ends else len(body)


def _is_whole(text: str) -> bool:
    if _is_python(textwrap.dedent(text)):
        return True
    blocks = list(_blocks(text, unclosed=False))
    return bool(blocks) and _is_python(_join(blocks))


def _json_fields(text: str) -> Mapping[str, Any] | None:
    stripped = text.strip().removeprefix("```json").removesuffix("```").strip()
    if not stripped.startswith("{"):
        return None
    try:
        fields = json.loads(stripped, strict=False)
    except (ValueError, RecursionError):
        return None
    return fields if isinstance(fields, dict) and "code" in fields else None


def _blocks(text: str, *, unclosed: bool = True) -> Iterator[_Block]:
    """Fenced blocks in order. A block ends at the first closing fence that leaves whole Python, else at the first."""
    position = 0
    while position < len(text):
        opening, one_line = _OPENING.search(text, position), _ONE_LINE.search(text, position)
        if one_line is not None and (opening is None or one_line.start() <= opening.start()):
            yield _Block("", one_line[2].strip())
            position = one_line.end()
            continue
        if opening is None:
            return
        body = text[opening.end() :].removeprefix("\n")
        offset = len(text) - len(body)
        closing = re.compile(rf"^[ \t]*{re.escape(opening['fence'])}[`~]*[ \t]*$", re.M)
        closings = list(closing.finditer(body)) or list(re.finditer(re.escape(opening["fence"]) + r"[ \t]*\Z", body))
        whole = (match for match in closings if _is_python(textwrap.dedent(body[: match.start()])))
        end = next(whole, None)
        if end is None and closings and not _is_python(textwrap.dedent(body)):
            end = closings[0]
        if end is None and not unclosed:
            return
        code = body if end is None else body[: end.start()]
        yield _Block(opening["language"].lower(), textwrap.dedent(code).strip("\n").rstrip())
        position = len(text) if end is None else offset + end.end()


def _undressed(text: str) -> str:
    """The text without fences around all of it that hold another fence."""
    while (dressed := _DRESSED.fullmatch(text)) is not None:
        text = dressed[1]
    return text


def _join(blocks: list[_Block]) -> str:
    marked = [block.code for block in blocks if block.language in _PYTHON and block.code]
    codes = marked or [block.code for block in blocks if not block.language and block.code]
    joined = "\n\n".join(codes)
    if len(codes) > 1 and not _is_python(joined):
        return next((code for code in codes if _is_python(code)), codes[0])
    return joined


def _may_be_python(language: str) -> bool:
    return not language or language in _PYTHON


def _is_python(code: str) -> bool:
    # Python warns of odd escapes in the model's strings as it parses; that is nobody's business here.
    with _warning_filters, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            ast.parse(code)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return False
    return True


def _acts(code: str) -> bool:
    """Whether Python that parses does anything: `Done` and `a, b` parse, too."""
    nodes = ast.walk(ast.parse(code))
    return any(isinstance(node, _ACTS) and not isinstance(node, ast.Expr) for node in nodes)
