"""A simulated root LM: it sees the question's words, searches by other words for the same, and reckons in code."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from string import Template

from benchmarks.memory_reader import Reading
from benchmarks.memory_words import searches

SESSIONS_READ = 8
"""How many sessions are read for a question at most."""

_QUESTION = re.compile(r"- `question` [^\n]*\n```\n(.*?)\n```", re.DOTALL)

ASKED = (
    "Say what the user or the assistant says on this question, as far as it is about the user: {question}\n"
    "One JSON object a line: value, amount, on (the date it happened), part (which of the things asked about it is, "
    "from 1), turn."
)

_CHOOSE = """\
ids = []
found = [list(dict.fromkeys(hit.session_id for hit in search(query, 40))) for query in $queries]
for place in range(40):
    for sessions in found:
        ids += [session for session in sessions[place:place + 1] if session not in ids]
ids = ids[:$most]
"""

_DELEGATE = Template(
    _CHOOSE
    + """\
import json
items = []
for reading in map_sessions(ids, $asked):
    for line in (reading.answer or "").splitlines() if reading else ():
        if line.startswith("{"):
            items.append({**json.loads(line), "said": reading.started_at})
print(len(ids), "sessions read")
for item in items:
    print(item)
"""
)

_PRINT = Template(
    _CHOOSE
    + """\
hits = {hit.id for query in $queries for hit in search(query, 40)}
for session in map(get_session, ids):
    near = [turn for before, turn in zip((None, *session.turns), session.turns)
            if turn.id in hits or (before and before.id in hits and turn.role == "assistant")]
    for turn in near[:6]:
        print(turn.id, turn.role, turn.ts.date(), turn.text[:220])
"""
)

_SCAN = Template(
    """\
import datetime as dt, math, re
def date_diff(a, b):
    return (dt.date.fromisoformat(b) - dt.date.fromisoformat(a)).days
texts = [(session, number, turn) for session in history for number, turn in enumerate(session.turns)]
words = [{word[:6] for word in re.findall(r"[^\\W\\d_]+", turn.text.lower())} for _, _, turn in texts]
rarity = lambda term: math.log(len(texts) / (1 + sum(term in found for found in words)))
best = []
for query in $queries:
    weights = {term[:6]: rarity(term[:6]) for term in query.split()}
    scores = [sum(weights[term] for term in weights.keys() & found) for found in words]
    best.append(sorted((at for at in range(len(texts)) if scores[at]), key=lambda at: -scores[at])[:20])
ids = []
for place in range(20):
    for ranked in best:
        ids += [texts[at][0].id for at in ranked[place:place + 1] if texts[at][0].id not in ids]
ids = ids[:$most]
for session, number, turn in (texts[at] for at in dict.fromkeys(at for ranked in best for at in ranked)):
    if session.id in ids:
        for near in range(number, min(number + 2, len(session.turns))):
            print(f"{session.id}.{near}", session.turns[near].text[:110])
"""
)

_OBSERVED = """\
cursor = None
while True:
    page = observations(limit=200, cursor=cursor)
    for one in page.observations:
        print(one.source_turn_ids[0], one.subject, one.stated_at.date(), one.value)
    cursor = page.cursor
    if cursor is None:
        break
"""

_SUBMIT = Template(
    """\
items = $items
$reckon
SUBMIT(answer=answer, evidence=$evidence if answer else [])
"""
)

_IDS = '[item["turn"] for item in items]'
_QUOTES = """[
    {"session": item["turn"].split(".")[0], "turn": int(item["turn"].split(".")[1]), "quote": item["quote"]}
    for item in items
]"""
_RECKON = {
    "sum": 'answer = str(sum({item["value"]: item["amount"] for item in items}.values())) if items else None',
    "count": 'answer = str(len({item["value"] for item in items})) if items else None',
    "between": """\
on = {item["part"]: item["on"] for item in items}
answer = f"{abs(date_diff(on[1], on[2])):.0f} days" if len(on) == 2 else None""",
    "since": """\
answer = f"{date_diff(items[0]['on'], as_of.date().isoformat()):.0f} days" if items else None""",
    "first": """\
on = {item["part"]: item["on"] for item in items}
answer = None if len(on) < 2 else "a" if date_diff(on[1], on[2]) > 0 else "b\"""",
    "before": 'answer = items[-2]["value"] if len(items) > 1 else None',
    "newest": 'answer = items[-1]["value"] if items else None',
}
_SHAPES = (
    ("sum", r"how much money"),
    ("between", r"how many days (?:passed|lie) between"),
    ("since", r"how many days"),
    ("count", r"how many"),
    ("first", r"which came first"),
    ("before", r"before the (?:present|current) one"),
)


def question_in(request: str) -> str:
    """The question, from the first request of a run.

    Raises:
        ValueError: There is none in it.
    """
    found = _QUESTION.search(request)
    if found is None:
        raise ValueError(f"no question stands in {request[:200]!r}")
    return found[1]


def first_cell(question: str, offered: str, *, has_history: bool = False) -> str:
    """How the root begins: it has sessions read, or prints what it will read itself.

    Args:
        question: The question's words.
        offered: What the root is told of its tools.
        has_history: Whether the sessions are in a variable.
    """
    slots = {"queries": repr(searches(question)), "most": SESSIONS_READ}
    if has_history:
        return _SCAN.substitute(slots)
    if "observations(" in offered:
        return _OBSERVED
    if "map_sessions(" in offered:
        return _DELEGATE.substitute(slots, asked=repr(ASKED.format(question=question)))
    return _PRINT.substitute(slots)


def gives_up() -> str:
    """How a root ends whose cell has failed."""
    return _SUBMIT.substitute(items="[]", reckon="answer = None", evidence="[]")


def last_cell(question: str, readings: Sequence[Reading] | None, *, quotes: bool = False) -> str:
    """How it ends: it reckons from what was read, and submits.

    Args:
        question: The question's words.
        readings: What it read itself; None where sub-models read, and the items are in a variable.
        quotes: Whether evidence is quotes of turns rather than their ids.
    """
    items = "sorted(items, key=lambda item: item['said'])"
    if readings is not None:
        items = repr([json.loads(json.dumps(reading.as_json())) for reading in readings])
    words = " ".join(question.lower().split())
    shape = next((name for name, pattern in _SHAPES if re.search(pattern, words)), "newest")
    return _SUBMIT.substitute(items=items, reckon=_RECKON[shape], evidence=_QUOTES if quotes else _IDS)
