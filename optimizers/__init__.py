"""Compiling programs that hold RLMs: a metric, not a person, writes their instructions."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rlm_module.optimizers.bootstrap import RLMBootstrap as RLMBootstrap
    from rlm_module.optimizers.diagnosis import Diagnosis as Diagnosis
    from rlm_module.optimizers.diagnosis import diagnose as diagnose
    from rlm_module.optimizers.feedback import trajectory_feedback as trajectory_feedback
    from rlm_module.optimizers.metrics import Judged as Judged
    from rlm_module.optimizers.metrics import Metric as Metric
    from rlm_module.optimizers.records import RunRecord as RunRecord
    from rlm_module.optimizers.records import records_of as records_of
    from rlm_module.optimizers.records import render as render
    from rlm_module.optimizers.thawing import thaw as thaw

_HOMES = {
    "Diagnosis": "diagnosis",
    "Judged": "metrics",
    "Metric": "metrics",
    "RLMBootstrap": "bootstrap",
    "RunRecord": "records",
    "diagnose": "diagnosis",
    "records_of": "records",
    "render": "records",
    "thaw": "thawing",
    "trajectory_feedback": "feedback",
}

__all__ = list(_HOMES)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
