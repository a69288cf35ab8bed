"""The command `rlm` and its groups."""

from __future__ import annotations

from importlib import import_module

import click

_COMMANDS = {
    "ask": "rlm_module.cli.ask",
    "demo": "rlm_module.cli.demo",
    "doctor": "rlm_module.cli.doctor",
    "runs": "rlm_module.cli.runs",
    "show": "rlm_module.cli.show",
    "resume": "rlm_module.cli.resume",
    "replay": "rlm_module.cli.replay",
    "export": "rlm_module.cli.export",
    "score": "rlm_module.cli.score",
    "optimize": "rlm_module.cli.optimize",
    "diff": "rlm_module.cli.diff",
    "eval": "rlm_module.cli.eval",
}
_NAMES = {"eval": "evaluate"}  # of those that Python has a function of that name for


class _Commands(click.Group):
    """Imports a command's file when the command is used or listed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = getattr(import_module(_COMMANDS[cmd_name]), _NAMES.get(cmd_name, cmd_name))
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="rlm-module")
def rlm() -> None:
    """Recursive language models: answers over inputs of any size, from code that runs in a sealed sandbox."""


def main() -> None:
    """Runs the command with the arguments of this process."""
    rlm()


if __name__ == "__main__":
    main()
