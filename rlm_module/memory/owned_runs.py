"""Recorded runs by the user of whose memory they are, so that they can be deleted with it."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import shutil
from collections.abc import Collection, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rlm_module import capture_runs
from rlm_module.errors import FatalError, InputError
from rlm_module.events import AnyEvent, LMCalled, RunStarted
from rlm_module.journal import RunFolder, read_run, run_folders

logger = logging.getLogger(__name__)

_OWNER = "owner"
_KEY_CHARS = 32
_ESCAPE = re.compile(rb"\\(?:u[0-9a-fA-F]{4}|[bfnrt])")
_SESSION_ID = re.compile(rb"(?<![A-Za-z0-9])[a-z2-7]{8,64}(?![A-Za-z0-9])")


@dataclass(frozen=True, slots=True)
class OwnedRuns:
    """The runs over one user's memory in a journal's folder.

    A file in each run's folder says whose it is, by a key that tells no name.

    Args:
        journal: The folder; None where runs are not recorded.
        user: Whose memory.
    """

    journal: Path | None
    user: str

    def marked(self) -> AbstractContextManager[Any]:
        """Marks the runs that begin inside, before anything of the memory is in them."""
        return nullcontext() if self.journal is None else capture_runs(on_event=self._mark)

    def find(self, session_ids: Iterable[str]) -> list[Path]:
        """Their folders: those marked, and of those that nobody marked the ones that hold an id of the user's sessions.

        No text of a memory gets into a run without its session's id.

        Raises:
            FatalError: If one of them cannot be read.
        """
        if self.journal is None or not self.journal.is_dir():
            return []
        ids = {name.encode() for name in session_ids}
        recorded = set(run_folders(self.journal))
        found: list[Path] = []
        for folder in sorted(path for path in self.journal.iterdir() if path.is_dir() and not path.is_symlink()):
            owner = _owner(folder)
            if owner == self._key or (owner is None and folder in recorded and _holds(folder, ids)):
                found.append(folder)
        return found

    def delete(self, folders: Iterable[Path]) -> None:
        """Deletes runs that were found; killed at any point, they are found again as far as they are left.

        Raises:
            InputError: If one of them is still under way.
            FatalError: If one cannot be deleted.
        """
        recorded = set(() if self.journal is None else run_folders(self.journal))
        for folder in folders:
            held = RunFolder.reopen(folder, quiet=True) if folder in recorded else None
            try:
                self._delete(folder)
            except OSError as error:
                raise FatalError(f"{folder} cannot be deleted ({error.strerror}); mend that and try again.") from error
            finally:
                if held is not None:
                    held.close()

    @property
    def _key(self) -> str:
        return hashlib.sha256(self.user.encode("utf-8", "surrogatepass")).hexdigest()[:_KEY_CHARS]

    def _mark(self, event: AnyEvent) -> None:
        if self.journal is None or not isinstance(event, RunStarted) or event.parent is not None:
            return
        folder = self.journal / event.run_id
        try:
            if folder.is_dir():  # else its disk has failed, and nothing is recorded
                self._write_mark(folder)
        except OSError as error:
            reason = error.strerror
            logger.warning("%s cannot be marked as its user's (%s), so forgetting will search it.", folder, reason)

    def _write_mark(self, folder: Path) -> None:
        with open(folder / _OWNER, "w", opener=partial(os.open, mode=0o600)) as file:
            file.write(self._key)

    def _delete(self, folder: Path) -> None:
        """The mark goes last, by which the rest is found."""
        mark = folder / _OWNER
        if _owner(folder) != self._key:
            self._write_mark(folder)
        for path in folder.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path != mark:
                path.unlink()
        mark.unlink()
        folder.rmdir()


def replies_in(folder: Path) -> Iterator[str]:
    """What models replied in a run; nothing where its record is broken."""
    try:
        yield from (event.reply for event in read_run(folder) if isinstance(event, LMCalled))
    except InputError:
        return


def _owner(folder: Path) -> str | None:
    """The key in a folder's mark; None where it has none, or its writer was killed."""
    try:
        key = (folder / _OWNER).read_text()
    except (OSError, UnicodeDecodeError):
        return None
    return key if len(key) == _KEY_CHARS else None


def _holds(folder: Path, ids: Collection[bytes]) -> bool:
    """Whether one of some ids stands in any file of a folder."""
    files = (path for parent, _, names in os.walk(folder) for name in names if _is_file(path := Path(parent, name)))
    try:
        return any(match[0] in ids for file in files for match in _SESSION_ID.finditer(_plain(file)))
    except OSError as error:
        raise FatalError(f"{folder} cannot be searched ({error.strerror}); mend that or delete it.") from error


def _is_file(path: Path) -> bool:
    """Whether it is a file of the folder's own; what a link leads to is elsewhere, and a pipe never ends."""
    return path.is_file() and not path.is_symlink()


def _plain(file: Path) -> bytes:
    """What stands in a file, without the escapes of JSON, which would run into what follows."""
    try:
        return _ESCAPE.sub(b" ", file.read_bytes())
    except FileNotFoundError:  # a run that is under way renames its files
        return b""
