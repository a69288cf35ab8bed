"""`dspy.Signature` of the sandbox: of text, or as a class to derive from; part of the stand-in for dspy."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping
from typing import Any

from rlm_module.sandbox.guest.shapes import shown
from rlm_module.sandbox.guest.typed import Declared, Described, describe, parse

_CONSTRAINTS = ("gt", "ge", "lt", "le", "multiple_of", "min_length", "max_length", "pattern")
_EXAMPLE = '"text -> items: list[Item]"'


@dataclasses.dataclass(frozen=True, slots=True)
class FieldMark:
    """What `dspy.InputField` and `dspy.OutputField` return.

    Args:
        is_input: Which.
        desc: What the field is, with its constraints.
        default: What an input is where it is not given.
    """

    is_input: bool
    desc: str
    default: Any


def input_field(**about: Any) -> Any:
    """An input of a signature class: `desc`, `default`, and constraints such as `ge=0`."""
    return _mark("InputField", True, about)


def output_field(**about: Any) -> Any:
    """An output of a signature class: `desc`, and constraints such as `ge=0`."""
    return _mark("OutputField", False, about)


def _mark(name: str, is_input: bool, about: dict[str, Any]) -> FieldMark:
    known = ("desc", "description", "prefix", *_CONSTRAINTS, *(("default",) if is_input else ()))
    if unknown := [option for option in about if option not in known]:
        raise TypeError(f"dspy.{name} takes no {unknown[0]!r} here; it takes {', '.join(known)}")
    desc = str(about.get("desc") or about.get("description") or about.get("prefix") or "")
    # Types that cross carry no constraints, so the LM is told of them in words.
    limits = ", ".join(f"{option}: {about[option]}" for option in _CONSTRAINTS if option in about)
    return FieldMark(is_input, f"{desc} ({limits})".strip() if limits else desc, about.get("default", ...))


class SignatureType(type):
    """The type of signatures, so that `dspy.Signature(...)` makes one and a class may derive from it."""

    def __init__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], text: str = "") -> None:
        super().__init__(name, bases, namespace)
        cls._text = text

    def __new__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], text: str = "") -> SignatureType:
        """Takes the text of a signature that has one, which `type` does not know."""
        return super().__new__(cls, name, bases, namespace)

    def __call__(cls, signature: Any = None, instructions: str | None = None) -> SignatureType:
        """A signature of text."""
        if cls.__mro__[1] is not object:
            raise TypeError(f"{cls.__name__} is a signature, which is not called; make a dspy.Predict({cls.__name__})")
        if isinstance(signature, SignatureType):
            return signature if instructions is None else signature.with_instructions(instructions)
        if type(signature) is not str:
            raise TypeError(f"dspy.Signature takes text such as {_EXAMPLE}, not {type(signature).__name__}")
        return SignatureType("StringSignature", (cls,), {"__doc__": instructions}, signature)

    @property
    def instructions(cls) -> str:
        """The docstring, that of a base where it has none; empty where there is none."""
        docs = (kind.__dict__.get("__doc__") for kind in cls.__mro__[:-2])
        return inspect.cleandoc(next((doc for doc in docs if isinstance(doc, str) and doc.strip()), ""))

    def with_instructions(cls, instructions: str) -> SignatureType:
        """The same task with other instructions."""
        return SignatureType(cls.__name__, (cls,), {"__doc__": instructions}, cls._text)

    def described(cls, namespace: Mapping[str, Any]) -> Described:
        """Its fields, their types described.

        Raises:
            ValueError, TypeError: Naming the field and the mend, in one sentence.
        """
        if cls._text:
            return parse(cls._text, namespace, frozenset())
        sides: tuple[dict[str, Declared], dict[str, Declared]] = {}, {}
        for name, (mark, annotation) in _fields(cls).items():
            sides[not mark.is_input][name] = Declared(annotation, mark.desc, mark.default)
        return describe(*sides, namespace)

    def __repr__(cls) -> str:
        return f"<signature {cls._text or cls.__name__}>"


class Signature(metaclass=SignatureType):
    """What a predictor is to do: `dspy.Signature("text -> topic", "instructions")`, or a class with the instructions
    as its docstring and fields such as `text: str = dspy.InputField()`.
    """


def described(signature: Any, namespace: Mapping[str, Any]) -> tuple[Described, str]:
    """Fields and instructions of what a predictor was given as its signature.

    Raises:
        ValueError, TypeError: Naming the fault and the mend, in one sentence.
    """
    if isinstance(signature, SignatureType):
        return signature.described(namespace), signature.instructions
    if type(signature) is not str:
        raise TypeError(f"a signature is text such as {_EXAMPLE} or a class of dspy.Signature, not {shown(signature)}")
    return parse(signature, namespace, frozenset()), ""


def _fields(cls: type) -> dict[str, tuple[FieldMark, Any]]:
    """Its fields and those of its bases, in order, each with its type."""
    found: dict[str, tuple[FieldMark, Any]] = {}
    for kind in reversed(cls.__mro__[:-2]):
        try:
            annotations = inspect.get_annotations(kind)
        except NameError as error:
            raise ValueError(f"{kind.__name__} uses `{error.name}`, which does not exist; define it first") from None
        marks = {name: value for name, value in kind.__dict__.items() if isinstance(value, FieldMark)}
        for name in annotations:
            if name not in marks and not name.startswith("_"):
                raise TypeError(
                    f"`{kind.__name__}.{name}` is no field; give it dspy.InputField() or dspy.OutputField()"
                )
        found |= {name: (marks[name], annotations.get(name, str)) for name in {**annotations, **marks} if name in marks}
    return found
