"""A folder to install in, which nobody takes for what is installed."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from rlm_module.errors import SandboxError


@contextmanager
def scratch_folder(cache_dir: Path) -> Generator[Path]:
    """A folder beside the final places, so that moving out of it is atomic; gone afterwards.

    Raises:
        SandboxError: If the cache folder cannot be written.
    """
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        _sweep(cache_dir)
        scratch = Path(tempfile.mkdtemp(prefix=f"partial-{os.getpid()}-", dir=cache_dir))
    except OSError as error:
        raise SandboxError(
            f"The cache folder {cache_dir} cannot be written ({error.strerror}); "
            "set RLM_MODULE_CACHE to a folder that can."
        ) from None
    atexit.register(shutil.rmtree, scratch, ignore_errors=True)  # the work may be on a thread that exit cuts short
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _sweep(cache_dir: Path) -> None:
    """Removes what processes that were killed had begun."""
    for left in cache_dir.glob("partial-*"):
        owner = left.name.split("-")[1]
        if owner.isdigit() and not _is_running(int(owner)):
            shutil.rmtree(left, ignore_errors=True)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
