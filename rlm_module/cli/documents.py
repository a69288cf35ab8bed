"""Files, folders and standard input, read as the documents that a question is asked about."""

from __future__ import annotations

import contextlib
import os
import stat
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from rlm_module.errors import InputError
from rlm_module.signatures.folders import files_in
from rlm_module.signatures.textfiles import decoded, unfit

STDIN = "-"
_MIB = 1024 * 1024
_NAMES_TOLD = 3


@dataclass(frozen=True, slots=True)
class Document:
    """A text and the name it goes by.

    Args:
        name: Its path relative to the deepest folder that holds everything that was asked for.
        text: What is in it.
    """

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class _Source:
    shown: str
    path: Path | None  # None: standard input
    in_folder: bool = False


def read_documents(
    paths: Sequence[str], *, stdin: BinaryIO, note: Callable[[str], None], memory_mb: int
) -> list[Document]:
    """Reads all that the paths name.

    Binary and empty files are left out, and said so. Bytes that are not UTF-8 are replaced, and said so.

    Args:
        paths: Files, folders, and `-` for standard input; what is named twice is read once.
        stdin: Where `-` reads from.
        note: Told, in one sentence each, what was left out or changed.
        memory_mb: What the sandbox may use, in MiB; files that are larger together are refused unread.

    Raises:
        InputError: Something cannot be opened, is too large, or nothing with text was found.
    """
    left_out: defaultdict[str, list[str]] = defaultdict(list)
    sources = _sources(paths, left_out["unreadable"].append)
    _refuse_too_much(sources, memory_mb)
    base = _common_folder(sources, paths)
    documents: list[Document] = []
    for source in sources:
        data = _read(source, stdin, memory_mb * _MIB)
        fault = "unreadable" if data is None else unfit(data)
        if data is None or fault:
            left_out[fault].append(source.shown)
            continue
        name = "<stdin>" if source.path is None else Path(os.path.relpath(source.path, base)).as_posix()
        documents.append(Document(name, _noted(data, source.shown, note)))
    faults = {fault: names for fault, names in left_out.items() if names}
    if not documents:
        raise InputError(_nothing_read(paths, faults))
    for fault, names in faults.items():
        note(f"Left out {_listed(names)}, {'which is' if len(names) == 1 else 'which are'} {fault}.")
    return documents


def _sources(paths: Sequence[str], unreadable: Callable[[str], None]) -> list[_Source]:
    found: dict[Path | None, _Source] = {}
    for given in paths:
        for source in _folder(given, unreadable) if given != STDIN and os.path.isdir(given) else (_single(given),):
            found.setdefault(source.path, source)
    return list(found.values())


def _single(given: str) -> _Source:
    if given == STDIN:
        return _Source("standard input", None)
    return _Source(given, Path(os.path.abspath(given)))


def _folder(given: str, unreadable: Callable[[str], None]) -> Iterator[_Source]:
    start = Path(os.path.abspath(given))
    for path in files_in(start, lambda folder: unreadable(os.path.join(given, os.path.relpath(folder, start)))):
        yield _Source(os.path.join(given, os.path.relpath(path, start)), path, in_folder=True)


def _common_folder(sources: Sequence[_Source], paths: Sequence[str]) -> str:
    folders = [os.path.abspath(given) for given in paths if given != STDIN and os.path.isdir(given)]
    files = [str(source.path.parent) for source in sources if source.path is not None and not source.in_folder]
    return os.path.commonpath([*folders, *files]) if folders or files else os.curdir


def _refuse_too_much(sources: Sequence[_Source], memory_mb: int) -> None:
    """The sandbox weighs what it is given exactly; this keeps a disk image from being read into memory first."""
    size = 0
    for source in sources:
        try:
            status = os.stat(source.path) if source.path is not None else None
        except OSError:
            continue  # told by name when it is read
        if status is not None and stat.S_ISREG(status.st_mode):
            size += status.st_size
    if size > memory_mb * _MIB:
        what = sources[0].shown if len(sources) == 1 else f"these {len(sources)} files"
        raise InputError(
            f"{what}: {size / _MIB:,.0f} MiB cannot fit into a sandbox of {memory_mb:,} MiB; "
            "ask about a part, or raise --memory-mb"
        )


def _read(source: _Source, stdin: BinaryIO, limit: int) -> bytes | None:
    """The bytes, or None where a file that was merely found in a folder cannot be opened."""
    try:
        with contextlib.nullcontext(stdin) if source.path is None else source.path.open("rb") as opened:
            data = opened.read(limit + 1)  # a device may have no end
        if len(data) > limit:
            raise InputError(f"{source.shown}: more than {limit // _MIB:,} MiB cannot fit; ask about a part of it")
        return data
    except FileNotFoundError:
        fault = "there is no such file or folder; check the path"
    except PermissionError:
        fault = "you may not read it; change its permissions, or run as its owner"
    except OSError as error:
        fault = f"it cannot be read ({error.strerror}); name another file"
    if source.in_folder:
        return None
    raise InputError(f"{source.shown}: {fault}")


def _noted(data: bytes, shown: str, note: Callable[[str], None]) -> str:
    text, encoding = decoded(data)
    if encoding:
        note(f"{shown} is not all {encoding}: what could not be decoded reads as \ufffd; convert it if that matters.")
    return text


def _nothing_read(paths: Sequence[str], faults: dict[str, list[str]]) -> str:
    names = [name for group in faults.values() for name in group]
    if len(names) == 1:
        fault = next(iter(faults))
        mend = {"empty": "give one that has text in it", "binary": "convert it to text first"}
        return f"{names[0]}: it is {fault}; {mend.get(fault, 'change its permissions')}"
    if not names:
        return f"{_listed(paths)}: no files in it, or all of them ignored by git; name the files"
    counts = " and ".join(f"{len(group)} {fault}" for fault, group in faults.items())
    return f"{_listed(paths)}: no text in any of {len(names)} files ({counts}); name files that hold text"


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _NAMES_TOLD
    return ", ".join(names[:_NAMES_TOLD]) + (f" and {more} more" if more > 0 else "")
