"""Deno, the pinned Pyodide and its memory snapshot: found, fetched once, verified, then used offline.

What is installed appears under its final name only when whole, so a fetch that fails half-way, or two processes that
install at once, leave nothing broken behind.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from rlm_module.sandbox.runtime.executable import deno_version as deno_version
from rlm_module.sandbox.runtime.executable import find_deno as find_deno
from rlm_module.sandbox.runtime.places import Runtime as Runtime
from rlm_module.sandbox.runtime.places import cache_folder as cache_folder
from rlm_module.sandbox.runtime.places import locate_runtime as locate_runtime
from rlm_module.sandbox.runtime.places import pyodide_pin as pyodide_pin
from rlm_module.sandbox.runtime.pyodide import install
from rlm_module.sandbox.runtime.pyodide import verify as verify
from rlm_module.sandbox.runtime.snapshot import build_snapshot
from rlm_module.sandbox.runtime.snapshot import discard_damaged_snapshot as discard_damaged_snapshot


def ensure_runtime(progress: Callable[[str], None] | None = None) -> Runtime:
    """The runtime, fetched and snapshotted where it is not there yet.

    Args:
        progress: Gets a line at each slow step; standard error where it is None.

    Raises:
        SandboxError: If it cannot be had; the message tells how to supply it by hand.
    """
    runtime = locate_runtime()
    say = progress or _print_progress
    if not runtime.installed:
        install(runtime, say)
    if not runtime.has_snapshot:
        say("rlm: building the sandbox snapshot (once)")
        build_snapshot(runtime)
    return runtime


def _print_progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
