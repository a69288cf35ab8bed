"""How an answer is printed: as it is, or as JSON where it is no text."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

import click
from pydantic_core import to_jsonable_python

from rlm_module.cli.display import printable


def plain(outputs: Mapping[str, Any]) -> str:
    """The outputs for a reader: the value of a single one, else a line for each."""
    values = {name: _plain_value(value) for name, value in outputs.items()}
    if len(values) == 1:
        return next(iter(values.values()))
    return "\n".join(f"{name}: {value}" for name, value in values.items())


def as_json(value: object) -> str:
    """Any value as JSON."""
    return json.dumps(to_jsonable_python(value, bytes_mode="base64", fallback=str), ensure_ascii=False, indent=2)


def print_answer(text: str) -> None:
    """Prints it to standard output."""
    # A lone surrogate, or a letter that the terminal's encoding lacks, must not cost the answer.
    text = text.encode(sys.stdout.encoding, "backslashreplace").decode(sys.stdout.encoding)
    click.echo(printable(text) if sys.stdout.isatty() else text)


def _plain_value(value: object) -> str:
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int | float | complex) or value is None else as_json(value)
