"""A reading put into the type of an output field, as far as text can be put into it."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from typing import Any

from rlm_module.offline.prompt import Field, Prompt
from rlm_module.offline.question import normal
from rlm_module.offline.reader import NOT_FOUND, NUMBER, Reading, read, split

_QUESTION_NAMES = re.compile(r"question|query|instruction|prompt|task|ask|request|claim", re.I)
_RECORDS = ("transcript", "repl_history")
_EVIDENCE_NAMES = re.compile(r"evidence|quote|source|explanation|support|passage|sentence|citation|context", re.I)


def bare(annotation: str) -> str:
    """The type without Optional or `| None`."""
    inner = re.fullmatch(r"(?:Optional|UnionType|Union)\[(.+?)(?:, None(?:Type)?)?\]", annotation)
    return re.sub(r"\s*\|\s*None\b", "", inner[1] if inner else annotation).strip()


def choices(annotation: str) -> list[Any]:
    """The values of a Literal type; empty for other types."""
    found = re.fullmatch(r"(?:typing\.)?Literal\[(.*)\]", bare(annotation), re.S)
    try:
        return list(ast.literal_eval(f"[{found[1]}]")) if found else []
    except (ValueError, SyntaxError):
        return []


def is_evidence(field: Field) -> bool:
    """Whether a text field wants the sentence rather than the value."""
    return bool(_EVIDENCE_NAMES.search(field.name))


def predict(prompt: Prompt) -> dict[str, Any]:
    """Fills a predictor's output fields from its input fields."""
    last = next((text for role, text in reversed(prompt.turns) if role == "user"), "")
    sections = prompt.sections(last)
    record = next((sections[name] for name in sections if name.startswith(_RECORDS)), None)
    if record is not None:
        question, passage = _asked(record), record
        readings = _answers(record) or read(question, record)
    else:
        question, passage = _parts(sections)
        readings = read(question, passage)
    return {field.name: fill(field, question, passage, readings) for field in prompt.outputs}


def fill(field: Field, question: str, passage: str, readings: Sequence[Reading]) -> Any:
    """One field's value; a best effort, since nothing here can refuse."""
    best = readings[0] if readings else None
    kind = bare(field.type)
    if field.name in ("reasoning", "rationale"):
        said = f"This sentence shares most words with the question: {best.sentence}" if best else ""
        return said or "No sentence of the input shares enough words with the question."
    if options := choices(kind):
        text = normal(f"{best.sentence if best else ''} {passage}")
        return max(options, key=lambda option: text.count(normal(str(option))))
    if kind in ("int", "float"):
        found = [n for reading in readings for n in NUMBER.findall(reading.answer) + NUMBER.findall(reading.sentence)]
        fresh = [n for n in found if normal(n) not in normal(question)]
        number = next(iter([*fresh, *found, "0"])).replace(",", "")
        return int(float(number)) if kind == "int" else float(number)
    if kind == "bool":
        return best is not None and best.score > 0.5 and not re.search(r"\b(?:not|no|never)\b", best.sentence, re.I)
    if kind.startswith(("list", "tuple", "set", "Sequence")):
        return [reading.sentence if is_evidence(field) else reading.answer for reading in readings]
    if kind.startswith(("dict", "Mapping")):
        return {"answer": best.answer, "evidence": best.sentence} if best else {}
    if best is None:
        return NOT_FOUND
    return best.sentence if is_evidence(field) else best.answer


def _asked(record: str) -> str:
    """The question that an offline root's first cell printed."""
    questions = re.findall(r"^[^\w\n]*question: (.+)$", record, re.M)
    return questions[-1] if questions else ""


def _answers(record: str) -> list[Reading]:
    """What an offline root's cells printed as the answer, the last first."""
    return [Reading(said, said, 1.0) for said in reversed(re.findall(r"^[^\w\n]*answer: (.+)$", record, re.M))]


def _parts(sections: dict[str, str]) -> tuple[str, str]:
    """The question and the passage among a predictor's inputs."""
    if len(sections) == 1:
        return split(next(iter(sections.values())))
    asking = [name for name in sections if _QUESTION_NAMES.search(name)]
    name = (
        asking[0]
        if asking
        else min(sections, key=lambda key: (not sections[key].rstrip().endswith("?"), len(sections[key])))
    )
    passage = "\n".join(text for key, text in sections.items() if key != name)
    return sections[name], passage
