"""Compiling programs that hold RLMs: a metric, not a person, writes their instructions."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rlm_module.optimizers.bootstrap import RLMBootstrap as RLMBootstrap
    from rlm_module.optimizers.diagnosis import Diagnosis as Diagnosis
    from rlm_module.optimizers.diagnosis import diagnose as diagnose
    from rlm_module.optimizers.feedback import trajectory_feedback as trajectory_feedback
    from rlm_module.optimizers.gepa import RLMGEPA as RLMGEPA
    from rlm_module.optimizers.lineage import Candidate as Candidate
    from rlm_module.optimizers.lineage import Compilation as Compilation
    from rlm_module.optimizers.lineage import Dropped as Dropped
    from rlm_module.optimizers.measuring import measure as measure
    from rlm_module.optimizers.metrics import Judged as Judged
    from rlm_module.optimizers.metrics import Metric as Metric
    from rlm_module.optimizers.records import RunRecord as RunRecord
    from rlm_module.optimizers.records import records_of as records_of
    from rlm_module.optimizers.records import render as render
    from rlm_module.optimizers.report import report_html as report_html
    from rlm_module.optimizers.report import write_report as write_report
    from rlm_module.optimizers.saving import Measured as Measured
    from rlm_module.optimizers.saving import Provenance as Provenance
    from rlm_module.optimizers.saving import SavedProgram as SavedProgram
    from rlm_module.optimizers.saving import data_hash as data_hash
    from rlm_module.optimizers.saving import read_saved as read_saved
    from rlm_module.optimizers.saving import save_compiled as save_compiled
    from rlm_module.optimizers.saving import versions as versions
    from rlm_module.optimizers.thawing import thaw as thaw

# gepa and dspy take seconds to import, which `rlm diff` and `rlm --help` should not.
_HOMES = {
    "Candidate": "lineage",
    "Compilation": "lineage",
    "Diagnosis": "diagnosis",
    "Dropped": "lineage",
    "Judged": "metrics",
    "Measured": "saving",
    "Metric": "metrics",
    "Provenance": "saving",
    "RLMBootstrap": "bootstrap",
    "RLMGEPA": "gepa",
    "RunRecord": "records",
    "SavedProgram": "saving",
    "data_hash": "saving",
    "diagnose": "diagnosis",
    "measure": "measuring",
    "read_saved": "saving",
    "records_of": "records",
    "render": "records",
    "report_html": "report",
    "save_compiled": "saving",
    "thaw": "thawing",
    "trajectory_feedback": "feedback",
    "versions": "saving",
    "write_report": "report",
}

__all__ = list(_HOMES)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
