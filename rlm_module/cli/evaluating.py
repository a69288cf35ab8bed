"""What the commands of `rlm eval` share: the arms are asked in turn, and their figures printed."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rlm_module.cli.answers import as_json
from rlm_module.cli.exits import NO_ANSWER
from rlm_module.cli.models import model_or_offline, named_model
from rlm_module.cli.recorded import note, say
from rlm_module.errors import InputError

if TYPE_CHECKING:  # dspy takes a second to import, which `rlm --help` should not
    from rlm_module.memory.evaluation import ArmReport, ArmResults, Case, Judge, Key

_ORACLE = "oracle"
_OBSERVING = "observations"
_WITH_READERS = ("rlm", "delegation", _OBSERVING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How arms are to be measured; each field is the commands' option of that name."""

    arms: tuple[str, ...]
    model: str | None
    sub_model: str | None
    judge: str | None
    results: Path
    threads: int
    as_json: bool


@dataclass(slots=True)
class Evaluation:
    """Questions that are put to arms.

    Args:
        options: How.
        data: What the questions are, in a few words.
        mark: The same for a program: equal where the questions are, and only there.
        keys: What the scoring knows of each question, by its id.
        cases: Reads or makes the questions, anew for each arm.
    """

    options: Options
    data: str
    mark: str
    keys: Mapping[str, Key]
    cases: Callable[[], Iterator[Case]]
    _right: int = 0
    _done: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self) -> None:
        """Asks, and prints the figures.

        Raises:
            click.exceptions.Exit: With status 1 where questions failed.
            InputError: If no arm is named, or the results folder is another evaluation's.
        """
        from rlm_module.memory.evaluation import ResultsFolder, report, table

        options = self.options
        if not options.arms:
            raise InputError("No arm is named; add --arm tools, or another.")
        models = {
            "model": options.model or "offline",
            "sub-model": options.sub_model or "",
            "judge": options.judge or "",
        }
        folder = ResultsFolder(options.results, {"data": self.mark, **models})
        judge = self._judge()
        if not options.model:
            note("No model is named (-m or RLM_MODEL): the offline one answers, which gets hardly anything right here.")
        reports: list[ArmReport] = []
        failed = 0
        for arm in dict.fromkeys(options.arms):
            results = folder.arm(arm)
            failed += self._ask(arm, results, judge)
            reports.append(report(arm, self.keys, results))
            note(f"{arm}: hypotheses are in {results.hypotheses}")
        if options.as_json:
            say(
                as_json(
                    {
                        "data": self.data,
                        **models,
                        "judging": judge.about,
                        "arms": list(map(dataclasses.asdict, reports)),
                    }
                )
            )
        else:
            say(f"{self.data}\n{judge.about}\n\n{table(reports)}")
        if failed:
            note(f"{failed} questions failed; the same command tries them again.")
            raise click.exceptions.Exit(NO_ANSWER)

    def _ask(self, arm: str, results: ArmResults, judge: Judge) -> int:
        import dspy

        from rlm_module.memory.evaluation import fresh_arm, run

        self._right = self._done = 0
        # Libraries under a model may print; standard output belongs to the figures.
        with contextlib.redirect_stdout(sys.stderr), dspy.context(lm=model_or_offline(self.options.model)):
            return run(
                self.cases(),
                partial(fresh_arm, arm, **self._arm_options(arm)),
                results,
                judge,
                evidence_only=arm == _ORACLE,
                threads=self.options.threads,
                on_done=lambda case, is_right: self._progress(arm, is_right),
            )

    def _arm_options(self, arm: str) -> dict[str, Any]:
        """What an arm is made with: the LM that reads sessions, where it has them read."""
        from rlm_module.memory import Observer

        if not self.options.sub_model or arm not in _WITH_READERS:
            return {}
        reading = named_model(self.options.sub_model)
        observer = {"observer": Observer(reading)} if arm == _OBSERVING else {}
        return {"sub_lm": reading, **observer}

    def _progress(self, arm: str, is_right: bool) -> None:
        with self._lock:
            self._done += 1
            self._right += is_right
            note(f"{arm}: {self._done:,} of {len(self.keys):,}, {self._right:,} right")

    def _judge(self) -> Judge:
        from rlm_module.memory.evaluation import ExactMatch, ModelJudge

        name = self.options.judge
        return ModelJudge(named_model(name, temperature=0.0), name) if name else ExactMatch()
