"""The types of a typed sub-call on the host, built from its checked description; dspy and pydantic do the rest."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any, ForwardRef, Literal, TypeAlias, Union

import pydantic
from pydantic import ConfigDict, Discriminator, Field, GetCoreSchemaHandler, Tag, WithJsonSchema

from rlm_module.host.typed_spec import (
    Choice,
    Either,
    Fixed,
    Items,
    Mapped,
    Member,
    Members,
    Record,
    Ref,
    Scalar,
    Slot,
    Spec,
)
from rlm_module.sandbox.type_limits import MAX_NAME, SCALARS

_NUMBERED = "Record" + "_" * MAX_NAME  # longer than any class's name, so that none can be taken for it
_union: Any = Union


class Model(pydantic.BaseModel):
    """Base of the records' models. Fields are found by alias, for any name of theirs may be one that pydantic uses."""

    model_config = ConfigDict(serialize_by_alias=True, json_schema_extra=lambda schema: _drop_titles(schema))


def _drop_titles(schema: dict[str, Any]) -> None:
    """Titles say what the names say, and cost tokens in every prompt."""
    for part in schema.get("properties", {}).values():
        part.pop("title", None)


def build_models(spec: Spec) -> list[type[Model]]:
    """A model for each record. They name each other by number, since each may come before those it holds."""
    names = [f"{_NUMBERED}{number}" for number in range(len(spec.records))]
    refs: list[Any] = [ForwardRef(name) for name in names]
    models: list[type[Model]] = []
    for record in spec.records:
        fields: dict[str, Any] = {}
        for number, member in enumerate(record.fields):
            lenient: dict[str, Any] = {} if member.required else {"default_factory": type(None)}
            about = Field(alias=member.name, description=description(member) or None, **lenient)
            fields[f"field{number}"] = build_type(member.type, spec, refs), about
        models.append(pydantic.create_model(record.name, __base__=Model, __doc__=record.doc or None, **fields))
    for model in reversed(models):  # records come before those they hold, and a long chain would be too deep
        model.model_rebuild(force=True, _types_namespace=dict(zip(names, models, strict=True)))
    return models


def description(part: Member | Slot) -> str:
    """What is said of a field. A default stands here, because providers refuse the schema's own keyword for it."""
    desc = part.desc or part.type.desc
    if isinstance(part, Slot) or "default" not in part.model_fields_set:
        return desc
    default = f"default: {json.dumps(part.default, ensure_ascii=False)}"
    return f"{desc} ({default})" if desc else default


def build_type(part: Any, spec: Spec, models: list[Any]) -> Any:
    """A described type as Python's.

    Args:
        part: Its description.
        spec: The whole that it is of.
        models: What its records stand for, by number.
    """

    def inner(one: Any) -> Any:
        found = build_type(one, spec, models)
        return _named(_name(one, spec), Annotated[found, Field(description=one.desc)]) if one.desc else found

    match part:
        case Scalar(kind="decimal"):  # an LM that wrote a number would have it rounded to a float on the way
            return _named("Decimal", Annotated[Decimal, WithJsonSchema({"type": "string", "format": "decimal"})])
        case Scalar():
            return SCALARS.get(part.kind, type(None) if part.kind == "none" else Any)
        case Items(kind="tuple_of"):
            return tuple[inner(part.of), ...]
        case Items():  # a set is a list here, for models cannot be hashed
            return list[inner(part.of)]
        case Fixed():
            items: Any = tuple(inner(item) for item in part.items)
            return tuple[items]
        case Mapped():
            return dict[inner(part.keys), inner(part.values)]
        case Either():
            return _either(part, spec, models, inner)
        case Choice(values=choices) | Members(members=choices):
            values: Any = tuple(choices)
            return Literal[values]
        case Ref():
            return models[part.to]
        case _:
            raise AssertionError(part)


def _either(part: Either, spec: Spec, models: list[Any], inner: Callable[[Any], Any]) -> Any:
    """A union. Which of several records a value is, is told by its keys: to try each in turn, at each level, would
    take time that doubles with every level of a nested value.
    """
    refs = list(dict.fromkeys(one.to for one in part.of if isinstance(one, Ref)))
    if len(refs) < 2:
        return _union[tuple(inner(one) for one in part.of)]
    tagged = tuple(Annotated[models[number], Tag(str(number))] for number in refs)
    told = Annotated[_union[tagged], Discriminator(_teller({number: spec.records[number] for number in refs}))]
    name = " | ".join(spec.records[number].name for number in refs)
    rest = [inner(one) for one in part.of if not isinstance(one, Ref)]
    return _union[(_named(name, told), *rest)]


def _teller(records: dict[int, Record]) -> Callable[[Any], str | None]:
    """Tells a value's record by its choices, its missing fields, and how many of its keys are known, in this order."""
    known: Known = {number: {member.name: member for member in record.fields} for number, record in records.items()}

    def tell(value: Any) -> str | None:
        if not isinstance(value, dict):
            names = [number for number, record in records.items() if record.name == type(value).__name__]
            return str(names[0]) if names else None
        return str(max(known, key=lambda number: _likeness(value, known[number])))

    return tell


Known: TypeAlias = dict[int, dict[str, Member]]


def _likeness(value: dict[Any, Any], members: dict[str, Member]) -> tuple[int, int, int]:
    wrong = sum(
        (isinstance(member.type, Choice) and value[name] not in member.type.values)
        or (isinstance(member.type, Members) and value[name] not in member.type.members)
        for name, member in members.items()
        if name in value
    )
    missing = sum(member.required and name not in value for name, member in members.items())
    return -wrong, -missing, sum(name in members for name in value)


def _name(part: Any, spec: Spec) -> str:
    """What a type is called in a prompt."""
    return spec.records[part.to].name if isinstance(part, Ref) else str(part.kind)


def _named(name: str, annotation: Any) -> Any:
    """The type under a short name; adapters would spell out all that Annotated says, addresses of functions too."""

    def schema(cls: type, source: Any, handler: GetCoreSchemaHandler) -> Any:
        return handler.generate_schema(annotation)

    return type(name, (), {"__get_pydantic_core_schema__": classmethod(schema)})
