"""The cells that OfflineLM writes as an RLM's root: plain Python that a reader can follow.

Each begins with a comment that names its stage, by which the root recognises its own earlier cells, and prints a line
that shows that it got through. Only the standard library is used.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from string import Template

from rlm_module.offline.records import Format
from rlm_module.offline.task import Input

LOOK, COLUMNS, COUNT, WORDS, RANK, READ, SUBMIT = "Look", "Columns", "Count", "Words", "Rank", "Read", "Submit"
PASSED = {
    LOOK: r"^[\d,]+ texts?, [\d,]+ characters",
    COLUMNS: r"^[1-9][\d,]* records",
    COUNT: r"^answer: ",
    WORDS: r"^answer: ",
    RANK: r"^[\d,]+ of [\d,]+ passages",
    READ: r"^answer: ",
}

_FLATTEN = '''\
import json

def flatten(value, name):
    """Every text in a value, with a name for where it stands."""
    if isinstance(value, str):
        return [(name, value)]
    if isinstance(value, dict):
        return [pair for key, item in value.items() for pair in flatten(item, f"{name}[{key!r}]")]
    if isinstance(value, (list, tuple)) and not any(isinstance(item, dict) for item in value):
        return [pair for i, item in enumerate(value) for pair in flatten(item, f"{name}[{i}]")]
    if isinstance(value, (list, tuple)):
        return [(name, "\\n".join(json.dumps(item, default=str, ensure_ascii=False) for item in value))]
    return [(name, str(value))]

'''

_LOOK = Template(
    """\
# Look: how large are the inputs, and how are they laid out?
$flatten$inputs
print("question:", " ".join(question.split()))
print(f"{len(docs):,} texts, {sum(len(text) for _, text in docs):,} characters")
some = docs if len(docs) <= 10 else docs[:6] + docs[-4:]
for name, text in some:
    print(f"{name}: {len(text):,} characters, {text.count(chr(10)) + 1:,} lines")
    for start in (0, len(text) // 2) if len(text) > 6000 else (0,):
        for line in text[start:start + 3000].splitlines()[start > 0:][:6 // len(some) + 2]:
            print("  ", line[:400])
"""
)

_AROUND = Template(
    """\
inputs = {name: value for name, value in dict(globals()).items()
          if name[0] != "_" and isinstance(value, (str, list, tuple, dict))}
short = [value for value in inputs.values() if isinstance(value, str) and len(value) < 2000]
question = min(short, key=len, default=$question)
docs = [pair for name, value in inputs.items() if value is not question for pair in flatten(value, name)]"""
)

_COLUMNS = Template(
    '''\
# Columns: split the records and see which values the question names.
$imports
from collections import Counter

def normal(text):
    """Lower-case words between single spaces, so that `in` finds whole words only."""
    return " " + re.sub(r"[\\W_]+", " ", text.lower()).strip() + " "

rows = $rows
print(f"{len(rows):,} records, for example {str(rows[len(rows) // 2])[:300] if rows else None}")
asked, stems = normal(question), $stems
for i, column in enumerate(zip(*$table)):
    values = Counter(column)
    few = len(values) < 50
    named = {v: n for v, n in values.items() if normal(v) in asked or (few and v.lower().startswith(stems))}
    some = [v[:40] for v, _ in values.most_common(4)]
    print(f"column {i}: {len(values):,} values, e.g. {some}, named in the question: {named}")
'''
)

_COUNT = Template(
    """\
# Count: the records that meet every condition.
${imports}hits = [
    row for row in rows$conditions
]
for row in hits[:3] + hits[3:][-2:]:
    print("  ", row)
print("matching records:", len(hits))
$answer
print("answer:", answer)
"""
)

_WORDS = Template(
    """\
# Words: there are no columns to go by, so count the lines that hold all of these.
import re

patterns = [re.compile(rf"\\b{re.escape(word)}", re.I) for word in $words]
lines = (match[0] for _, text in docs for match in re.finditer(".+", text))
hits = [line for line in lines if all(pattern.search(line) for pattern in patterns)]
for line in hits[:3] + hits[3:][-2:]:
    print("  ", line[:200])
answer = len(hits)
print("answer:", answer)
"""
)

_RANK = Template(
    """\
# Rank: score passages by the question's words, rare words counting more (BM25).
import math, re

terms = $terms
found, total = [], 0
for name, text in docs:
    for start in range(0, max(len(text), 1), 1000):
        total += 1
        passage = text[start:start + 1400].lower()
        if any(term.split()[0] in passage for term in terms):
            words = " " + re.sub(r"[\\W_]+", " ", passage)
            counts = [words.count(" " + term) for term in terms]
            found.append((name, text, start, counts))
seen_in = [sum(hit[3][i] > 0 for hit in found) for i in range(len(terms))]
rarity = [math.log(1 + (total - n + 0.5) / (n + 0.5)) for n in seen_in]

def score(hit):
    return sum(weight * n * 2.2 / (n + 1.2) for weight, n in zip(rarity, hit[3]))

best = sorted(found, key=score, reverse=True)[:$top]
print(f"{len(found):,} of {total:,} passages hold one of {dict(zip(terms, seen_in))}")
passages = []
for name, text, start, counts in best or [(name, text, 0, []) for name, text in docs[:$top]]:
    first = text.rfind("\\n", max(0, start - 400), start) + 1 or start
    last = text.find("\\n", start + 1400, start + 1800)
    passages.append(text[first:last if last > 0 else start + 1400])
    shown = max(passages[-1].splitlines() or [""], key=lambda line: sum(term in line.lower() for term in terms))
    print(f"{name} @ {start:,} {counts}: {shown[:100]}")
"""
)

_READ = Template(
    '''\
# Read: put the question to the sub-LM, one passage at a time, and keep the answer whose sentence holds most of
# the question's words, and most of them in a row.
from difflib import SequenceMatcher

prompt = """Answer the question from the passage alone.
First line: the answer, as short as possible, or NOT FOUND. Second line: the sentence that shows it.

Question: {question}

Passage:
{passage}"""
$call
asked = re.sub(r"[\\W_]+", " ", question.lower()).split()
found = []
for reply in replies:
    if reply and "NOT FOUND" not in reply:
        said, _, shown = reply.strip().partition("\\n")
        words = re.sub(r"[\\W_]+", " ", f"{shown} {said}".lower()).split()
        held = sum(weight for term, weight in zip(terms, rarity) if f" {term}" in " " + " ".join(words))
        run = SequenceMatcher(None, asked, words, autojunk=False).find_longest_match().size
        found.append((held + run, said.strip(), shown.strip()))
found.sort(key=lambda item: -item[0])
for fit, said, shown in found[:5]:
    print(f"{fit:6.2f}  {said[:120]}  <- {shown[:160]}")
answer, evidence = (found[0][1], found[0][2]) if found else ("NOT FOUND", "")
print("failed calls:", sum(not reply for reply in replies))
print("answer:", answer)
'''
)

_READ_HERE = """\
# Read: without a sub-LM, take the sentence that holds most of the question's words, and most of them in a row; the
# answer is what follows "is" or ":" in it.
from difflib import SequenceMatcher

asked = re.sub(r"[\\W_]+", " ", question.lower()).split()
found = []
for shown in {part.strip() for text in passages for part in re.split(r"\\n+|(?<=[.!?])\\s+", text)}:
    words = re.sub(r"[\\W_]+", " ", shown.lower()).split()
    held = sum(weight for term, weight in zip(terms, rarity) if f" {term}" in " " + " ".join(words))
    run = SequenceMatcher(None, asked, words, autojunk=False).find_longest_match().size
    said = re.split(r"\\b(?:is|are|was|were)\\b|[:=]\\s", shown)[-1].strip(" .") or shown
    if held:
        found.append((held + run, said, shown))
found.sort(key=lambda item: (-item[0], item[2]))
for fit, said, shown in found[:5]:
    print(f"{fit:6.2f}  {said[:120]}  <- {shown[:160]}")
answer, evidence = (found[0][1], found[0][2]) if found else ("NOT FOUND", "")
print("answer:", answer)
"""

_ASK = """\
# Read: there is no text to read, so the sub-LM gets the question as it is.
answer, evidence = llm_query(question), ""
print("answer:", answer)
"""


def look(documents: Sequence[Input], question: str) -> str:
    """Looks at the inputs.

    Args:
        documents: The inputs to read.
        question: An expression for the question.
    """
    shapes = [_pairs(document) for document in documents]
    flatten = "" if all(shapes) else _FLATTEN
    pairs = [shape or f'flatten({item.name}, "{item.name}")' for shape, item in zip(shapes, documents, strict=True)]
    setting = [] if question == "question" else [f"question = {question}"]
    return _LOOK.substitute(flatten=flatten, inputs="\n".join([*setting, f"docs = {' + '.join(pairs) or '[]'}"]))


def look_around(question: str) -> str:
    """Looks for inputs among all variables, where their names aren't known or did not work out.

    Args:
        question: The question as text, for a run in which no variable holds it.
    """
    return _LOOK.substitute(flatten=_FLATTEN, inputs=_AROUND.substitute(question=json.dumps(question)))


def _pairs(document: Input) -> str | None:
    """An expression for the (name, text) pairs of a plainly built input; None for others."""
    name = document.name
    if document.type == "str":
        return f'[("{name}", {name})]'
    if document.type == "dict" and re.match(r"""\{(['"]).*?\1: ['"]""", document.preview):
        return f"list({name}.items())"
    if document.type == "list" and document.preview[:2] in ("['", '["'):
        return f'[(f"{name}[{{i}}]", text) for i, text in enumerate({name})]'
    return None


def split_columns(layout: Format, terms: Sequence[str]) -> str:
    """Splits the records into `rows` and reports which values the question names, in full or by a word's stem."""
    words = [f'"{term}"' for term in terms if term.isalpha() and len(term) > 2]
    stems = f"({', '.join(words)}{',' if len(words) == 1 else ''})"
    table = "rows" if layout.columns[0] == "row[0]" else f"([{', '.join(layout.columns)}] for row in rows)"
    imports = "import " + ", ".join(name for name in ("csv", "json", "re") if name == "re" or f"{name}." in layout.rows)
    return _COLUMNS.substitute(imports=imports, stems=stems, rows=layout.rows, table=table)


def count(tests: Sequence[str], answer: str) -> str:
    """Counts the rows that pass all tests; `answer` is the expression for what the question wants of `hits`."""
    lines = [f"answer = {answer}"]
    if "Counter" in answer:
        lines = [f"tally = {answer}", "print(tally[:5])", "answer = tally[0][0]"]
    tested = "".join(f"\n    {'and' if i else 'if'} {test}" for i, test in enumerate(tests))
    imports = "from datetime import datetime\n\n" if "strptime" in tested else ""
    return _COUNT.substitute(imports=imports, conditions=tested, answer="\n".join(lines))


def count_lines(words: Sequence[str]) -> str:
    """Counts lines by words alone."""
    return _WORDS.substitute(words=_listed(words))


def rank(terms: Sequence[str], top: int) -> str:
    """Ranks passages of all texts by terms and keeps the `top` best in `passages`."""
    return _RANK.substitute(terms=_listed(terms), top=top)


def read(top: int, *, batched: bool) -> str:
    """Puts the first `top` of `passages` to the sub-LM, in one batch if that can be."""
    each = "prompt.format(question=question, passage=passage)"
    call = (
        f"replies = llm_query_batched([{each} for passage in passages[:{top}]])"
        if batched
        else f"replies = [llm_query({each}) for passage in passages[:{top}]]"
    )
    return _READ.substitute(call=call)


def read_here() -> str:
    """Reads `passages` in Python, for a run that has no sub-LM."""
    return _READ_HERE


def ask() -> str:
    """Puts the bare question to the sub-LM."""
    return _ASK


def submit(values: dict[str, str]) -> str:
    """Submits one expression for each output."""
    arguments = ", ".join(f"{name}={expression}" for name, expression in values.items())
    imports = "import re\n" if "re." in arguments else ""
    return f"# Submit: the answer was printed above.\n{imports}SUBMIT({arguments})\n"


def _listed(words: Sequence[str]) -> str:
    return json.dumps(list(words), ensure_ascii=False)
