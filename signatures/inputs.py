"""What the input types share: plain values convert to them, the sandbox gets all of them, and prompts get little."""

from __future__ import annotations

import json
import reprlib
from abc import abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, Self, get_args

import pydantic
from dspy.primitives.sandbox_serializable import SandboxSerializable
from pydantic_core import to_jsonable_python

PREVIEW_CHARS = 2_000
_NAME_CHARS = 100
_NOTHING: Any = object()  # what the validator sees while a constructor runs, and which no caller can pass


class SandboxInput(pydantic.BaseModel, SandboxSerializable):
    """Base of the input types.

    As an annotation of an input field it takes whatever its constructor takes. Its repr and its JSON are a summary of
    bounded length, so that no optimizer, log or saved demo ever holds the data; pickle keeps all of it.
    """

    def __init__(self) -> None:
        self.__pydantic_validator__.validate_python(_NOTHING, self_instance=self)

    @abstractmethod
    def sandbox_value(self) -> Any:
        """All of the data, as plain Python; its constructor takes that, too, so that a recorded run can go on."""

    @abstractmethod
    def size(self) -> tuple[int, str]:
        """How many, and of what, as one word."""

    def texts(self) -> Mapping[str, str]:
        """The texts that citations may name; none by default."""
        return {}

    def for_run(self) -> Self:
        """What one run is given; a type that reads its data late reads it anew for each run."""
        return self

    # How dspy.RLM, and interpreters other than this package's, take a value in.

    def sandbox_setup(self) -> str:
        return "import json"

    def to_sandbox(self) -> bytes:
        return json.dumps(to_jsonable_python(self.sandbox_value(), fallback=str)).encode()

    def sandbox_assignment(self, var_name: str, data_expr: str) -> str:
        return f"{var_name} = json.loads({data_expr})"

    def __str__(self) -> str:
        return repr(self)

    def __hash__(self) -> int:
        return hash(repr(self))

    @pydantic.model_validator(mode="wrap")
    @classmethod
    def _converted(cls, value: Any, handler: Any) -> Any:
        return handler({}) if value is _NOTHING else converted(cls, value)

    @pydantic.model_serializer
    def _summary(self) -> str:
        return repr(self)


def converted(kind: type[SandboxInput], value: Any) -> SandboxInput:
    """A value as an input type."""
    make: Any = kind  # each has a constructor of its own
    return value if isinstance(value, kind) else make(value)


def entering(annotation: Any, value: Any) -> Any:
    """An input of a run: converted if its field has an input type, else as it is.

    Args:
        annotation: The field's type; `Documents | None` converts what is not None.
        value: What the caller passed.

    Raises:
        InputError: If it cannot be converted.
    """
    kinds = [kind for kind in (annotation, *get_args(annotation)) if _is_input(kind)]
    if value is not None and len(kinds) == 1:
        value = converted(kinds[0], value)
    return value.for_run() if isinstance(value, SandboxInput) else value


def _is_input(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, SandboxInput)


def short(text: str, chars: int = _NAME_CHARS) -> str:
    """One line of bounded length."""
    head = " ".join(text[: 2 * chars].split())
    return head if len(head) <= chars and len(text) <= 2 * chars else f"{head[: chars - 4]} ..."


def short_repr(value: Any) -> str:
    """A repr of bounded length that is cheap, however large the value."""
    return short(_SHORT.repr(value))


def lines_within(lines: Iterable[str], chars: int) -> str:
    """As many lines as fit, and a word on what is left out."""
    found, left = list(lines), chars - 40
    for number, line in enumerate(found):
        left -= len(line) + 1
        if left < 0:
            return "\n".join([*found[:number], f"... and {len(found) - number:,} more lines"])[:chars]
    return "\n".join(found)


_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 60
