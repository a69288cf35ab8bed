"""What is taken from a reply of the reflection model: the text in its fence, or why there is none."""

from __future__ import annotations

import re

from rlm_module.prompting.shown import encodable

_ESSAY = 3_000
_FENCE = re.compile(r"^ {0,3}(`{3,})[ \t]*([^`\n]*)$", re.MULTILINE)
_UNCHANGED = re.compile(
    r"\W*(?:no (?:further )?changes?\b|nothing (?:to|in|needs)\b|unchanged\b"
    r"|(?:the|this) (?:current )?text (?:is|needs no)\b)",
    re.IGNORECASE,
)
_REFUSED = re.compile(r"\W*(?:i'?m sorry|sorry,|i can(?:no|')t\b|i am (?:unable|not able)|as an ai\b)", re.IGNORECASE)
_PREFACE = re.compile(
    r"(?:here(?:'s| is| are)|sure|certainly|below|the (?:new|improved|revised))\b[^\n]{0,120}:[ \t]*\n", re.I
)


def fence_for(text: str) -> str:
    """A fence that is longer than any in the text."""
    return "`" * max([3, *(len(found.group(1)) + 1 for found in _FENCE.finditer(text))])


def read_text(reply: str, current: str) -> str:
    """The text that a reply proposes: its last large fenced block, else all of it; empty where there is none.

    Args:
        reply: It.
        current: The text that was to be changed.
    """
    reply = encodable(reply)
    blocks = _blocks(reply)
    if blocks:
        longest = max(len(block) for block in blocks)
        return next(block for block in reversed(blocks) if 2 * len(block) >= longest).strip()
    whole = reply.strip()
    if preface := _PREFACE.match(whole):
        whole = whole[preface.end() :].strip()
    if _UNCHANGED.match(whole) and len(whole) < _ESSAY:
        return current
    return "" if _REFUSED.match(whole) or len(whole) > max(_ESSAY, 2 * len(current)) else whole


def fault_of(reply: str) -> str:
    """What is wrong with a reply that proposes no text."""
    if not reply.strip():
        return "The reflection model replied with nothing."
    if _REFUSED.match(reply.strip()):
        return "The reflection model refused."
    if len(reply) > _ESSAY:
        return "The reflection model replied with an essay, not with a text in a fence."
    return "The proposed text is empty."


def _blocks(reply: str) -> list[str]:
    """Fenced blocks. A shorter fence inside a block is part of it, and one with a language opens a block within it."""
    blocks: list[str] = []
    depth = outer = begin = 0
    for found in _FENCE.finditer(reply):
        length, has_language = len(found.group(1)), bool(found.group(2).strip())
        if not depth:
            depth, outer, begin = 1, length, found.end() + 1
        elif length >= outer:
            depth += 1 if has_language else -1
            if not depth:
                blocks.append(reply[begin : found.start()])
    if depth:
        blocks.append(reply[begin:])
    return [block.strip("\n") for block in blocks if block.strip()]
