"""Types of generated code are described in full or refused in one sentence, and plain answers become what they name."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import json
from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple, NotRequired, TypedDict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlm_module.host.typed import plain_outputs, signature_from
from rlm_module.sandbox.codec import decode, encode
from rlm_module.sandbox.guest.typed import Described, parse
from rlm_module.sandbox.record import Record
from tests.sandbox.guest.typed_values import Typed, types
from tests.sandbox.repl import Repl

Text = Annotated[str, "one word"]


class Level(enum.Enum):
    LOW = enum.auto()
    HIGH = enum.auto()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A node of a tree."""

    name: str = dataclasses.field(metadata={"desc": "what it is called"})
    level: Level = Level.LOW
    kids: list[Node] = dataclasses.field(default_factory=list)
    mark: Text | None = None


class Row(TypedDict):
    count: int
    note: NotRequired[str]


class Point(NamedTuple):
    x: int
    y: float = 0.5


class Plain:
    name: str
    size: int = 3


@dataclasses.dataclass
class Picky:
    age: int

    def __post_init__(self) -> None:
        if self.age < 0:
            raise ValueError("too young")


@dataclasses.dataclass
class Lost:
    other: Missing  # pyright: ignore[reportUndefinedVariable]  # noqa: F821


@dataclasses.dataclass
class Seeded:
    seed: dataclasses.InitVar[int]


def crossed(described: Described, answer: Mapping[str, Any]) -> Record:
    """The answer as the sandbox gets it."""
    return described.restore(decode(encode(dict(answer))))


@settings(max_examples=150)
@given(types, st.data())
def test_values_of_any_type_come_back_equal(typed: Typed, data: st.DataObject) -> None:
    annotation, values = typed
    value = data.draw(values)
    described = parse("text -> out: Kind, items: list[Kind]", {"Kind": annotation})
    sent = described_inputs(annotation, value)
    signature = signature_from(decode(encode(described.spec())))
    from pydantic import TypeAdapter

    kinds: dict[str, Any] = {name: field.annotation for name, field in signature.output_fields.items()}
    taken = {
        "out": TypeAdapter(kinds["out"]).validate_python(sent),
        "items": TypeAdapter(kinds["items"]).validate_python([sent, sent]),
    }
    back = crossed(described, plain_outputs(taken, signature))
    assert back.out == value
    assert type(back.out) is type(value)
    assert back["items"] == back.items == [value, value]


def described_inputs(annotation: Any, value: Any) -> Any:
    """The value as it leaves the sandbox."""
    return decode(encode(parse("one: Kind -> out", {"Kind": annotation}).bind({"one": value})))["one"]


def test_classes_are_described_with_what_they_say_of_themselves() -> None:
    described = parse("text, k: int = 3 -> nodes: list[Node], row: Row", globals())
    node, row = described.records
    assert node["name"] == "Node"
    assert node["doc"] == "A node of a tree."
    assert [field["name"] for field in node["fields"]] == ["name", "level", "kids", "mark"]
    assert node["fields"][0] == {
        "name": "name",
        "type": {"kind": "str"},
        "required": True,
        "desc": "what it is called",
    }
    assert node["fields"][1]["default"] == "LOW"
    assert node["fields"][2]["type"] == {"kind": "list", "of": {"kind": "ref", "to": 0}}
    assert [field["required"] for field in row["fields"]] == [True, False]
    assert json.loads(json.dumps(described.spec())) == described.spec()


def test_plain_answers_become_the_models_own_types() -> None:
    described = parse("text -> nodes: list[Node], row: Row, point: Point, plain: Plain, days: set[date]", globals())
    kid = {"name": "b", "level": "HIGH", "mark": "x"}
    answer = {
        "nodes": [{"name": "a", "kids": [kid]}],
        "row": {"count": 2**60 + 1},
        "point": {"x": 1},
        "plain": Record("Plain", {"name": "p"}),
        "days": [dt.date(2024, 2, 29)],
    }
    back = crossed(described, answer)
    assert back.nodes == [Node(name="a", kids=[Node(name="b", level=Level.HIGH, mark="x")])]
    assert back.row == {"count": 2**60 + 1}
    assert back.point == Point(1)
    assert (type(back.plain), back.plain.name, back.plain.size) == (Plain, "p", 3)
    assert back.days == {dt.date(2024, 2, 29)}


def test_outputs_named_like_methods_are_read_by_attribute_and_by_key() -> None:
    back = crossed(parse("text -> items: list[int], keys", {}), {"items": [1], "keys": "k"})
    assert (back.items, back["items"], back.keys, back["keys"]) == ([1], [1], "k", "k")


def test_records_of_a_union_are_told_by_their_names() -> None:
    described = parse("text -> one: Picky | Row | None", globals())
    name = described.records[1]["name"]
    assert crossed(described, {"one": Record(name, {"count": 1, "age": 1})}).one == {"count": 1}
    assert crossed(described, {"one": None}).one is None


@pytest.mark.parametrize("given", ["LOW", 1])
def test_an_enum_comes_back_by_name_and_by_value(given: Any) -> None:
    assert crossed(parse("text -> level: Level", globals()), {"level": given}).level is Level.LOW


def test_a_class_that_was_defined_again_is_another() -> None:
    first, second = (dataclasses.make_dataclass("Item", [("x", int)]) for _ in range(2))
    described = parse("text -> a: First, b: Second", {"First": first, "Second": second})
    assert len({record["name"] for record in described.records}) == 2


def test_inputs_are_filled_in_and_made_plain() -> None:
    described = parse("node: Node, plain, k: int = 3 -> out", globals())
    plain = Plain()
    plain.name = "p"
    bound = described.bind({"node": Node(name="a", level=Level.HIGH), "plain": plain})
    assert bound == {
        "node": {"name": "a", "level": "HIGH", "kids": [], "mark": None},
        "plain": {"name": "p", "size": 3},
        "k": 3,
    }
    assert encode(bound)


@pytest.mark.parametrize(
    ("given", "fault"),
    [({}, "lacks the input `text`"), ({"text": "x", "top": 1}, "has no input `top`")],
)
def test_inputs_that_do_not_fit_are_named(given: dict[str, Any], fault: str) -> None:
    with pytest.raises(TypeError, match=fault):
        parse("text -> out", {}).bind(given)


def test_a_literal_may_hold_an_arrow_and_a_comma() -> None:
    described = parse("a: Literal['->', 'x, y'], b -> c: Literal['->']", {})
    assert [field.name for field in (*described.inputs, *described.outputs)] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("signature", "fault"),
    [
        ("text", "has no `->`"),
        ("text ->", "has no outputs"),
        ("-> out", "has no inputs"),
        ("text, class: int -> out", "'class: int'"),
        ("text -> items: list[int", "'items: list"),
        ("text -> items: list[Itme]", "`items`: there is no type `Itme`"),
        ("text -> text", "`text` stands twice"),
        ("model -> out", "`model` is an argument"),
        ("_x -> out", "`_x` begins"),
        ("text -> out: int = 3", "`out` has a default"),
        ("text -> out: 3", "`out`: 3 is no type"),
        ("text -> out: [int]", "`out`: .* is no type"),
        ("text -> out: bytes", "`out`: an LM reads and writes no bytes"),
        ("text -> out: type[int]", "`out`: .* cannot be described"),
        ("text -> out: dict[tuple[int, int], str]", "`out`: keys of a dict"),
        ("text -> out: Literal[1.5]", "`out`: a Literal holds"),
        ("text -> out: Picky.age", "`out`: `Picky.age` is no type"),
        ("text -> out: Lost", "`out`: Lost uses `Missing`"),
        ("text -> out: Seeded", "`out`: Seeded.seed is an InitVar"),
        ("text -> out: Exception", "`out`: Exception has no annotated fields"),
        ("text -> out: " + "list[" * 30 + "int" + "]" * 30, "`out`: the type is nested deeper"),
        ("text -> *out", "'\\*out' among the outputs"),
        ("text -> out)\nimport os#", "is no field"),
        ("x" * 20_000 + " -> out", "longer than"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_sentence(signature: str, fault: str) -> None:
    with pytest.raises((ValueError, TypeError), match=fault) as refused:
        parse(signature, globals())
    assert "\n" not in str(refused.value).replace("\\n", "")


@given(st.text() | st.text("abc->:,[]()=*'\"|. \n"))
def test_any_text_is_a_signature_or_refused(text: str) -> None:
    try:
        described = parse(text, {})
    except (ValueError, TypeError):
        return
    assert described.spec()


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        ({}, "lacks the output `picky`"),
        ({"picky": {"age": "old"}}, "`picky` does not fit"),
        ({"picky": {"age": True}}, "`picky` does not fit"),
        ({"picky": {}}, "lacks `age`"),
        ({"picky": {"age": -1}}, "Picky refused the answer .*too young"),
    ],
)
def test_an_answer_that_does_not_fit_is_named(answer: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        crossed(parse("text -> picky: Picky", globals()), answer)


_CELL = """
import dataclasses, datetime, enum
from rlm_module.sandbox.guest.typed import parse

class Colour(enum.Enum):
    RED = "red"

@dataclasses.dataclass
class Tree:
    name: str
    day: datetime.date
    colour: Colour = Colour.RED
    kids: list[Tree] = dataclasses.field(default_factory=list)

described = parse("text, k: int = 2 -> trees: list[Tree], counts: dict[str, list[int]]", globals())
answer = ask(described.spec(), described.bind({"text": "x"}))
back = described.restore(answer)
"""


def test_a_cell_gets_instances_of_its_own_classes() -> None:
    def ask(spec: Any, inputs: Any) -> dict[str, Any]:
        assert inputs == {"text": "x", "k": 2}
        signature = signature_from(spec)
        kid = {"name": "b", "day": "2024-02-29"}
        tree = {"name": "a", "day": "2024-01-01", "colour": "red", "kids": [kid]}
        from dspy.adapters.utils import parse_value

        found = {
            "trees": parse_value([tree], signature.output_fields["trees"].annotation),
            "counts": {"a": [2**60 + 1]},
        }
        return plain_outputs(found, signature)

    with Repl({"ask": ask}) as repl:
        repl.run(_CELL)
        assert repl.value("back.counts['a'][0] - 2**60, back.trees[0].kids[0].day.isoformat()") == "(1, '2024-02-29')"
        assert repl.value("type(back.trees[0]) is Tree and back.trees[0].kids[0].colour is Colour.RED") == "True"
        assert repl.error("parse('text -> x: Itme', globals())").message.startswith("`x`: there is no type `Itme`")
