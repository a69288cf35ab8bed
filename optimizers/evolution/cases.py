"""Examples as a compile knows them: checked, and with a hash of what they hold that is the same in every process."""

from __future__ import annotations

import hashlib
import inspect
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

import dspy
import pydantic

from rlm_module.errors import InputError
from rlm_module.optimizers.arguments import checked_examples
from rlm_module.signatures import SandboxInput

_DEEPEST = 40


@dataclass(frozen=True, slots=True)
class Case:
    """One example.

    Args:
        number: Its index among those that it was given with.
        example: It.
        key: Hash of what it holds.
    """

    number: int
    example: dspy.Example = field(repr=False, compare=False)
    key: str


def cases(examples: Any, name: str) -> list[Case]:
    """Examples with their hashes.

    Args:
        examples: As a compile is given them.
        name: What they are, for error messages.

    Raises:
        InputError: If `checked_examples` refuses them.
    """
    return [
        Case(number, example, digest([sorted(example.inputs().keys()), dict(example.items())]))
        for number, example in enumerate(checked_examples(examples, name))
    ]


def digest(value: Any) -> str:
    """A hash of any value, by what it holds."""
    text = json.dumps(_plain(value, ()), ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _plain(value: Any, within: tuple[int, ...]) -> Any:
    """The value in JSON's types; what is no plain value goes in by its type and contents."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, bytes | bytearray):
        return ["bytes", hashlib.sha256(value).hexdigest()]
    if id(value) in within or len(within) > _DEEPEST:
        return ["again", type(value).__name__]
    inner = (*within, id(value))
    if isinstance(value, Mapping):
        pairs = [[_plain(key, inner), _plain(item, inner)] for key, item in value.items()]
        return ["map", sorted(pairs, key=lambda pair: json.dumps(pair[0], sort_keys=True))]
    if isinstance(value, list | tuple):
        return [_plain(item, inner) for item in value]
    if isinstance(value, set | frozenset):
        return ["set", sorted(json.dumps(_plain(item, inner), sort_keys=True) for item in value)]
    if isinstance(value, PurePath):
        return ["path", str(value)]
    return [type(value).__qualname__, _plain(_contents(value), inner)]


def _contents(value: Any) -> Any:
    if isinstance(value, SandboxInput):
        return _entering(value)
    if isinstance(value, pydantic.BaseModel):
        return [vars(value), value.model_extra, value.__pydantic_private__]
    if isinstance(value, dspy.Example):
        return dict(value.items())
    if isinstance(value, memoryview):
        return value.tobytes()
    if isinstance(value, type) or inspect.isroutine(value):
        return _named(value)
    if all(hasattr(value, name) for name in ("dtype", "shape", "tobytes", "tolist")):
        plain = value.tolist() if value.dtype.hasobject else value.tobytes()
        return [str(value.dtype), list(value.shape), plain]
    return _reduced(value)


def _entering(value: SandboxInput) -> Any:
    """What a run would be given, read anew where it is read late."""
    try:
        return value.for_run().sandbox_value()
    except InputError:  # the run will tell
        return repr(value)


def _reduced(value: Any) -> Any:
    """What a copy of it would be made of."""
    try:
        reduced = value.__reduce_ex__(4)
    except Exception:  # no copy can be made of it
        return _named(value)
    if isinstance(reduced, str):
        return reduced
    _, arguments, state, items, pairs = [*reduced, None, None, None][:5]
    return [arguments, state, list(items or ()), list(pairs or ())]


def _named(value: Any) -> str:
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))
