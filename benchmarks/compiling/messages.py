"""Messages as a model reads them: what a caller put where, and in which form it wants its answer."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import dspy

from benchmarks.scripted import AnsweringEngine, engine_lm
from tests.scripted import texts


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a request."""

    role: str
    text: str


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a message that stands under a name: a field, a tag, a heading, or a fence and what introduces it."""

    name: str
    body: str


def model(answer: Callable[[Sequence[Message]], str]) -> dspy.LM:
    """An LM that answers messages without delay."""
    return engine_lm(AnsweringEngine(lambda request: answer([Message(role, text) for role, text in texts(request)])))


def text_of(messages: Sequence[Message]) -> str:
    return "\n\n".join(message.text for message in messages)


_FIELD = re.compile(r"^\[\[ ## (\w+) ## \]\][ \t]*$", re.M)
_TAG = re.compile(r"<(\w+)[^<>\n]*>\n?(.*?)\n?</\1>", re.S)
_FENCE = re.compile(r"(?:^|\n)([^\n]*)\n+```\w*\n(.*?)\n```", re.S)
_HEADING = re.compile(r"^(#+) (.+)$", re.M)


def sections(text: str) -> Iterator[Section]:
    """Whatever stands under a name, in any of the forms in which prompts are written."""
    headers = list(_FIELD.finditer(text))
    ends = [*(header.start() for header in headers[1:]), len(text)]
    for header, end in zip(headers, ends, strict=False):
        yield Section(header[1], text[header.end() : end].strip())
    for tag in _TAG.finditer(text):
        yield Section(tag[1], tag[2].strip())
    for fence in _FENCE.finditer(text):
        yield Section(fence[1].strip(), fence[2].strip())
    headings = list(_HEADING.finditer(text))
    for at, heading in enumerate(headings):
        end = next((later.start() for later in headings[at + 1 :] if len(later[1]) <= len(heading[1])), None)
        yield Section(heading[2].strip(), text[heading.end() : end].strip())


_CURRENT = re.compile(r"instruction|strategy|current|prompt|\btext\b", re.I)
_OTHER = re.compile(r"example|record|feedback|new|improved|better|task is", re.I)
_PLACEHOLDER = re.compile(r"\{\w+\}")


def instruction_of(messages: Sequence[Message]) -> str | None:
    """The instruction that is to be edited: the first section that is named like one."""
    for message in messages:
        for section in sections(message.text):
            named = _CURRENT.search(section.name) and not _OTHER.search(section.name)
            if named and section.body and not _PLACEHOLDER.fullmatch(section.body):
                return section.body
    return None


_FIELDS = re.compile(r"output fields are:\n((?:\d+\. `.*\n?)+)")
_FIELD_NAME = re.compile(r"^\d+\. `(\w+)`", re.M)


def output_fields(messages: Sequence[Message]) -> list[str]:
    """The names of the fields that the caller wants; none where it speaks of none."""
    found = _FIELDS.search(text_of(messages))
    return [] if found is None else _FIELD_NAME.findall(found[1])


def in_form_asked(messages: Sequence[Message], fields: Mapping[str, str]) -> str:
    """An answer's fields as the caller wants them: as JSON, under headers, or alone in a fence.

    Args:
        messages: The request.
        fields: The answer; only one where the caller named no fields.
    """
    text = text_of(messages)
    if not output_fields(messages):
        (alone,) = fields.values()
        return f"```\n{alone}\n```" if "```" in text else alone
    if "[[ ## completed ## ]]" in text:
        return "\n\n".join([*(f"[[ ## {name} ## ]]\n{body}" for name, body in fields.items()), "[[ ## completed ## ]]"])
    return json.dumps(dict(fields))
