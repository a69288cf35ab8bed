"""Random loops give the same with and without running ahead: output, errors, variables, what is asked and its order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.sandbox.repl import Repl

_EXPRESSIONS = (
    *("x", "y", "n", "v", "len(out)", "str(out)", "s[-3:]", "f'{x}-{n}'", "f'{y}{len(out)}'", "g(x)", "'k' + str(x)"),
    *("d.get(x)", "rows[x % 3]['t']", "rows[0]", "xs[x % len(xs)]", "other", "k(y)", "x if n % 2 else v", "[x, y]"),
    *("h(x)", "{x: n}", "min(x, n)", "x % 3 == 0 and s", "[z * x for z in xs[:2]]"),
)
_CONDITIONS = ("x % 2", "n > 3", "len(out) % 2", "'3' in str(v)", "x in d", "not v", "y", "len(s) > 9", "k(x) > 3")
_SIMPLE = (
    *("v = ask({})", "out.append(ask({}))", "d[x] = ask({})", "s = s + ask({})", "s += ask({})", "v = f({})"),
    *(
        "out += [ask(y) for y in xs[:3]]",
        "out.append([f(y) for y in ys if {}])",
        "len(other) < 9 and other.append({})",
        "n += 1",
    ),
    *("rows[x % 3]['t'] = ask({})", "row = rows[x % 3]; row['t'] = x", "print({})", "v = {}", "note({})", "y = {}"),
    *("d.update({{x: f(x) for x in xs[:2]}})", "s += str({})", "out.append(h({}))", "a, b = ask({}), ask(x)"),
    *("xs.append(n) if len(xs) < 8 else None", "v = (lambda q: ask(q))({})", "v = p({})", "held = out; held.append(x)"),
    *(
        "continue",
        "break",
        "raise ValueError({})",
        "assert {}, 'no'",
        "del out[:1]",
        "v = ' '.join(ask(q) for q in ys)",
    ),
)
_BEFORE = """
out, d, s, n, v, y = [], {}, '', 0, None, 2
xs, ys, rows = [3, 1, 4, 1, 5], [2, 7], [{'t': 0}, {'t': 1}, {'t': 2}]
other = OTHER
def f(a, b='!'):
    return ask(f'f{a}{b}')
def g(a):
    out.append(a)
    return ask(f'g{a}{len(out)}')
def h(a):
    global n
    n += 1
    r = ask(a)
    if len(r) % 2:
        return r
    return ask(f'{r}{a}')
def k(a):
    return len(str(a)) * 2 % 7
p = lambda a: ask(['p', a])
"""
_AFTER = "\n(out, d, s, n, v, y, xs, ys, rows, other)"


def _answer(prompt: Any) -> str:
    text = str(prompt)
    if sum(map(ord, text)) % 13 == 0:
        raise LookupError(f"no {text[:9]}")
    return f"<{text[:12]}{len(text)}>"


@st.composite
def blocks(draw: st.DrawFn, depth: int, indent: str) -> str:
    lines: list[str] = []
    for _ in range(draw(st.integers(1, 3))):
        kind = draw(st.sampled_from(["simple", "simple", "simple", "if", "for", "try"] if depth else ["simple"]))
        if kind == "simple":
            line = draw(st.sampled_from(_SIMPLE))
            values = [draw(st.sampled_from(_EXPRESSIONS)) for _ in range(line.count("{}"))]
            lines.append(indent + line.format(*values))
            continue
        inner = draw(blocks(depth - 1, indent + "    "))
        if kind == "if":
            lines.append(f"{indent}if {draw(st.sampled_from(_CONDITIONS))}:\n{inner}")
        elif kind == "for":
            lines.append(
                f"{indent}for y in {draw(st.sampled_from(['list(ys)', 'range(3)', 'list(xs)', 'out[:3]']))}:\n{inner}"
            )
        else:
            lines.append(
                f"{indent}try:\n{inner}\n{indent}except LookupError as error:\n{indent}    out.append(str(error))"
            )
    return "\n".join(lines)


@st.composite
def programs(draw: st.DrawFn) -> str:
    items = draw(st.sampled_from(["range(6)", "xs", "list(xs)", "enumerate(xs)", "zip(xs, ys * 3)", "[*xs, *ys]"]))
    target = "y, x" if items[0] in "ez" else "x"
    other = draw(st.sampled_from(["[]", "out", "xs", "rows", "ys"]))
    loop = f"for {target} in {items}:\n{draw(blocks(2, '    '))}"
    if draw(st.booleans()):
        names = "out, d, s, n, v, y, xs, ys, rows, other"
        body = "\n".join("    " + line for line in loop.split("\n"))
        loop = f"def main({names}):\n{body}\n    return {names}\nx = 0\nprint(main({names}))"
    return _BEFORE.replace("OTHER", other) + loop


@pytest.fixture(scope="module")
def both() -> Iterator[tuple[Repl, Repl]]:
    functions = {"ask": _answer, "note": lambda value: None}
    with (
        Repl(functions, ahead=0, one_by_one=("note",), cell_seconds=30) as plain,
        Repl(functions, ahead=8, one_by_one=("note",), cell_seconds=30) as ahead,
    ):
        yield plain, ahead


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(code=programs())
def test_running_ahead_changes_nothing_but_the_clock(both: tuple[Repl, Repl], code: str) -> None:
    seen: list[Any] = []
    for repl in both:
        repl.calls.clear()
        ran, after = repl.run(code), repl.run(_AFTER)
        noted = [call.args for call in repl.calls if call.function == "note"]
        asked = Counter(str(call.args) for call in repl.calls if call.function == "ask")
        seen.append(((ran.stdout, ran.value, ran.error, after.value, noted), asked, ran.unused))
    (plain, plain_asked, _), (ahead, ahead_asked, unused) = seen
    assert ahead == plain
    assert plain_asked <= ahead_asked
    assert (ahead_asked - plain_asked).total() == unused
