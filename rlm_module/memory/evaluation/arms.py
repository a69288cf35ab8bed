"""Arms with a store for one question."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from rlm_module.memory.arms import make_arm
from rlm_module.memory.evaluation.running import Arm
from rlm_module.memory.sqlite import SqliteStore

_USER = "user"


@contextmanager
def fresh_arm(arm: str | Callable[..., Arm], **options: Any) -> Generator[Arm]:
    """An arm with an empty memory, of which nothing is left afterwards.

    Args:
        arm: The name of one of this package's, or what makes one from a store, a user and options.
        **options: The arm's own.

    Raises:
        InputError: If there is no such arm.
    """
    with (
        tempfile.TemporaryDirectory(prefix="rlm-eval-") as folder,
        closing(SqliteStore(Path(folder) / "memory.db")) as store,
    ):
        yield make_arm(arm, store, _USER, **options) if isinstance(arm, str) else arm(store, _USER, **options)
