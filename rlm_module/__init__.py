"""Recursive Language Models for DSPy: `RLM`, a drop-in for `dspy.RLM`, and the `Sandbox` its code runs in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rlm_module.lazy import exported

if TYPE_CHECKING:
    from rlm_module.budget import Budget as Budget
    from rlm_module.errors import FatalError as FatalError
    from rlm_module.errors import InputError as InputError
    from rlm_module.errors import LimitReached as LimitReached
    from rlm_module.errors import RLMError as RLMError
    from rlm_module.errors import SandboxError as SandboxError
    from rlm_module.errors import SubcallError as SubcallError
    from rlm_module.host.tools import concurrent as concurrent
    from rlm_module.interpreter import Sandbox as Sandbox
    from rlm_module.journal import score_run as score_run
    from rlm_module.lms.charging import charged as charged
    from rlm_module.lms.ledger import UsageReport as UsageReport
    from rlm_module.lms.prices import price_of as price_of
    from rlm_module.lms.shared_budget import Spent as Spent
    from rlm_module.lms.shared_budget import spending as spending
    from rlm_module.module import RLM as RLM
    from rlm_module.offline import OfflineLM as OfflineLM
    from rlm_module.optimizers import thaw as thaw
    from rlm_module.places import named_modules as named_modules
    from rlm_module.prompting.shown import harmless as harmless
    from rlm_module.resuming import Replay as Replay
    from rlm_module.resuming import replay_run as replay_run
    from rlm_module.runs import Run as Run
    from rlm_module.runs import RunPrediction as RunPrediction
    from rlm_module.runs import capture_runs as capture_runs
    from rlm_module.runs import traced_runs as traced_runs

# dspy takes a second to import, which the command's --help and the sandbox's side of the codec should not.
_HOMES = {
    "Budget": "budget",
    "FatalError": "errors",
    "InputError": "errors",
    "LimitReached": "errors",
    "OfflineLM": "offline",
    "RLM": "module",
    "RLMError": "errors",
    "Replay": "resuming",
    "Run": "runs",
    "RunPrediction": "runs",
    "Sandbox": "interpreter",
    "SandboxError": "errors",
    "Spent": "lms.shared_budget",
    "SubcallError": "errors",
    "UsageReport": "lms.ledger",
    "capture_runs": "runs",
    "charged": "lms.charging",
    "concurrent": "host.tools",
    "harmless": "prompting.shown",
    "named_modules": "places",
    "price_of": "lms.prices",
    "replay_run": "resuming",
    "score_run": "journal",
    "spending": "lms.shared_budget",
    "thaw": "optimizers",
    "traced_runs": "runs",
}

__all__ = list(_HOMES)  # pyright: ignore[reportUnsupportedDunderAll]
__getattr__, __dir__ = exported(__name__, _HOMES)
