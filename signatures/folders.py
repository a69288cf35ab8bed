"""The files of a folder, as git sees it: what a .gitignore names stays out, and so do .git and symbolic links."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pathspec import GitIgnoreSpec


@dataclass(frozen=True, slots=True)
class _Rules:
    """The patterns of one .gitignore, which bind what lies under its folder."""

    folder: Path
    spec: GitIgnoreSpec

    def verdict(self, path: Path, is_folder: bool) -> bool | None:
        """True: ignored; False: taken back by a `!` pattern; None: not spoken of."""
        name = path.relative_to(self.folder).as_posix() + ("/" if is_folder else "")
        return self.spec.check_file(name).include


def files_in(folder: Path, unreadable: Callable[[Path], None]) -> Iterator[Path]:
    """Walks a folder in the order of names.

    A folder that its own repository ignores is walked all the same, as its being named says that it is wanted.

    Args:
        folder: Where to start.
        unreadable: Told of each folder that could not be listed.
    """
    folder = Path(os.path.abspath(folder))
    above = _rules_above(folder)
    return _walk(folder, () if _is_ignored(folder, True, above) else above, unreadable)


def _walk(folder: Path, rules: tuple[_Rules, ...], unreadable: Callable[[Path], None]) -> Iterator[Path]:
    try:
        with os.scandir(folder) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
    except OSError:
        unreadable(folder)
        return
    rules = (*rules, *_rules_of(folder))
    for entry in entries:
        path = folder / entry.name
        is_folder = entry.is_dir(follow_symlinks=False)
        # Pipes and devices are left out too: reading one may never end.
        is_wanted = is_folder or entry.is_file(follow_symlinks=False)
        if entry.name == ".git" or not is_wanted or _is_ignored(path, is_folder, rules):
            continue
        if is_folder:
            yield from _walk(path, rules, unreadable)
        else:
            yield path


def _is_ignored(path: Path, is_folder: bool, rules: tuple[_Rules, ...]) -> bool:
    for rule in reversed(rules):  # the deepest file has the last word
        verdict = rule.verdict(path, is_folder)
        if verdict is not None:
            return verdict
    return False


def _rules_above(folder: Path) -> tuple[_Rules, ...]:
    """What the enclosing repository, if there is one, says about the folder, from its root downwards."""
    parents = list(folder.parents)
    root = next((depth for depth, parent in enumerate(parents) if (parent / ".git").exists()), None)
    if root is None or (folder / ".git").exists():
        return ()
    return tuple(rule for parent in reversed(parents[: root + 1]) for rule in _rules_of(parent))


def _rules_of(folder: Path) -> tuple[_Rules, ...]:
    try:
        lines = (folder / ".gitignore").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ()
    return (_Rules(folder, GitIgnoreSpec.from_lines(line for line in lines if _is_pattern(line))),)


def _is_pattern(line: str) -> bool:
    """Git passes over a pattern that it cannot read; pathspec would refuse the whole file for it."""
    try:
        GitIgnoreSpec.from_lines([line])
    except ValueError:
        return False
    return True
