"""Finds the runs of a journal on disk and reads them back."""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from rlm_module.errors import InputError
from rlm_module.events import AnyEvent, RunStarted
from rlm_module.journal.folder import EVENTS, INPUTS
from rlm_module.journal.lines import BrokenLine, TornLine, from_line
from rlm_module.sandbox.codec import CodecError, decode

logger = logging.getLogger(__name__)

_HASH = re.compile(r"[0-9a-f]{64}")
_SHOWN_MATCHES = 5
_SHORT_BYTES = 1_000


def read_run(path: str | os.PathLike[str]) -> tuple[AnyEvent, ...]:
    """The events of a run, in order.

    A last line that was cut off when its writer was killed is left out, with a warning in the log; events of a kind
    that this version does not know are left out, too.

    Args:
        path: The run's folder, or its `events.jsonl`.

    Raises:
        InputError: If there is no run, a line of it is broken, or a newer version wrote it.
    """
    file = events_file(path)
    try:
        return tuple(_events(file))
    except OSError as error:
        raise InputError(f"{file} cannot be read ({error.strerror}); name the folder of a run.") from error


def events_file(path: str | os.PathLike[str]) -> Path:
    """The file that holds the events of a run, by its folder or by itself."""
    path = Path(path)
    return path if path.name == EVENTS and not os.path.isdir(path) else path / EVENTS


def load_input(folder: str | os.PathLike[str], digest: str) -> Any:
    """An input of a run, by the hash under which it was stored.

    Raises:
        InputError: If it is gone or damaged.
    """
    if not _HASH.fullmatch(digest):
        raise InputError(f"{digest[:80]!r} is no hash of an input; take one that the run's first event names.")
    path = Path(folder) / INPUTS / digest
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); pass the input again.") from error
    if hashlib.sha256(data).hexdigest() != digest:
        raise InputError(f"{path} is damaged; pass the input again.")
    try:
        return decode(data)
    except CodecError as error:
        raise InputError(f"{path} cannot be read ({error}); pass the input again.") from error


def short_inputs(folder: str | os.PathLike[str], started: RunStarted) -> dict[str, Any]:
    """The inputs of an RLM that take a few lines at most, by name. Those that are gone or damaged are left out, too."""
    found: dict[str, Any] = {}
    for name, digest in started.stored.items():
        with suppress(OSError, InputError):
            if _HASH.fullmatch(digest) and (Path(folder) / INPUTS / digest).stat().st_size <= _SHORT_BYTES:
                found[name] = load_input(folder, digest)
    return found


def find_run(text: str, dirs: Iterable[str | os.PathLike[str]]) -> Path:
    """The folder of a run that somebody named.

    Args:
        text: The folder, its `events.jsonl`, or the beginning of a run's id that no other run shares.
        dirs: Journal folders, in which ids are looked up.

    Raises:
        InputError: If it is no run's, or that of several.
    """
    named = events_file(text)
    if text and os.path.isfile(named):
        return named.parent
    folders = [Path(folder) for folder in dirs]
    found = [run for folder in folders for run in run_folders(folder) if text and run.name.startswith(text)]
    exact = [run for run in found if run.name == text]
    if len(exact or found) == 1:
        return (exact or found)[0]
    where = " or ".join(map(str, folders))
    if not found:
        raise InputError(f"{text!r} is no run in {where}; `rlm runs` lists them, --journal names another folder.")
    names = ", ".join(run.name for run in found[:_SHOWN_MATCHES])
    more = ", …" if len(found) > _SHOWN_MATCHES else ""
    raise InputError(f"{text!r} may be any of {len(found)} runs ({names}{more}); give more of the id, or the folder.")


def run_folders(journal: str | os.PathLike[str]) -> list[Path]:
    """The folders of all runs in a journal's folder, by name; none where there is no such folder.

    Raises:
        InputError: If the folder cannot be listed.
    """
    try:
        found = sorted(Path(journal).iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise InputError(f"{journal} cannot be listed ({error.strerror}); name a folder with --journal.") from error
    return [folder for folder in found if os.path.isfile(folder / EVENTS)]  # False also where one may not look


def _events(path: Path) -> Iterator[AnyEvent]:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                event = from_line(line)
            except InputError as error:
                raise InputError(f"{path}, line {number}: {error}") from None
            except TornLine as error:
                if line.endswith(b"\n"):
                    raise _broken(path, number, error) from None
                logger.warning("The last line of %s was cut off and is left out.", path)
                return
            except BrokenLine as error:
                raise _broken(path, number, error) from None
            if event is not None:
                yield event


def _broken(path: Path, number: int, error: ValueError) -> InputError:
    return InputError(f"{path}, line {number}, is no event ({error}); restore the file, or remove that line.")
