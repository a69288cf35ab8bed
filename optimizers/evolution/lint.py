"""What is wrong with a proposed text before it is tried: functions that do not exist, limits that go stale, length."""

from __future__ import annotations

import builtins
import collections
import dataclasses
import datetime
import decimal
import functools
import itertools
import keyword
import math
import pathlib
import re
import statistics

from rlm_module import RLM

_FUNCTIONS = (
    "SUBMIT",
    "SHOW_VARS",
    "budget",
    "llm_query",
    "llm_query_batched",
    "predict",
    "predict_batched",
    "rlm_query",
    "rlm_query_batched",
)
"""What generated code may call of the package's own; any of them may be missing in a run, the contract tells which."""
_WITHOUT_SUB_CALLS = ("SUBMIT", "SHOW_VARS", "budget")
_OF_CHILDREN = ("rlm_query", "rlm_query_batched")
_LIBRARIES = (builtins, collections, dataclasses, datetime, decimal, functools, itertools, math, pathlib, statistics)
_PYTHONS = {*keyword.kwlist, *keyword.softkwlist, *(name for library in _LIBRARIES for name in dir(library))}
_CALL = re.compile(r"(?<![\w.`'\"])`?([A-Za-z_]\w+)\((?!(?:s|es|ies|n)\))")
_TICKED = re.compile(r"`([A-Za-z_]\w+)`")
_LIKE_OURS = re.compile(
    r"^(?:(?:llm|lm|rlm|sub_?(?:lm|llm|rlm|agent))_?\w*(?:query|call|ask|batch|batched)|(?-i:FINAL(?:_VAR)?))$", re.I
)
_SAID_TO_BE_CALLED = re.compile(
    r"\b(?:call|calling|calls|invoke|invoking|tools?|functions?)\s+(?:the\s+)?`([A-Za-z_]\w+)`"
    r"|`([A-Za-z_]\w+)`\s+(?:tool|function)\b",
    re.IGNORECASE,
)
_DEFINED = re.compile(r"\b(?:def|class|lambda|for|import|as|with)\s+([A-Za-z_]\w*)|\b([A-Za-z_]\w*)\s*(?:=(?!=)|:=)")
_NUMBER = r"(?:\d[\d,_]*|two|three|four|five|six|seven|eight|nine|ten|twenty|thirty|fifty|a hundred)"
_UNIT = (
    r"(?:(?:sub[- ]?)?(?:lm|llm|rlm|model)?[- ]?(?:sub[- ]?)?(?:calls?|queries|turns?|iterations?)"
    r"|tokens?|dollars|usd|seconds|minutes)"
)
_STEPS = r"(?:\w+[- ]){0,2}?(?:(?:\w+-)?calls?|queries|turns?|iterations?)\b"
_ENDING = r"(?:stop|submit|finish|end|quit|conclude)\b"
_LIMITS = (
    re.compile(
        rf"\b(?:make|ask|use|spend|send|issue|take)\s+(?:about\s+|around\s+|roughly\s+|some\s+)?{_NUMBER}\s+{_STEPS}",
        re.IGNORECASE,
    ),
    re.compile(rf"\b{_ENDING}[^.\n]{{0,40}}?\bafter\s+{_NUMBER}\s+{_STEPS}", re.IGNORECASE),
    re.compile(rf"\bafter\s+{_NUMBER}\s+{_STEPS}[^.\n]{{0,60}}?\b{_ENDING}", re.IGNORECASE),
    re.compile(rf"\b(?:by|before|until)\s+(?:turn|iteration)\s+{_NUMBER}\b", re.IGNORECASE),
    re.compile(
        rf"\b(?:at most|up to|no more than|not more than|maximum(?: of)?|max\.?|limit(?:ed)?(?: of| to|:)?|within|only"
        rf"|have|budget(?: of|:)?|exceed|under|fewer than|less than)\s+(?:about\s+|only\s+)?\$?{_NUMBER}\s+"
        rf"(?:\w+[- ]){{0,2}}?{_UNIT}\b",
        re.IGNORECASE,
    ),
    re.compile(
        rf"\b{_NUMBER}\s+(?:\w+[- ]){{0,2}}?{_UNIT}\s+(?:at most|left|remain\w*|per run|in total)", re.IGNORECASE
    ),
    re.compile(rf"\b(?:max_\w+|limit|budget)\s*(?:=|:|is|of)\s*\$?{_NUMBER}", re.IGNORECASE),
    re.compile(
        r"\b(?:first|last|up to|at most)\s+[\d,_]+\s+char(?:acter)?s\b.{0,40}\b(?:shown|output|print)", re.IGNORECASE
    ),
)


def faults(text: str, rlm: RLM | None, max_chars: int) -> list[str]:
    """What is wrong with a text, a sentence each; empty if it may be tried.

    Args:
        text: It.
        rlm: The one that is told it, whose functions it may name; None for a text that no RLM is told.
        max_chars: The longest that it may be.
    """
    found = [f"It is {len(text):,} characters long; the most is {max_chars:,}."] if len(text) > max_chars else []
    if not text.strip():
        return ["It is empty."]
    if rlm is None:
        return found
    absent = absent_functions(text, rlm)
    if absent:
        names = ", ".join(f"`{name}`" for name in absent)
        found.append(f"It names {names}, which its REPL does not offer; name no function that is not there.")
    for limit in stale_limits(text):
        found.append(f'It states a limit ("{limit}"), which goes stale; the run tells its limits itself.')
    return found


def absent_functions(text: str, rlm: RLM) -> list[str]:
    """Functions that a text names although its RLM does not offer them, in order."""
    known = {*_PYTHONS, *(name for pair in _DEFINED.findall(text) for name in pair)}
    ours = {*_FUNCTIONS} if rlm.max_depth else {*_WITHOUT_SUB_CALLS}
    offered = {*rlm.tools, *rlm.signature.fields, *(ours if rlm.max_depth > 1 else ours - {*_OF_CHILDREN})}
    called = _CALL.findall(text)
    said = [name for pair in _SAID_TO_BE_CALLED.findall(text) for name in pair if name]
    like_ours = [name for name in _TICKED.findall(text) if _LIKE_OURS.match(name) or name in _FUNCTIONS]
    return [name for name in dict.fromkeys([*called, *said, *like_ours]) if name not in offered | known]


def stale_limits(text: str) -> list[str]:
    """Passages of a text that state a number as a limit of the run."""
    return list(dict.fromkeys(" ".join(found.group(0).split()) for limit in _LIMITS for found in limit.finditer(text)))
