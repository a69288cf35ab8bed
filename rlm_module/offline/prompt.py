"""Requests as dspy's adapters write them, and replies as the adapters read them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Literal
from xml.sax.saxutils import escape, unescape

from dspy.lm15 import Request, TextPart

Style = Literal["chat", "json", "xml", "plain"]

_FIELD = re.compile(r"^\d+\. `(\w+)` \((.*?)\):(?: (.*))?$", re.M)
_HEADER, _NO_HEADER = "[[ ##", "[ [ ##"  # a passage may hold what would be taken for the border of a field
_NOT_IN_XML = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_REMINDER = re.compile(r"\n+Respond with (?:the corresponding output fields|a JSON object)[^\n]*\s*\Z")


@dataclass(frozen=True, slots=True)
class Field:
    """One input or output field of a signature; `type` is its annotation as the adapter prints it."""

    name: str
    type: str = "str"
    desc: str = ""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A request, taken apart.

    Args:
        system: The system message, empty where there is none.
        turns: The other messages in order, as (role, text).
        inputs: Input fields that the system message lists.
        outputs: Output fields that the system message lists; empty for a plain prompt.
        style: How the adapter wants the reply.
    """

    system: str
    turns: tuple[tuple[str, str], ...]
    inputs: tuple[Field, ...] = ()
    outputs: tuple[Field, ...] = ()
    style: Style = "plain"

    @classmethod
    def of(cls, request: Request) -> Prompt:
        """Takes a request apart; parts other than text are left out."""
        system = request.system or ""
        if not isinstance(system, str):
            system = "\n".join(part.text for part in system if isinstance(part, TextPart))
        turns = tuple(
            (message.role, "\n".join(part.text for part in message.parts_of(TextPart))) for message in request.messages
        )
        described, _, structure = system.partition("All interactions will be structured")
        before, marker, after = described.partition("Your output fields are:\n")
        if not (marker and structure):
            return cls(system, turns)
        style: Style = "json" if "Outputs will be a JSON object" in structure else "xml"
        if style == "xml" and "[[ ## completed ## ]]" in structure:
            style = "chat"
        return cls(system, turns, _fields(before), _fields(after), style)

    @property
    def is_root(self) -> bool:
        """Whether an RLM's root is asked for its next cell."""
        return {"reasoning", "code"} <= {field.name for field in self.outputs}

    def sections(self, text: str) -> dict[str, str]:
        """The input fields' values in one user message; a message without field headers is one nameless section."""
        text = _REMINDER.sub("", text)
        names = "|".join(re.escape(field.name) for field in self.inputs) or "(?!)"
        if self.style == "xml":
            pairs = re.findall(rf"^<({names})>\n(.*?)\n</\1>$", text, re.M | re.S)
            return {name: unescape(value) for name, value in pairs} or {"": text.strip()}
        parts = re.split(rf"^\[\[ ## ({names}) ## \]\][ \t]*\n?", text, flags=re.M)
        if len(parts) == 1:
            return {"": text.strip()}
        return {name: value.strip() for name, value in zip(parts[1::2], parts[2::2], strict=True)}

    def own_code(self, text: str) -> str:
        """The `code` of one of the root's earlier replies, without its fence."""
        code = text
        if self.style == "json":
            try:
                code = str(json.loads(text).get("code", ""))
            except (ValueError, AttributeError):
                code = ""
        elif self.style == "xml":
            found = re.search(r"^<code>\n(.*?)\n</code>$", text, re.M | re.S)
            code = unescape(found[1]) if found else ""
        elif "[[ ## code ## ]]" in text:
            code = text.partition("[[ ## code ## ]]")[2].partition("[[ ## completed ## ]]")[0]
        return re.sub(r"\A\s*```\w*\n|\n?```\s*\Z", "", code).strip()

    def reply(self, values: dict[str, Any]) -> str:
        """Output values in the form that the adapter parses."""
        if self.style == "json":
            return json.dumps(values, ensure_ascii=False, indent=2)
        texts = {
            name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            for name, value in values.items()
        }
        if self.style == "xml":
            return "\n\n".join(
                f"<{name}>\n{escape(_NOT_IN_XML.sub(' ', text))}\n</{name}>" for name, text in texts.items()
            )
        shown = (f"[[ ## {name} ## ]]\n{text.replace(_HEADER, _NO_HEADER)}" for name, text in texts.items())
        return "\n\n".join([*shown, "[[ ## completed ## ]]"])


def _fields(text: str) -> tuple[Field, ...]:
    return tuple(Field(name, type_, desc or "") for name, type_, desc in _FIELD.findall(text))
