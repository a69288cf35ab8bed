"""dspy's sandbox as it is measured: its own Deno command, with one import replaced where that is out of reach."""

from __future__ import annotations

import json
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from dspy.primitives import python_interpreter
from dspy.primitives.python_interpreter import PythonInterpreter

_REACH_SECONDS = 60
_RUNNER = Path(python_interpreter.__file__).with_name("runner.js")

# At least as fast as the reader it stands in for: it reads 64 KiB at a time instead of 4, and joins each line once.
_LINE_READER = """\
export async function* readLines(reader) {
  const decoder = new TextDecoder(), buffer = new Uint8Array(64 * 1024);
  let pieces = [];
  for (let count; (count = await reader.read(buffer)) !== null;) {
    let text = decoder.decode(buffer.subarray(0, count), { stream: true });
    for (let end; (end = text.indexOf("\\n")) >= 0; text = text.slice(end + 1)) {
      yield [...pieces, text.slice(0, end)].join("");
      pieces = [];
    }
    if (text) pieces.push(text);
  }
  if (pieces.length) yield pieces.join("");
}
"""


@dataclass(frozen=True, slots=True)
class DspySide:
    """How dspy's interpreters are made here.

    Args:
        command: The Deno command; None leaves it to dspy.
    """

    command: tuple[str, ...] | None

    def interpreter(self) -> PythonInterpreter:
        return PythonInterpreter(deno_command=None if self.command is None else list(self.command))

    @property
    def note(self) -> str:
        """What the table says of it."""
        if self.command is None:
            return "dspy runs its own Deno command unchanged."
        return (
            "The module host that dspy's runner imports its line reader from is out of reach here, so dspy's Deno "
            "command got an import map with a local line reader (64 KiB reads, linear in the length of a line). "
            "That also leaves out the version check that dspy makes before each start, in dspy's favour."
        )


def dspy_side(scratch: Path) -> DspySide:
    """dspy's side for this machine.

    Args:
        scratch: A folder for the import map and the line reader, where they are needed.
    """
    os.environ["DENO_NO_PACKAGE_JSON"] = "1"  # as dspy sets for its own command
    return DspySide(None) if _in_reach() else DspySide(mapped_command(PythonInterpreter().deno_command, scratch))


def _in_reach() -> bool:
    """Whether dspy's own command starts: its runner ends by itself at the end of its input."""
    try:
        ended = subprocess.run(
            PythonInterpreter().deno_command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_REACH_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return ended.returncode == 0


def mapped_command(command: list[str], scratch: Path) -> tuple[str, ...]:
    """dspy's command with the runner's one import from a module host mapped to a local file."""
    reader, mapping = scratch / "lines.js", scratch / "import_map.json"
    reader.write_text(_LINE_READER)
    mapping.write_text(json.dumps({"imports": {imported_module(_RUNNER.read_text()): "./lines.js"}}))
    after_run = command.index("run") + 1
    mapped = [*command[:after_run], f"--import-map={mapping}", *command[after_run:]]
    readable = "--allow-read="
    return tuple(
        arg.replace(readable, f"{readable}{reader},", 1) if arg.startswith(readable) else arg for arg in mapped
    )


def imported_module(runner: str) -> str:
    """What dspy's runner imports `readLines` from."""
    found = re.search(r'import\s*\{\s*readLines\s*\}\s*from\s*"([^"]+)"', runner)
    if found is None:
        raise ValueError("dspy's runner no longer imports a line reader; measure its own command instead.")
    return found[1]
