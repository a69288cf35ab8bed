"""`rlm show`: a run as a tree, with time, tokens and cost of each node, its turns and its calls."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from rlm_module.cli.asked import asked, fitted
from rlm_module.cli.display import BULLET, REASONING_WIDTH, first_line, printable, spent
from rlm_module.cli.exits import reported_failures
from rlm_module.cli.recorded import journal_option, one_line, say
from rlm_module.cli.runs import moment
from rlm_module.journal import CallGroup, Node, RunTree, Turn, build_tree, find_run, group_calls, read_run

_ANSWER_WIDTH = 200


@click.command()
@click.argument("run")
@journal_option
@click.option("--full", is_flag=True, help="Show each turn's reasoning, code and output, and the answer, whole.")
def show(run: str, journal: Path, full: bool) -> None:
    """Show a run as a tree.

    RUN is the beginning of a run's id, as `rlm runs` lists them, or the folder of a run. First comes what it was asked
    (with --full, not cut to the width of the terminal), then the tree. Each node tells its time, and
    the tokens and cost of itself and all below it; then come its turns, its calls by function, and its child RLMs.
    Exit status: 0, or 2 if there is no such run or it cannot be read.
    """
    with reported_failures():
        folder = find_run(run, [journal])
        tree = build_tree(read_run(folder))
        head, *lines = drawn(tree, full=full)
        parts = asked(folder, tree.root.started)
        for line in (head, *(parts if full else [fitted(parts)] if parts else []), *lines):
            say(printable(line))


def drawn(tree: RunTree, *, full: bool) -> Iterator[str]:
    """The lines of a run's tree."""
    facts = [f"run {tree.run_id}", moment(tree.root.started.at)]
    facts += [f"resumed {tree.resumed} ×"] if tree.resumed else []
    facts += [f"score {tree.score:g}"] if tree.score is not None else []
    yield BULLET.join(facts)
    # A stack instead of recursion: how deep a tree is, its record says.
    waiting = [(0, "", "")]
    while waiting:
        number, first, margin = waiting.pop()
        node = tree.nodes[number]
        yield first + _headline(number, node)
        blocks = [list(_turn(turn, full=full)) for _, turn in sorted(node.turns.items())]
        blocks += [[_calls(group)] for group in group_calls(node)]
        last = len(blocks) + len(node.children) - 1
        for place, block in enumerate(blocks):
            yield margin + ("└─ " if place == last else "├─ ") + block[0]
            yield from (margin + ("   " if place == last else "│  ") + line for line in block[1:])
        below = [
            (child, margin + ("└─ " if place == last else "├─ "), margin + ("   " if place == last else "│  "))
            for place, child in enumerate(node.children, len(blocks))
        ]
        waiting += reversed(below)
    yield from _answer(tree.root.outputs, full=full)


def _headline(number: int, node: Node) -> str:
    name = one_line(node.started.task)
    facts = [
        f"node {number} {name}" if number else name,
        one_line(node.reason or "unfinished"),
        f"{node.seconds:.1f} s",
        spent(node.total),
    ]
    if node.children:
        facts.append(f"{spent(node.own)} of its own")
    return BULLET.join(facts)


def _turn(turn: Turn, *, full: bool) -> Iterator[str]:
    facts = [f"turn {turn.number}"]
    if turn.acted is None:
        facts.append("not answered")
    else:
        facts += [] if full else [one_line(first_line(turn.acted.reasoning, REASONING_WIDTH))]
        facts += [f"model {turn.acted.seconds:.1f} s", spent(turn.acted.usage)]
        if turn.cell is None:
            facts.append("cell not finished" if turn.acted.code else "no code")
    if turn.cell is not None:
        ended = "" if turn.cell.ended == "completed" else f", {one_line(turn.cell.ended)}"
        facts.append(f"cell {turn.cell.seconds:.1f} s{' (failed' + ended + ')' if turn.cell.failed else ended}")
        facts.append(f"{len(turn.cell.output):,} chars out")
    yield BULLET.join(fact for fact in facts if fact)
    if full and turn.acted is not None:
        yield from _block(turn.acted.reasoning, "  ")
        yield from _block(turn.acted.code, "  > ")
    if full and turn.cell is not None:
        yield from _block(turn.cell.output, "  | ")


def _calls(group: CallGroup) -> str:
    facts = [f"{one_line(group.function)} × {group.calls:,}"]
    facts += [f"{group.items:,} items"] if group.items else []
    if group.failed:
        kinds = ", ".join(f"{one_line(kind)} {count:,}" for kind, count in group.failed.items())
        facts.append(f"{sum(group.failed.values()):,} failed ({kinds})")
    facts += [f"{group.unfinished:,} unfinished"] if group.unfinished else []
    return BULLET.join([*facts, f"{group.seconds:.1f} s", spent(group.usage)])


def _answer(outputs: Mapping[str, Any], *, full: bool) -> Iterator[str]:
    for name, value in outputs.items():
        text = value if isinstance(value, str) else repr(value)
        if full:
            yield f"{one_line(name)}:"
            yield from _block(text, "  ")
        else:
            yield f"{one_line(name)}: {one_line(first_line(text, _ANSWER_WIDTH))}"


def _block(text: str, margin: str) -> Iterator[str]:
    # Not splitlines(), which also ends lines where a terminal does not.
    yield from (margin + line for line in text.strip("\n").split("\n") if text.strip("\n"))
