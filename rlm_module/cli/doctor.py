"""`rlm doctor`: whether everything a run needs is there, and the mend where it is not."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

import click

from rlm_module.cli.exits import NO_ANSWER, reported_failures, sentence
from rlm_module.cli.models import named_model
from rlm_module.errors import FatalError, SandboxError
from rlm_module.sandbox.runtime import (
    cache_folder,
    deno_version,
    discard_damaged_snapshot,
    ensure_runtime,
    find_deno,
    locate_runtime,
    pyodide_pin,
    verify,
)

_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check came to.

    Args:
        name: What was checked.
        ok: Whether it is as it should be.
        detail: What was found; for a fault, the fault and its mend.
    """

    name: str
    ok: bool
    detail: str


@click.command()
@click.option("-m", "--model", envvar="RLM_MODEL", show_envvar=True, help="Also ask this model for a word.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as one JSON object.")
def doctor(model: str | None, as_json: bool) -> None:
    """Check all that a run needs, and tell the mend for each fault.

    Checked are Deno, the cache folder, the sandbox's runtime and its snapshot, a cell, and a model where one is named.
    What is not there yet is fetched and built, as the first run would do it. Exit status: 0 if all is well, else 1.
    """
    findings: list[Finding] = []
    with reported_failures():
        for finding in findings_of(model):
            findings.append(finding)
            if not as_json:
                click.echo(f"{'ok  ' if finding.ok else 'FAIL'}  {finding.name:<9} {finding.detail}")
    well = all(finding.ok for finding in findings)
    if as_json:
        click.echo(json.dumps({"ok": well, "checks": [asdict(finding) for finding in findings]}, indent=2))
    raise click.exceptions.Exit(0 if well else NO_ANSWER)


def findings_of(model: str | None) -> Iterator[Finding]:
    """Makes the checks one by one; those of the sandbox build on each other and stop at the first fault."""
    broken = ""
    for name, check in _SANDBOX_CHECKS.items():
        if broken:
            yield Finding(name, False, f"not tried, as it needs the {broken} check to pass")
            continue
        finding = _finding(name, check)
        broken = "" if finding.ok else name
        yield finding
    if model:
        yield _finding("model", lambda: _check_model(model))


def _finding(name: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(name, True, check())
    except FatalError as error:
        return Finding(name, False, sentence(error))


def _check_deno() -> str:
    deno = find_deno()
    return f"{'.'.join(map(str, deno_version(deno)))} at {deno}"


def _check_cache() -> str:
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return str(folder)
    except OSError as error:
        if locate_runtime().ready:
            return f"{folder} (read-only, but complete)"
        raise SandboxError(
            f"{folder} cannot be written ({error.strerror}); set RLM_MODULE_CACHE to a folder that can."
        ) from error


def _check_runtime() -> str:
    runtime = locate_runtime()
    if not runtime.installed:
        try:
            ensure_runtime(_progress)
        except SandboxError:
            if not runtime.installed:  # else only the snapshot failed, which has a check of its own
                raise
    changed = verify(runtime)
    if changed:
        raise SandboxError(
            f"{', '.join(changed)}: not as installed; delete {runtime.folder} and run `rlm doctor` again."
        )
    return f"Pyodide {pyodide_pin()[0]}, every file as installed"


def _check_snapshot() -> str:
    runtime = ensure_runtime(_progress)
    if discard_damaged_snapshot(runtime):
        runtime = ensure_runtime(_progress)
    return f"{runtime.snapshot.stat().st_size / _MIB:.0f} MiB"


def _check_cell() -> str:
    import dspy

    from rlm_module import Sandbox

    sandbox = Sandbox()
    try:
        answer = sandbox.execute("import sys; print('Python', sys.version.split()[0], 'answers', 6 * 7)")
    except dspy.CodeInterpreterError as error:
        raise SandboxError(f"no cell runs ({error}); delete {cache_folder()} and run `rlm doctor` again.") from error
    finally:
        sandbox.shutdown()
    return str(answer).strip()


def _check_model(model: str) -> str:
    import dspy

    try:
        named_model(model, cache=False)("Reply with the word: ready")
    except dspy.LMError as error:
        raise FatalError(str(error)) from error
    return f"{model} answers"


def _progress(line: str) -> None:
    click.echo(line, err=True)


_SANDBOX_CHECKS: dict[str, Callable[[], str]] = {
    "deno": _check_deno,
    "cache": _check_cache,
    "runtime": _check_runtime,
    "snapshot": _check_snapshot,
    "cell": _check_cell,
}
