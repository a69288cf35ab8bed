"""The root's policy, seen through whole runs of the cells it writes."""

from __future__ import annotations

import csv
import io
import json
import random
from typing import Any

import pytest

from rlm_module.errors import SubcallError
from rlm_module.offline.prompt import Field
from rlm_module.offline.root import act
from rlm_module.offline.task import Input, Step, Task
from tests.offline.play import play

LABELS = ("refund", "question", "complaint", "praise", "bug")
TEXTS = (
    "The parcel came late, but intact.",
    "I asked for a refund twice | nobody answered.",
    "Where is my invoice?",
    "u_7 told me to write here.",
)


def _records(count: int = 600) -> list[tuple[str, str, str, str]]:
    chance = random.Random(7)
    return [
        (
            f"2025-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}",
            f"u_{chance.randint(1, 12)}",
            chance.choice(LABELS),
            f"{chance.choice(TEXTS)} #{i}",
        )
        for i in range(count)
    ]


ROWS = _records()
LINES = [" | ".join(row) for row in ROWS]
PIPED = "\n".join(LINES)
QUESTION = "How many records of user u_7 are labelled 'refund'?"
TRUTH = sum(row[1] == "u_7" and row[2] == "refund" for row in ROWS)
COUNT = (Field("answer", "int"),)


def _as_csv(header: bool) -> str:
    out = io.StringIO()
    csv.writer(out).writerows([*([("date", "user", "label", "text")] if header else []), *ROWS])
    return out.getvalue()


def _dicts() -> list[dict[str, str]]:
    return [dict(zip(("date", "user", "label", "text"), row, strict=True)) for row in ROWS]


LAYOUTS: dict[str, Any] = {
    "pipes": PIPED,
    "tabs": "\n".join("\t".join(row) for row in ROWS),
    "csv": _as_csv(header=False),
    "csv with header": _as_csv(header=True),
    "keyed": "\n".join(f"Date: {d} || User: {u} || Instance: {t} || Label: {n}" for d, u, n, t in ROWS),
    "blocks": "\n\n".join(f"Date: {d}\nUser: {u}\nLabel: {n}\nText: {t}" for d, u, n, t in ROWS),
    "log": "\n".join(f"[{d} 10:22] {u} ({n}): {t}" for d, u, n, t in ROWS),
    "json lines": "\n".join(map(json.dumps, _dicts())),
    "list of lines": LINES,
    "list of dicts": _dicts(),
    "files": {"a/jan.log": "\n".join(LINES[:200]), "b.log": "\n".join(LINES[200:])},
    "pages": ["\n".join(LINES[:200]), "\n".join(LINES[200:])],
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_labelled_lines_are_counted_in_any_layout(layout: str) -> None:
    run = play({"context": LAYOUTS[layout], "query": QUESTION}, COUNT)
    assert run.outputs == {"answer": TRUTH}
    assert run.stages == ["Look", "Columns", "Count", "Submit"]


@pytest.mark.parametrize(
    ("question", "truth"),
    [
        ("How many records are there?", len(ROWS)),
        ("How many refunds does user u_7 have?", TRUTH),
        (
            "How many records of u_7 in March 2025 are labelled 'refund' or 'bug'?",
            sum(r[1] == "u_7" and r[2] in ("refund", "bug") and r[0][:7] == "2025-03" for r in ROWS),
        ),
        ("How many complaints were there in May?", sum(r[2] == "complaint" and r[0][5:7] == "05" for r in ROWS)),
        ("How many records since 2025-11-15?", sum(r[0] >= "2025-11-15" for r in ROWS)),
        ("How many records mention 'invoice'?", sum("invoice" in r[3] for r in ROWS)),
        ("How many different users have the label 'bug'?", len({r[1] for r in ROWS if r[2] == "bug"})),
        ("How many records of user u_99 are labelled 'refund'?", 0),
    ],
)
def test_conditions_of_a_count(question: str, truth: int) -> None:
    assert play({"context": PIPED, "query": question}, COUNT).outputs == {"answer": truth}


def test_the_most_common_value_is_named() -> None:
    bugs = [row[1] for row in ROWS if row[2] == "bug"]
    run = play({"context": PIPED, "query": "Which user has the most records labelled 'bug'?"})
    assert run.outputs is not None
    assert bugs.count(run.outputs["answer"]) == max(map(bugs.count, bugs))


def test_days_in_other_formats_are_read() -> None:
    text = "\n".join(f"{month} {day:02}, 2025 | u_1 | note {day}" for month in ("Feb", "Mar") for day in range(1, 20))
    run = play({"context": text, "query": "How many records of u_1 between 2025-02-18 and 2025-03-03?"}, COUNT)
    assert run.outputs == {"answer": 5}


def test_lines_without_columns_are_counted_by_words() -> None:
    text = "\n".join(["She said the kettle was fine", "No kettle here, dear", "A lamp", "The kettle again!"] * 3)
    run = play({"context": text, "query": "How many lines mention 'kettle'?"}, COUNT)
    assert run.outputs == {"answer": 9}
    assert run.stages == ["Look", "Words", "Submit"]


def test_a_word_of_another_form_picks_a_value() -> None:
    text = "\n".join(f"day {n}: user {n % 9} {'failed' if n % 5 == 0 else 'passed'}" for n in range(300))
    run = play({"log": text, "query": "How often did user 4 fail?"}, COUNT)
    assert run.outputs == {"answer": sum(n % 9 == 4 and n % 5 == 0 for n in range(300))}


@pytest.mark.parametrize(
    "text", ["Ann has 5 apples. Bob has 7 pears.", PIPED + "\n2025-12-30 | u_2 | note | Ann has 5 apples."]
)
def test_a_number_that_the_text_states_is_read_not_counted(text: str) -> None:
    run = play({"text": text, "query": "How many apples does Ann have?"}, COUNT)
    assert run.outputs == {"answer": 5}
    assert "Read" in run.stages


def test_a_malformed_record_leads_to_a_simpler_cell_not_the_same_one() -> None:
    lines = [f"{day:02}/03/2025 | u_1 | fine" for day in range(13, 29)]
    text = "\n".join([*lines * 4, "pending | u_1 | fine"])
    run = play({"context": text, "query": "How many records of user u_1 in 2025?"}, COUNT)
    assert "ValueError" in run.steps[2].output
    assert run.stages[2:4] == ["Count", "Words"]
    assert run.outputs is not None


NEEDLE = "2025-06-11 | u_staff | note | The vault code of the Larkspur depot is 5Q-4288-OSPREY."
DISTRACTORS = [
    "2025-01-11 | u_staff | note | The vault code of the Foxglove depot is 3Q-8516-PLOVER.",
    "2025-01-12 | u_staff | note | The vault of the Larkspur depot was repainted; ask the manager for the code.",
]
HAYSTACK = [*LINES[:50], *DISTRACTORS, *LINES[50:400], NEEDLE, *LINES[400:]]
WHERE = "What is the vault code of the Larkspur depot?"


@pytest.mark.parametrize(
    "context",
    ["\n".join(HAYSTACK), HAYSTACK, {"notes/a.txt": "\n".join(HAYSTACK[:300]), "b.txt": "\n".join(HAYSTACK[300:])}],
    ids=["text", "list", "files"],
)
def test_a_needle_is_found(context: Any) -> None:
    run = play({"context": context, "query": WHERE})
    assert run.outputs == {"answer": "5Q-4288-OSPREY"}
    assert run.stages == ["Look", "Rank", "Read", "Submit"]


@pytest.mark.parametrize("known", [True, False], ids=["names told", "names not told"])
def test_inputs_may_have_any_names(known: bool) -> None:
    run = play({"docs": HAYSTACK, "question": WHERE}, (Field("code"),), known=known)
    assert run.outputs == {"code": "5Q-4288-OSPREY"}


def test_without_a_sub_lm_it_reads_in_python() -> None:
    run = play({"context": "\n".join(HAYSTACK), "query": WHERE}, query=None)
    assert run.outputs == {"answer": "5Q-4288-OSPREY"}
    assert not any("llm_query" in step.code for step in run.steps)


def test_failed_sub_calls_lead_to_reading_in_python() -> None:
    failed = SubcallError("budget", "no calls are left; go on in Python")
    run = play({"context": "\n".join(HAYSTACK), "query": WHERE}, query=lambda _: failed)
    assert run.outputs == {"answer": "5Q-4288-OSPREY"}
    assert run.stages == ["Look", "Rank", "Read", "Read", "Submit"]


def test_a_raising_sub_call_leads_to_reading_in_python() -> None:
    def query(prompt: str) -> str:
        raise SubcallError("lm", "the model is not there")

    assert play({"context": "\n".join(HAYSTACK), "query": WHERE}, query=query).outputs == {"answer": "5Q-4288-OSPREY"}


def test_what_is_not_there_is_said_not_to_be() -> None:
    run = play({"context": "\n".join(LINES), "query": "Who painted the ceiling?"})
    assert run.outputs == {"answer": "NOT FOUND"}


def test_an_empty_input_ends_with_nothing_found() -> None:
    assert play({"context": "", "query": "Who painted the ceiling?"}).outputs == {"answer": "NOT FOUND"}


def test_a_bare_question_goes_to_the_sub_lm() -> None:
    assert play({"question": "Who are you?"}, query=lambda _: "a stub").outputs == {"answer": "a stub"}


TYPES = {
    "str": "5Q-4288-OSPREY",
    "list[str]": ["5Q-4288-OSPREY"],
    "bool": True,
    "dict[str, str]": {"answer": "5Q-4288-OSPREY"},
    "Literal['OSPREY', 'KESTREL']": "OSPREY",
    "Optional[str]": "5Q-4288-OSPREY",
}


@pytest.mark.parametrize("annotation", TYPES)
def test_outputs_are_submitted_in_their_type(annotation: str) -> None:
    run = play({"context": "\n".join(HAYSTACK), "query": WHERE}, (Field("found", annotation),))
    assert run.outputs == {"found": TYPES[annotation]}


def test_numbers_are_taken_out_of_sentences() -> None:
    inputs = {
        "context": "The mill has 3 wheels. The farm keeps 1,250 sheep in winter.",
        "query": "What is kept on the farm?",
    }
    run = play(inputs, (Field("count", "int"), Field("share", "float"), Field("evidence")))
    assert run.outputs == {"count": 1250, "share": 1250.0, "evidence": "The farm keeps 1,250 sheep in winter."}


def test_a_refused_submission_is_converted() -> None:
    def refuse(values: dict[str, Any]) -> str | None:
        return None if isinstance(values["answer"], list) else "answer: expected list[str], got str"

    run = play({"context": "\n".join(HAYSTACK), "query": WHERE}, refuse=refuse)
    assert run.outputs == {"answer": ["5Q-4288-OSPREY"]}
    assert run.stages[-2:] == ["Submit", "Submit"]


def test_a_rebuilt_sandbox_is_looked_at_again() -> None:
    run = play({"context": PIPED, "query": QUESTION}, COUNT)
    lost = (*run.steps[:1], Step(run.steps[1].code, "NameError: name 'docs' is not defined"))
    task = Task("", (Input("context"), Input("query")), COUNT, True, True, lost)
    assert act(task).code.startswith("# Look:")


def test_no_run_repeats_a_cell_that_failed() -> None:
    run = play({"context": {"a": object()}, "query": 5, "SUBMIT": 3}, turns=6)
    failed = [step.code for step in run.steps if "Traceback" in step.output]
    assert len(failed) == len(set(failed))
