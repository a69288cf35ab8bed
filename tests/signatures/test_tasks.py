"""The ready-made signatures in real runs: a right submission is accepted, a wrong one refused with the reason."""

from __future__ import annotations

import datetime as dt
import pickle
from pathlib import Path
from typing import Any

import dspy
import pydantic
import pytest

from rlm_module import RLM, InputError
from rlm_module.resuming import replay_run
from rlm_module.signatures import (
    AggregateRecords,
    Change,
    ChatHistory,
    ChatQA,
    Citation,
    CitedQA,
    CodebaseQA,
    CodeReference,
    CompareVersions,
    CountRecords,
    Directory,
    Documents,
    JoinRecords,
    Pair,
    TurnQuote,
    extract_records,
)
from tests.scripted import ScriptedLM, fields, turn
from tests.signatures.runs import outputs, play


class Invoice(pydantic.BaseModel):
    number: str
    total: float


class CitedInvoice(Citation):
    number: str


class Claims(dspy.Signature):
    """List the claims."""

    text: str = dspy.InputField()
    claims: dict[str, list[Citation]] = dspy.OutputField()


ALL = [
    AggregateRecords,
    ChatQA,
    CitedQA,
    CodebaseQA,
    CompareVersions,
    CountRecords,
    JoinRecords,
    extract_records(Invoice),
]
REPORTS = {"a.txt": "The cat sat on the mat. The dog  barked.", "b.txt": "A mat."}
CHAT = [
    {
        "id": "s1",
        "timestamp": "2024-01-05T09:00:00",
        "turns": [{"role": "user", "text": "I live in Rome."}, {"role": "assistant", "text": "Noted."}],
    },
    {"id": "s2", "timestamp": "2024-03-01T09:00:00", "turns": [{"role": "user", "text": "I moved to Oslo."}]},
]


def cite(document: str, start: int, end: int, quote: str, answer: str = "'x'") -> str:
    return (
        f"SUBMIT(answer={answer}, citations=[dict(document={document!r}, start={start}, end={end}, quote={quote!r})])"
    )


def test_cited_qa_returns_only_spans_that_are_in_the_source() -> None:
    prediction = play(
        CitedQA,
        "SUBMIT(answer='the cat', citations=[])",
        cite("a.txt", 0, 3, "cat"),
        cite("c.txt", 0, 3, "The dog barked"),
        cite("a.txt", 0, 4, "horse"),
        cite("a.txt", 30, 33, "at"),
        "text = documents['a.txt']\nat = text.index('cat')\n"
        "SUBMIT(answer='the cat', citations=[dict(document='a.txt', start=at, end=at + 3, quote=text[at:at + 3])])",
        documents=REPORTS,
        question="Who sat on the mat?",
    )
    empty, offset, unknown, absent, many, _ = outputs(prediction)
    assert empty.count("An answer needs at least one of `citations`") == 1
    assert "`citations[0]`: 0:3 is 'The', not the quote; it stands at start=4, end=7 of 'a.txt'." in offset
    assert "there is no document 'c.txt', only 'a.txt', 'b.txt'; it stands at start=24, end=39" in unknown
    assert "'The dog  barked'" in unknown
    assert "the quote stands nowhere" in absent
    assert "several places, such as 'a.txt' 20:22" in many
    assert prediction.citations == [Citation(document="a.txt", start=4, end=7, quote="cat")]
    assert prediction.termination_reason == "submitted"


def test_cited_qa_may_abstain() -> None:
    prediction = play(CitedQA, "SUBMIT(answer=None, citations=[])", documents=REPORTS, question="Who flew?")
    assert prediction.answer is None


def test_citations_are_checked_in_any_output_of_any_signature() -> None:
    prediction = play(
        Claims,
        "SUBMIT(claims={'one': [dict(document='text', start=1, end=2, quote='a')]})",
        "SUBMIT(claims={'one': [dict(document='text', start=0, end=1, quote='a')]})",
        text="abc",
    )
    assert "`claims['one'][0]`: 1:2 is 'b', not the quote; it stands at start=0, end=1" in outputs(prediction)[0]
    assert prediction.claims["one"][0].quote == "a"


def test_an_answer_that_is_drawn_up_keeps_the_citations_that_hold_or_can_be_mended() -> None:
    wrong = (
        '[{"document": "a.txt", "start": 0, "end": 1, "quote": "cat"},'
        ' {"document": "a.txt", "start": 0, "end": 1, "quote": "horse"}]'
    )
    lm = ScriptedLM([turn("print('cat')"), fields(answer="the cat", citations=wrong)])
    with dspy.context(lm=lm):
        prediction = RLM(CitedQA, max_iters=1)(documents=REPORTS, question="Who sat?")
    assert prediction.termination_reason == "max_iters"
    assert prediction.citations == [Citation(document="a.txt", start=4, end=7, quote="cat")]


def test_an_answer_that_is_drawn_up_without_evidence_is_not_lost() -> None:
    lm = ScriptedLM([turn("print('cat')"), fields(answer="the cat", citations="[]")])
    with dspy.context(lm=lm):
        prediction = RLM(CitedQA, max_iters=1)(documents=REPORTS, question="Who sat?")
    assert (prediction.answer, prediction.citations) == ("the cat", [])


def test_counting_and_aggregating_over_rows() -> None:
    rows = [{"team": "red", "points": 2}, {"team": "blue", "points": 3}, {"team": "red", "points": None}]
    count = play(
        CountRecords,
        "SUBMIT(count=-1)",
        "SUBMIT(count=sum(row['team'] == 'red' for row in records))",
        records=rows,
        question="How many red?",
    )
    assert count.count == 2
    assert "greater than or equal to 0" in outputs(count)[0]
    figures = play(
        AggregateRecords,
        "SUBMIT(figures=['red', 2])",
        "figures = {'red': 0, 'blue': 0}\n"
        "for row in records: figures[row['team']] += row['points'] or 0\n"
        "SUBMIT(figures=figures)",
        records=rows,
        question="Points by team?",
    )
    assert figures.figures == {"red": 2.0, "blue": 3.0}
    assert "SUBMIT was refused" in outputs(figures)[0]


def test_extracted_records_are_of_their_type_and_may_carry_their_span() -> None:
    text = "Invoice A-1: 10.50. Invoice A-2: 3."
    plain = play(
        extract_records(Invoice),
        "SUBMIT(records=[dict(number='A-1', total='a lot')])",
        "import re\nSUBMIT(records=[dict(number=n, total=float(t)) for n, t in "
        "re.findall(r'Invoice (\\S+): (\\d+(?:\\.\\d+)?)', documents['document'])])",
        documents=text,
    )
    assert plain.records == [Invoice(number="A-1", total=10.5), Invoice(number="A-2", total=3.0)]
    assert "total" in outputs(plain)[0]
    cited = play(
        extract_records(CitedInvoice),
        "SUBMIT(records=[dict(number='A-1', document='document', start=0, end=3, quote='A-1')])",
        "SUBMIT(records=[dict(number='A-1', document='document', start=8, end=11, quote='A-1')])",
        documents=text,
    )
    assert cited.records[0].number == "A-1"
    assert "it stands at start=8, end=11" in outputs(cited)[0]
    with pytest.raises(InputError, match=r"derived from pydantic\.BaseModel"):
        extract_records(str)  # type: ignore[arg-type]


def test_joins_name_rows_that_exist_once() -> None:
    prediction = play(
        JoinRecords,
        "SUBMIT(pairs=[dict(left=0, right=7)])",
        "SUBMIT(pairs=[dict(left=0, right=1), dict(left=0, right=1)])",
        "SUBMIT(pairs=[dict(left=i, right=j) for i, a in enumerate(left) for j, b in enumerate(right) "
        "if a['name'].lower() == b['person'].lower()])",
        left=[{"name": "Ann"}, {"name": "Bo"}],
        right=[{"person": "bo"}, {"person": "ann"}],
        condition="They are the same person.",
    )
    assert "`pairs[0]`: `right` has no row 7, only 0 to 1" in outputs(prediction)[0]
    assert "The pair 0, 1 is there twice" in outputs(prediction)[1]
    assert prediction.pairs == [Pair(left=0, right=1), Pair(left=1, right=0)]


def test_changes_quote_what_each_version_says() -> None:
    def change(kind: str, old: str, new: str, document: str = "document") -> str:
        fields = f"document={document!r}, kind={kind!r}, old_quote={old!r}, new_quote={new!r}, meaning='m'"
        return f"SUBMIT(changes=[dict({fields})], summary='s')"

    prediction = play(
        CompareVersions,
        change("changed", "10 days", "40 days"),
        change("added", "10 days", "30 days"),
        change("added", "", "Pay within"),
        change("removed", "Pay within", ""),
        change("changed", "Pay", "Pay"),
        change("changed", "10 days", "30 days", "other"),
        change("changed", "10 days", "30 days"),
        old="Pay within 10 days.",
        new="Pay within 30 days.",
    )
    told = outputs(prediction)
    assert "`new_quote` does not stand in the new 'document'" in told[0]
    assert "what was added has only `new_quote`" in told[1]
    assert "stands in the old version as well" in told[2]
    assert "stands in the new version as well" in told[3]
    assert "both quotes are the same" in told[4]
    assert "there is no document 'other', only 'document'" in told[5]
    assert prediction.changes == [
        Change(document="document", kind="changed", old_quote="10 days", new_quote="30 days", meaning="m")
    ]


def test_code_references_name_the_line(tmp_path: Path) -> None:
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "retry.py").write_text("import time\n\n\ndef retry():\n    time.sleep(1)\n    time.sleep(1)\n")

    def refer(path: str, line: int, quote: str) -> str:
        return f"SUBMIT(answer='there', references=[dict(path={path!r}, line={line}, quote={quote!r})])"

    prediction = play(
        CodebaseQA,
        refer("pkg/retry.py", 1, "def retry():\n    time.sleep(1)"),
        refer("pkg/retry.py", 1, "time.sleep(1)"),
        refer("pkg/retry.py", 4, "def again():"),
        refer("retry.py", 4, "def retry():"),
        refer("pkg/retry.py", 4, "def retry():"),
        folder=tmp_path,
        question="Where are retries?",
    )
    moved, twice, absent, unknown, _ = outputs(prediction)
    assert "not at line 1 of 'pkg/retry.py' but at 4" in moved
    assert "but at 5, 6" in twice
    assert "has no such lines" in absent
    assert "there is no file 'retry.py', only 'pkg/retry.py'" in unknown
    assert prediction.references == [CodeReference(path="pkg/retry.py", line=4, quote="def retry():")]


def test_chat_answers_quote_turns_that_were_known_then() -> None:
    def say(session: str, number: int, quote: str) -> str:
        return f"SUBMIT(answer='Rome', evidence=[dict(session={session!r}, turn={number}, quote={quote!r})])"

    prediction = play(
        ChatQA,
        say("s2", 0, "I moved to Oslo."),
        say("s1", 1, "Rome"),
        say("s9", 0, "Rome"),
        say("s1", 0, "Paris"),
        "SUBMIT(answer='Rome', evidence=[])",
        "old = [s for s in history if s.timestamp.date() <= as_of]\n"
        "SUBMIT(answer='Rome', evidence=[dict(session=s.id, turn=i, quote=t['text']) "
        "for s in old for i, t in enumerate(s.turns) if 'live in' in t.text])",
        history=CHAT,
        question="Where do I live?",
        as_of=dt.date(2024, 2, 1),
    )
    told = outputs(prediction)
    assert "not known to be from 2024-02-01 or before" in told[0]
    assert "it stands in turn 0 of session 's1'" in told[1]
    assert "there is no session 's9', only 's1', 's2'; it stands in turn 0 of session 's1'" in told[2]
    assert "no other turn that counts does" in told[3]
    assert "An answer needs at least one of `evidence`" in told[4]
    assert prediction.evidence == [TurnQuote(session="s1", turn=0, quote="I live in Rome.")]
    abstained = play(ChatQA, "SUBMIT(answer=None, evidence=[])", history=CHAT, question="What is my cat's name?")
    assert abstained.answer is None


@pytest.mark.parametrize("signature", ALL, ids=lambda signature: signature.__name__)
def test_every_signature_is_pickled_saved_and_loaded(signature: type[dspy.Signature], tmp_path: Path) -> None:
    rlm = RLM(signature)
    again: Any = pickle.loads(pickle.dumps(rlm))
    assert again.signature.fields.keys() == signature.fields.keys()
    assert again.signature.instructions == signature.instructions
    rlm.generate_action.signature = rlm.generate_action.signature.with_instructions("Learned.")
    rlm.save(tmp_path / "rlm.json")
    again.load(tmp_path / "rlm.json")
    assert again.generate_action.signature.instructions == "Learned."


@pytest.mark.parametrize("signature", ALL, ids=lambda signature: signature.__name__)
def test_every_signature_tells_what_to_do(signature: type[dspy.Signature]) -> None:
    assert len(signature.instructions) > 200
    assert not signature.instructions.startswith("Given the fields")


def test_a_run_with_a_refused_citation_is_replayed_offline(tmp_path: Path) -> None:
    rlm = RLM(CitedQA, journal=tmp_path)
    play(rlm, cite("a.txt", 0, 3, "cat"), cite("a.txt", 4, 7, "cat"), documents=REPORTS, question="Who sat?")
    replay = replay_run(next(tmp_path.iterdir()))
    assert (replay.is_same, replay.fault) == (True, None)


def test_a_run_goes_on_with_its_inputs_out_of_the_journal(tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "a.py").write_text("x = 1\n")

    class Look(dspy.Signature):
        """Look."""

        folder: Directory = dspy.InputField()
        history: ChatHistory = dspy.InputField()
        notes: Documents | None = dspy.InputField(default=None)
        found: str = dspy.OutputField()

    rlm = RLM(Look, journal=tmp_path / "runs")
    crash = ScriptedLM([turn("kept = folder['a.py']"), KeyboardInterrupt()])
    with dspy.context(lm=crash), pytest.raises(KeyboardInterrupt):
        rlm(folder=tmp_path / "code", history=CHAT)
    (tmp_path / "code" / "a.py").write_text("x = 2\n")
    run = next((tmp_path / "runs").iterdir())
    with dspy.context(lm=ScriptedLM([turn("SUBMIT(found=kept + history[0].turns[0].text + str(notes))")])):
        prediction = rlm.resume(run)
    assert prediction.found == "x = 1\nI live in Rome.None"
