"""The root's policy: which cell to run next, given what the cells so far have printed.

The way through a counting question is look, columns, count, submit; through any other look, rank, read, submit. A cell
that did not get through is not repeated: the next simpler one takes its place.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass

from rlm_module.offline import cells, records
from rlm_module.offline.prompt import Field
from rlm_module.offline.question import (
    Aggregate,
    aggregate,
    counts_lines,
    dates,
    identifiers,
    mentioned,
    phrases,
    quoted,
    terms,
)
from rlm_module.offline.task import Step, Task
from rlm_module.offline.typed import choices, is_evidence

_TOP = 8
_SAMPLE = "   "
_LONGEST_QUESTION = 4000
_FORGOTTEN = re.compile(r"NameError: name '(?:docs|question|rows|passages|terms|answer|evidence|hits)'")


@dataclass(frozen=True, slots=True)
class Action:
    """The next turn: why, and the cell."""

    reasoning: str
    code: str


@dataclass(frozen=True, slots=True)
class _Result:
    """Expressions for what a cell found: the answer, and a list of texts that show it."""

    answer: str
    evidence: str
    is_number: bool = False


def act(task: Task) -> Action:
    """The next cell of a run; in its last turn it submits what it finds without waiting to see it."""
    action = _next(task)
    if task.is_last_turn and re.search(r"^answer(?:, evidence)? = ", action.code, re.M):
        return Action(action.reasoning, f"{action.code}\n{_submit(task, '', _Result('answer', '[]')).code}")
    return action


def _next(task: Task) -> Action:
    done = Counter(_stage(step) for step in task.steps)
    last = task.steps[-1] if task.steps else None
    stage = _stage(last) if last else ""
    looked = next((step for step in reversed(task.steps) if _stage(step) == cells.LOOK and _passed(step)), None)
    if last is None or not stage or (_FORGOTTEN.search(last.output) and done[cells.LOOK] < 3):
        return _look(task, known=True)
    if looked is None:
        return (
            _look(task, known=False)
            if done[cells.LOOK] < 2
            else _submit_nothing(task, "The inputs could not be looked at.")
        )
    question = _printed(looked.output, "question: ")[:_LONGEST_QUESTION]
    asked = aggregate(question)
    if stage == cells.SUBMIT:
        return _submit_again(task, last, done[cells.SUBMIT])
    if stage == cells.LOOK and re.search("^0 texts", looked.output, re.M) and task.single:
        return Action("There is nothing to read but the question itself.", cells.ask())
    if stage == cells.LOOK:
        return _begin(question, asked, looked)
    if asked is not None and stage in (cells.COLUMNS, cells.COUNT, cells.WORDS):
        return _counting(task, question, asked, looked, last)
    return _reading(task, question, last, done)


def _stage(step: Step) -> str:
    match = re.match(r"# (\w+): ", step.code)
    return match[1] if match and match[1] in {*cells.PASSED, cells.SUBMIT} else ""


def _passed(step: Step) -> bool:
    return re.search(cells.PASSED[_stage(step)], step.output, re.M) is not None


def _printed(output: str, label: str) -> str:
    return next((line[len(label) :] for line in output.splitlines() if line.startswith(label)), "")


def _look(task: Task, *, known: bool) -> Action:
    if not (known and task.inputs):
        return Action(
            "I look for the inputs among the REPL's variables: their size and how they are laid out.",
            cells.look_around(task.instructions),
        )
    asking = task.question_input
    documents = [item for item in task.inputs if item is not asking]
    question = asking.name if asking else json.dumps(task.instructions, ensure_ascii=False)
    return Action("First I look at the inputs: their size and how they are laid out.", cells.look(documents, question))


def _begin(question: str, asked: Aggregate | None, looked: Step) -> Action:
    if asked is None:
        return _rank(question, "The question wants a passage, so I rank all passages by its words.")
    layout = _layout(looked)
    if layout is None and counts_lines(question):
        return _words(question, "The question wants a count, and the lines have no columns: I count lines by words.")
    if layout is None:
        return _rank(question, "The question wants a number that some passage may state, so I rank all passages.")
    return Action(
        "The question wants a count over records. Python counts better than a sub-LM: I split the records into columns "
        "and see which of their values the question names.",
        cells.split_columns(layout, terms(question)),
    )


def _layout(looked: Step) -> records.Format | None:
    sample = [line[len(_SAMPLE) :] for line in looked.output.splitlines() if line.startswith(_SAMPLE)]
    return records.infer(sample)


def _counting(task: Task, question: str, asked: Aggregate, looked: Step, last: Step) -> Action:
    stage = _stage(last)
    layout = _layout(looked)
    if not _passed(last) or (stage == cells.COLUMNS and layout is None):
        if stage == cells.WORDS:
            return _rank(question, "Counting by words failed, too; I look for a passage that states the number.")
        return _words(question, "The columns did not work out; I count the lines that hold the question's own words.")
    if stage == cells.COLUMNS and layout is not None:
        found = records.columns(last.output)
        tests = records.conditions(question, layout, found)
        column = records.column_of(asked.noun, layout, found) if asked.kind != "rows" else None
        if not tests and asked.kind == "rows" and not counts_lines(question):
            return _rank(question, "The question names no value of a column; some passage may state the number.")
        told = " and ".join(tests) or "no condition, so every record counts"
        return Action(f"The question's conditions are: {told}.", cells.count(tests, _of_hits(asked, layout, column)))
    why = f"{_printed(last.output, 'answer: ')} is the answer, and the printed examples fit the question."
    return _submit(task, why, _Result("answer", "[str(hit) for hit in hits[:5]]", asked.kind in ("rows", "distinct")))


def _of_hits(asked: Aggregate, layout: records.Format, column: int | None) -> str:
    if column is None:
        return "len(hits)"
    cell = layout.columns[column]
    if asked.kind == "distinct":
        return f"len({{{cell} for row in hits}})"
    order = "" if asked.kind == "most" else "[::-1]"
    return f"Counter({cell} for row in hits).most_common(){order}"


def _words(question: str, why: str) -> Action:
    words = list(dict.fromkeys([*quoted(question), *mentioned(question), *identifiers(question)]))
    when = dates(question)
    if when is not None and when.first[:7] == when.last[:7]:
        words.append(when.first if when.first == when.last else when.first[:7])
    return Action(why, cells.count_lines(words or terms(question)))


def _rank(question: str, why: str) -> Action:
    return Action(why, cells.rank([*terms(question), *phrases(question)], _TOP))


def _reading(task: Task, question: str, last: Step, done: Counter[str]) -> Action:
    stage = _stage(last)
    if stage == cells.RANK and not _passed(last):
        if done[cells.RANK] > 1:
            return _submit_nothing(task, "Ranking failed twice; nothing was found.")
        return _rank(question[:200], "That failed; I try again with fewer words.")
    if stage == cells.RANK:
        if task.calls and (task.batched or task.single):
            top = min(_TOP, task.calls)
            return Action(f"The best {top} passages go to the sub-LM.", cells.read(top, batched=task.batched))
        return Action("There is no sub-LM in this run, so I read the best passages in Python.", cells.read_here())
    failed = int(_printed(last.output, "failed calls: ") or 0)
    if done[cells.READ] < 2 and (not _passed(last) or (failed and _printed(last.output, "answer: ") == "NOT FOUND")):
        return Action("The sub-LM calls failed, so I read the best passages in Python.", cells.read_here())
    if not _passed(last):
        return _submit_nothing(task, "Reading failed twice; nothing was found.")
    why = "The first answer's sentence holds most of the question's words, so I submit it."
    return _submit(task, why, _Result("answer", "[evidence]"))


def _submit(task: Task, why: str, result: _Result) -> Action:
    return Action(why, cells.submit({field.name: _as(field, result) for field in task.outputs}))


def _submit_nothing(task: Task, why: str) -> Action:
    return _submit(task, why, _Result('"NOT FOUND"', "[]"))


def _submit_again(task: Task, last: Step, tries: int) -> Action:
    """Another try at an output that was not accepted: by what the message wants, then as plain text."""
    answer = (
        "answer" if re.search(r"\banswer\b", last.code.partition("SUBMIT(")[2].partition("=")[2]) else '"NOT FOUND"'
    )
    kinds = ("int", "float", "bool", "list", "dict")
    wanted = next((kind for kind in kinds if re.search(rf"\b{kind}", last.output)), "str") if tries == 1 else "str"
    fields = [
        Field(field.name, wanted) if re.search(rf"\b{field.name}\b", last.output) else field for field in task.outputs
    ]
    values = {field.name: _as(field, _Result(answer, "[]")) for field in fields}
    return Action("That was not accepted; I convert the answer to what the message asks for.", cells.submit(values))


def _as(field: Field, result: _Result) -> str:
    """An expression that turns the answer into an output's type."""
    answer, kind = result.answer, field.type
    if options := choices(kind):
        return f"max({options!r}, key=lambda choice: str({answer}).lower().count(str(choice).lower()))"
    if kind in ("int", "float"):
        number = f're.search(r"-?\\d[\\d,]*(?:\\.\\d+)?", str({answer}) + " 0")[0].replace(",", "")'
        convert = "int(float({}))" if kind == "int" else "float({})"
        return answer if result.is_number else convert.format(number)
    if kind == "bool":
        return f'str({answer}) not in ("0", "NOT FOUND")'
    if kind.startswith(("list", "set", "tuple", "Sequence")):
        return result.evidence if is_evidence(field) else f"[{answer}]"
    if kind.startswith(("dict", "Mapping")):
        return f'{{"answer": {answer}}}'
    if is_evidence(field) and result.evidence != "[]":
        return f'" / ".join({result.evidence})'
    return f"str({answer})" if result.is_number else answer
