"""Measuring memories: LongMemEval, and a generated test set in its form.

- `read_cases` reads the published files as cases, which keep what an arm is told apart from what scores it;
  `generate` makes up a set of any size whose answers are exact.
- `run` puts the cases to an arm, each once however often it is started, and has the answers judged: by `ModelJudge`
  after the benchmark's rules, or by `ExactMatch`. A `ResultsFolder` keeps every answer, verdict and raw output.
- `report` works out an arm's figures, `table` shows those of several beside each other.

An arm is any object with `ingest(sessions)`, `session_id(caller's id)` and a call with `question` and `as_of`;
`fresh_arm` makes those of this package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rlm_module.lazy import exported

if TYPE_CHECKING:
    from rlm_module.memory.evaluation.arms import fresh_arm as fresh_arm
    from rlm_module.memory.evaluation.cases import QUESTION_TYPES as QUESTION_TYPES
    from rlm_module.memory.evaluation.cases import Case as Case
    from rlm_module.memory.evaluation.cases import Key as Key
    from rlm_module.memory.evaluation.cases import QuestionType as QuestionType
    from rlm_module.memory.evaluation.generated import GENERATOR_VERSION as GENERATOR_VERSION
    from rlm_module.memory.evaluation.generated import GeneratedQuestion as GeneratedQuestion
    from rlm_module.memory.evaluation.generated import Statement as Statement
    from rlm_module.memory.evaluation.generated import generate as generate
    from rlm_module.memory.evaluation.generated import write_generated as write_generated
    from rlm_module.memory.evaluation.judging import ExactMatch as ExactMatch
    from rlm_module.memory.evaluation.judging import Judge as Judge
    from rlm_module.memory.evaluation.judging import ModelJudge as ModelJudge
    from rlm_module.memory.evaluation.longmemeval import case_of as case_of
    from rlm_module.memory.evaluation.longmemeval import read_cases as read_cases
    from rlm_module.memory.evaluation.rendering import table as table
    from rlm_module.memory.evaluation.reporting import ArmReport as ArmReport
    from rlm_module.memory.evaluation.reporting import report as report
    from rlm_module.memory.evaluation.results import Answer as Answer
    from rlm_module.memory.evaluation.results import ArmResults as ArmResults
    from rlm_module.memory.evaluation.results import ResultsFolder as ResultsFolder
    from rlm_module.memory.evaluation.results import Verdict as Verdict
    from rlm_module.memory.evaluation.running import Arm as Arm
    from rlm_module.memory.evaluation.running import ask as ask
    from rlm_module.memory.evaluation.running import run as run
    from rlm_module.memory.evaluation.running import verdict_on as verdict_on

_HOMES = {
    "Answer": "results",
    "Arm": "running",
    "ArmReport": "reporting",
    "ArmResults": "results",
    "Case": "cases",
    "ExactMatch": "judging",
    "GENERATOR_VERSION": "generated",
    "GeneratedQuestion": "generated",
    "Judge": "judging",
    "Key": "cases",
    "ModelJudge": "judging",
    "QUESTION_TYPES": "cases",
    "QuestionType": "cases",
    "ResultsFolder": "results",
    "Statement": "generated",
    "Verdict": "results",
    "ask": "running",
    "case_of": "longmemeval",
    "fresh_arm": "arms",
    "generate": "generated",
    "read_cases": "longmemeval",
    "report": "reporting",
    "run": "running",
    "table": "rendering",
    "verdict_on": "running",
    "write_generated": "generated",
}

__all__ = list(_HOMES)  # pyright: ignore[reportUnsupportedDunderAll]
__getattr__, __dir__ = exported(__name__, _HOMES)
