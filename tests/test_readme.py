"""The documents keep what they promise: their Python runs and prints what they show, their commands exist.

A `python` block runs after those before it in the same file, with OfflineLM in place of any model; a `text` block
right below it is what it prints. Of a `console` block, commands and options are looked up.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import dspy
import pytest

from rlm_module import OfflineLM
from rlm_module.cli.main import rlm

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_BLOCK = re.compile(r"^```(?P<kind>\w+)\n(?P<body>.*?)^```$(?:\n+^```text\n(?P<output>.*?)^```$)?", re.M | re.S)


@dataclass(frozen=True)
class Block:
    kind: str
    body: str
    output: str | None
    line: int


def _blocks(page: Path, kind: str) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    found = (
        Block(match["kind"], match["body"], match["output"], text.count("\n", 0, match.start()) + 1)
        for match in _BLOCK.finditer(text)
    )
    return [block for block in found if block.kind == kind]


def _commands(page: Path) -> Iterator[list[str]]:
    for block in _blocks(page, "console"):
        for line in block.body.splitlines():
            if line.startswith("$ "):
                yield shlex.split(line[2:], comments=True)


@pytest.mark.parametrize("page", [page for page in PAGES if _blocks(page, "python")], ids=lambda page: page.name)
def test_python_runs_and_prints_what_is_shown(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def without_key(model: str, **_: object) -> OfflineLM:
        return OfflineLM()

    monkeypatch.setattr(dspy, "LM", without_key)
    monkeypatch.chdir(tmp_path)
    for block in _run(page):
        printed = capsys.readouterr().out
        if block.output is not None:
            assert printed == block.output, f"{page.name}, line {block.line}"
    if any(tmp_path.iterdir()):  # again, with the page's files there already
        assert list(_run(page)) == _blocks(page, "python")


def _run(page: Path) -> Iterator[Block]:
    """Each block of Python once it has run, after those before it."""
    names: dict[str, Any] = {"__name__": "page"}
    for block in _blocks(page, "python"):
        exec(compile("\n" * block.line + block.body, str(page), "exec", dont_inherit=True), names)
        yield block


@pytest.mark.parametrize("page", [page for page in PAGES if _blocks(page, "console")], ids=lambda page: page.name)
def test_commands_exist(page: Path) -> None:
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
    for command, *arguments in _commands(page):
        if command == "make":
            assert arguments[0] in targets
        if command == "rlm":
            _require_options(arguments)


def _require_options(arguments: list[str]) -> None:
    context = click.Context(rlm)
    command = rlm.get_command(context, arguments[0])
    assert command is not None, f"rlm has no command {arguments[0]}"
    if isinstance(command, click.Group):
        command, arguments = command.commands[arguments[1]], arguments[1:]
    known = {name for parameter in command.get_params(context) for name in parameter.opts}
    assert {argument for argument in arguments[1:] if re.match(r"--?[a-z]", argument)} <= known


def test_the_first_two_commands_of_the_readme_set_up_all_they_need() -> None:
    assert list(_commands(ROOT / "README.md"))[:2] == [["make", "demo"], ["make", "test"]]


def test_links_to_files_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
