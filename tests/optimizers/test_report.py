"""The page of a compile: what stands in it, and that nothing in it can break out."""

from __future__ import annotations

import difflib
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from rlm_module import InputError
from rlm_module.optimizers.lineage import Candidate, Compilation, Dropped
from rlm_module.optimizers.report import report_html, write_report

_VOID = {"meta", "line", "circle", "polyline", "br"}


def _compilation(*, cost: float | None = 0.01, hostile: str = "") -> Compilation:
    first = Candidate(
        number=0, texts={"strategy": "Look."}, scores={0: 0.0, 1: 0.5}, score=0.25, cost_usd=cost, seconds=2
    )
    better = Candidate(
        number=1,
        parents=(0,),
        texts={"strategy": f"Look.\nCount twice.{hostile}"},
        changed=("strategy",),
        scores={0: 1.0, 1: 0.5},
        score=0.75,
        cost_usd=None if cost is None else 0.02,
        seconds=3,
    )
    return Compilation(
        candidates=(first, better),
        best=1,
        front=(0, 1),
        dropped=(Dropped("strategy", f"Use grep().{hostile}", (f"It names grep(), which does not exist.{hostile}",)),),
        runs=42,
        reflections=7,
        cost_usd=cost,
        reflection_cost_usd=cost,
        stopped="all 42 program runs were used",
    )


class _Tags(HTMLParser):
    """Notes tags that are opened and not closed, or the other way round."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in _VOID:
            assert self.open.pop() == tag


def _tags(page: str) -> _Tags:
    tags = _Tags()
    tags.feed(page)
    assert tags.open == []
    return tags


def test_a_page_tells_scores_lineage_texts_costs_and_what_was_dropped() -> None:
    page = report_html(_compilation())
    _tags(page)
    for told in ("0.25 → 0.75", "$0.01 → $0.02", "42", "all 42 program runs were used", "<ins>Count twice.</ins>"):
        assert told in page
    assert "It names grep(), which does not exist." in page
    assert "(returned)" in page


def test_a_page_needs_nothing_from_elsewhere() -> None:
    page = report_html(_compilation())
    assert "http" not in page
    assert "<script" not in page


@pytest.mark.parametrize("hostile", ["<script>alert(1)</script>", "</pre><img src=x onerror=alert(1)>", "{{ 7 * 7 }}"])
def test_what_a_model_wrote_is_shown_and_not_obeyed(hostile: str) -> None:
    page = report_html(_compilation(hostile=hostile), title=f"A {hostile}")
    assert {"script", "img"}.isdisjoint(_tags(page).seen)
    assert "49" not in page


def test_where_a_cost_is_unknown_time_takes_its_place() -> None:
    page = report_html(_compilation(cost=None))
    assert "seconds a program run" in page
    assert "US dollars a program run" not in page


def test_a_compile_that_found_nothing_has_a_page() -> None:
    found = _compilation()
    alone = Compilation.from_json(
        {**found.to_json(), "candidates": found.to_json()["candidates"][:1], "best": 0, "front": [0]}
    )
    assert "Nothing: the program as it was is the best" in report_html(alone)


def test_a_place_that_cannot_be_written_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="name another place"):
        write_report(_compilation(), tmp_path / "missing" / "report.html")


def test_a_rewritten_text_is_compared_by_whole_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Comparing each line with each other one, letter by letter, took seconds for a page."""
    old, new = (
        "\n".join(f"- {word} {number}: look at the record {number} & count" for number in range(200))
        for word in ("item", "point")
    )
    compared: list[float] = []
    ratio = difflib.SequenceMatcher.ratio

    def counted(matcher: difflib.SequenceMatcher[Any]) -> float:
        compared.append(ratio(matcher))
        return compared[-1]

    monkeypatch.setattr(difflib.SequenceMatcher, "ratio", counted)
    first, better = _compilation().candidates
    found = replace(
        _compilation(),
        candidates=(
            replace(first, texts={"strategy": f"Kept.\n{old}\n\nEnd."}),
            replace(better, texts={"strategy": f"Kept.\n{new}\nEnd."}),
        ),
    )
    page = report_html(found)
    assert compared == []
    assert "Kept.\n<del>- item 0: look at the record 0 &amp; count</del>" in page
    assert "<ins>- point 199: look at the record 199 &amp; count</ins>" in page
    assert "<del> </del>" in page
    assert "End.\n" in page
