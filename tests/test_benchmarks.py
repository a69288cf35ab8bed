"""How the benchmark judges: exit status, and one line that names each miss. Nothing is measured here."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from benchmarks import fanout, sandbox
from benchmarks.dspy_side import DspySide, imported_module, mapped_command
from benchmarks.fanout_model import FanoutModel, critical_path, seconds_of
from benchmarks.measure import Limit, Measure, Row, Sampler, Say, take, times_theirs
from benchmarks.processes import alive, descendants, peak_resident, resident
from benchmarks.rows import calls, inputs, kills, leaving, limits
from benchmarks.rows import fanout as fanout_rows
from benchmarks.rows.inputs import text_of
from benchmarks.table import table, verdict
from tests.model_server import ModelServer

START = Row("start", "start to first result", "s", times_theirs(0.25))
STALL = Row("stall", "longest stall", "ms", Limit(1, 0.050, "≤ 50 ms"), figure="worst")
CTRL_C = Row("ctrl-c", "Ctrl-C to return", "s", Limit(1, 2.0, "≤ 2 s"), "worst", ceiling=10.0)

Prepare = Callable[[Path, Say], tuple[Sequence[Measure], str]]


def silent(_: str) -> None: ...


def constant(*values: float) -> Sampler:
    return lambda: values


def playing(*samples: float) -> Sampler:
    left = iter(samples)
    return lambda: (next(left),)


def failing() -> Sequence[float]:
    raise RuntimeError("no Deno\nanywhere")


def prepared(*measures: Measure) -> Prepare:
    return lambda scratch, say: (measures, "dspy runs as it is.")


def test_all_reached_exits_with_0_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    good = prepared(Measure((START,), constant(0.5), constant(2.0)), Measure((STALL,), constant(0.05), constant(1.0)))
    assert sandbox.main([], good) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "all 2 figures reached"


def test_a_miss_exits_with_1_and_one_line_names_every_miss(capsys: pytest.CaptureFixture[str]) -> None:
    measures = (
        Measure((START,), constant(0.6), constant(2.0)),
        Measure((STALL,), constant(0.06), constant(1.0)),
        Measure((CTRL_C,), constant(0.2), constant(10.0)),
    )
    assert sandbox.main(["--repeats", "2"], prepared(*measures)) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == (
        "miss: start is 0.6 s, must be ≤ 0.25 × dspy's (0.5 s); stall is 60 ms, must be ≤ 50 ms (50 ms)"
    )
    assert [line for line in lines if line.startswith("miss:")] == lines[-1:]


@pytest.mark.parametrize("ours_fails", [True, False])
def test_what_cannot_be_measured_on_either_side_is_a_miss(ours_fails: bool, capsys: pytest.CaptureFixture[str]) -> None:
    ours, theirs = (failing, constant(1.0)) if ours_fails else (constant(0.01), failing)
    assert sandbox.main([], prepared(Measure((STALL,), ours, theirs))) == 1
    side = "rlm-module" if ours_fails else "dspy"
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == f"miss: stall could not be measured ({side}: RuntimeError: no Deno anywhere)"


def test_only_judges_what_was_chosen(capsys: pytest.CaptureFixture[str]) -> None:
    both = Measure((START, STALL), constant(9.0, 0.01), constant(1.0, 1.0))
    assert sandbox.main(["--only", "stall"], prepared(both, Measure((CTRL_C,), failing, failing))) == 0
    out = capsys.readouterr().out
    assert "longest stall" in out
    assert "start to first result" not in out
    assert "Ctrl-C to return" not in out


@pytest.mark.parametrize("arguments", [["--repeats", "0"], ["--only", "nothing-of-this-name"]])
def test_a_bad_command_line_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        sandbox.main(arguments, prepared())
    assert refused.value.code == 2
    assert arguments[0] in capsys.readouterr().err


def test_json_holds_every_sample(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "samples.json"
    sandbox.main(["--repeats", "3", "--json", str(file)], prepared(Measure((START,), playing(3, 1, 2), constant(8.0))))
    (finding,) = json.loads(file.read_text())["findings"]
    assert finding["our_samples"] == [3, 1, 2]
    assert (finding["ours"], finding["theirs"], finding["at_most"], finding["reached"]) == (2, 8.0, 2.0, True)


def test_sides_take_turns_at_going_first() -> None:
    order: list[str] = []

    def named(side: str) -> Sampler:
        def sampler() -> Sequence[float]:
            order.append(side)
            return (1.0,)

        return sampler

    take(Measure((START,), named("ours"), named("theirs")), 3, silent)
    assert order == ["ours", "theirs", "theirs", "ours", "ours", "theirs"]


@pytest.mark.parametrize(("figure", "wanted"), [("median", 2.0), ("best", 1.0), ("worst", 6.0)])
def test_figures_of_samples(figure: str, wanted: float) -> None:
    row = Row("start", "start", "s", times_theirs(1), figure)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    (finding,) = take(Measure((row,), playing(6, 1, 2), constant(2.0)), 3, silent)
    assert finding.our_figure == wanted
    assert finding.reached == (wanted <= 2.0)


def test_a_measure_may_fill_several_rows() -> None:
    findings = take(Measure((START, STALL), constant(0.1, 0.2), constant(1.0, 2.0)), 2, silent)
    assert [(finding.our_figure, finding.their_figure) for finding in findings] == [(0.1, 1.0), (0.2, 2.0)]
    assert verdict(findings) == "miss: stall is 200 ms, must be ≤ 50 ms (50 ms)"


def test_the_table_is_aligned_and_shows_spread_and_giving_up() -> None:
    findings = take(Measure((CTRL_C,), playing(0.1, 0.3), constant(10.0)), 2, silent)
    lines = table(findings).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert "Ctrl-C to return (worst of 2)" in lines[-1]
    assert "0.3 s (0.1–0.3)" in lines[-1]
    assert "over 10 s" in lines[-1]


def test_dspys_command_gets_a_map_of_the_one_import(tmp_path: Path) -> None:
    command = mapped_command(["deno", "run", "--no-lock", "--allow-read=runner.js,cache", "runner.js", ""], tmp_path)
    assert command[:4] == ("deno", "run", f"--import-map={tmp_path / 'import_map.json'}", "--no-lock")
    assert command[4] == f"--allow-read={tmp_path / 'lines.js'},runner.js,cache"
    (target,) = json.loads((tmp_path / "import_map.json").read_text())["imports"].values()
    assert (tmp_path / target).is_file()


def test_a_runner_without_that_import_is_told_apart() -> None:
    assert imported_module('import { readLines } from "somewhere:lines";') == "somewhere:lines"
    with pytest.raises(ValueError, match="no longer imports"):
        imported_module("const lines = 1;")


def test_every_row_can_be_chosen_by_its_name() -> None:
    made = [measure for rows in (inputs, calls, limits) for measure in rows.measures(DspySide(None))]
    assert sorted(row.name for measure in made for row in measure.rows) == sorted(sandbox.NAMES)


def test_every_row_of_fanout_can_be_chosen_by_its_name(tmp_path: Path) -> None:
    with ModelServer(FanoutModel()) as server:
        made = (*fanout_rows.measures(server, DspySide(None)), *leaving.measures(server), *kills.measures(tmp_path))
    assert sorted(row.name for measure in made for row in measure.rows) == sorted(fanout.NAMES)


def test_fanout_judges_against_what_stands_beside(capsys: pytest.CaptureFixture[str]) -> None:
    loop = fanout_rows.LOOPS["lm15"]
    assert fanout.main([], prepared(Measure((loop,), constant(1.25), constant(1.0)))) == 0
    assert fanout.main([], prepared(Measure((fanout_rows.CHAIN,), constant(9.0), constant(1.0)))) == 0
    capsys.readouterr()
    assert fanout.main([], prepared(Measure((loop,), constant(1.3), failing))) == 1
    assert capsys.readouterr().out.splitlines()[-1] == (
        "miss: loop-lm15 could not be measured (beside: RuntimeError: no Deno anywhere)"
    )


def test_the_critical_path_leads_through_the_slowest_branch_of_each_node() -> None:
    leaf = max(critical_path(f"0.1.2.{branch}") for branch in range(4))
    assert critical_path("0.1.2") == seconds_of("0.1.2", 0) + leaf + seconds_of("0.1.2", 1)
    assert 7 < critical_path() < 14


def test_texts_have_the_asked_size() -> None:
    assert [len(text_of(size)) for size in (120, 1_000, 100_001)] == [120, 1_000, 100_001]
    assert text_of(1_000).isascii()


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="needs Linux's /proc")
def test_processes_are_seen() -> None:
    child = subprocess.Popen(["sleep", "60"])
    try:
        assert child.pid in descendants(os.getpid())
        assert alive(child.pid)
        assert 0 < resident() <= peak_resident()
    finally:
        child.kill()
        child.wait()
    assert not alive(child.pid)
