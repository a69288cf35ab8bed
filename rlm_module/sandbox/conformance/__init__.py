"""What every sandbox `Session` must do, as checks that any implementation can run.

A check makes sessions, tries one promise of the protocol, and raises `NotConforming` where it is broken:

    failures = run_checks(MySession)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from rlm_module.sandbox.conformance import cells, crossing
from rlm_module.sandbox.conformance.claims import NotConforming as NotConforming
from rlm_module.sandbox.conformance.sessions import MakeSession as MakeSession

Check: TypeAlias = "Callable[[MakeSession], None]"

CHECKS: tuple[Check, ...] = tuple(
    check for part in (crossing, cells) for name, check in vars(part).items() if name.startswith("check_")
)


@dataclass(frozen=True, slots=True)
class Failure:
    """A check that did not pass.

    Args:
        check: Its name.
        reason: What the session did instead, as one line.
    """

    check: str
    reason: str


def run_checks(make_session: MakeSession) -> list[Failure]:
    """Runs every check; what they find, in their order.

    Args:
        make_session: Makes a session that was not started yet; each check starts and closes its own.
    """
    failures: list[Failure] = []
    for check in CHECKS:
        try:
            check(make_session)
        except Exception as error:  # a session may fail in any way, and the next check is worth its run
            lines = str(error).splitlines() or [""]
            failures.append(Failure(check.__name__, f"{type(error).__name__}: {lines[0]}"))
    return failures
