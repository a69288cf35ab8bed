"""Compiling programs that hold RLMs: a metric, not a person, writes their instructions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rlm_module.lazy import exported

if TYPE_CHECKING:
    from rlm_module.optimizers.bootstrap import RLMBootstrap as RLMBootstrap
    from rlm_module.optimizers.feedback import trajectory_feedback as trajectory_feedback
    from rlm_module.optimizers.gathering import Gathering as Gathering
    from rlm_module.optimizers.gepa import RLMGEPA as RLMGEPA
    from rlm_module.optimizers.lineage import Candidate as Candidate
    from rlm_module.optimizers.lineage import Compilation as Compilation
    from rlm_module.optimizers.lineage import Dropped as Dropped
    from rlm_module.optimizers.measuring import measure as measure
    from rlm_module.optimizers.metrics import Judged as Judged
    from rlm_module.optimizers.metrics import Metric as Metric
    from rlm_module.optimizers.report import report_html as report_html
    from rlm_module.optimizers.report import write_report as write_report
    from rlm_module.optimizers.saving import Measured as Measured
    from rlm_module.optimizers.saving import Provenance as Provenance
    from rlm_module.optimizers.saving import SavedProgram as SavedProgram
    from rlm_module.optimizers.saving import data_hash as data_hash
    from rlm_module.optimizers.saving import load_compiled as load_compiled
    from rlm_module.optimizers.saving import read_saved as read_saved
    from rlm_module.optimizers.saving import save_compiled as save_compiled
    from rlm_module.optimizers.saving import versions as versions
    from rlm_module.optimizers.thawing import thaw as thaw
    from rlm_module.optimizers.trajectories.diagnosis import Diagnosis as Diagnosis
    from rlm_module.optimizers.trajectories.diagnosis import diagnose as diagnose
    from rlm_module.optimizers.trajectories.records import RunRecord as RunRecord
    from rlm_module.optimizers.trajectories.records import records_of as records_of
    from rlm_module.optimizers.trajectories.records import render as render

# gepa and dspy take seconds to import, which `rlm diff` and `rlm --help` should not.
_HOMES = {
    "Candidate": "lineage",
    "Compilation": "lineage",
    "Diagnosis": "trajectories.diagnosis",
    "Dropped": "lineage",
    "Gathering": "gathering",
    "Judged": "metrics",
    "Measured": "saving",
    "Metric": "metrics",
    "Provenance": "saving",
    "RLMBootstrap": "bootstrap",
    "RLMGEPA": "gepa",
    "RunRecord": "trajectories.records",
    "SavedProgram": "saving",
    "data_hash": "saving",
    "diagnose": "trajectories.diagnosis",
    "load_compiled": "saving",
    "measure": "measuring",
    "read_saved": "saving",
    "records_of": "trajectories.records",
    "render": "trajectories.records",
    "report_html": "report",
    "save_compiled": "saving",
    "thaw": "thawing",
    "trajectory_feedback": "feedback",
    "versions": "saving",
    "write_report": "report",
}

__all__ = list(_HOMES)  # pyright: ignore[reportUnsupportedDunderAll]
__getattr__, __dir__ = exported(__name__, _HOMES)
