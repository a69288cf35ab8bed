"""The sandbox's `dspy`: what a call sends to the host, what comes back, and that loops of calls run ahead."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from rlm_module.sandbox.agent_kinds import AGENT
from tests.sandbox.repl import Repl
from tests.sandbox.together import AHEAD, SIX, Together


class Host(Together):
    """Answers with `<the first input>` in each text output, or with what was set."""

    def __init__(self) -> None:
        super().__init__(self._outputs)
        self.answers: dict[str, Any] = {}

    def expect(self, size: int, **answers: Any) -> None:
        super().expect(size)
        self.answers = answers

    def _outputs(self, **asked: Any) -> dict[str, Any]:
        text = f"<{next(iter(asked['inputs'].values()))}>"
        return self.answers or {output["name"]: text for output in asked["signature"]["outputs"]}


host = Host()


@pytest.fixture(scope="module")
def session() -> Iterator[Repl]:
    with Repl({AGENT: host, "lookup": lambda text: text}, ahead=AHEAD, cell_seconds=20) as repl:
        yield repl


@pytest.fixture
def repl(session: Repl) -> Repl:
    host.expect(1)
    session.calls.clear()
    return session


def test_it_is_found_with_and_without_an_import_and_by_no_one_who_lists_names(repl: Repl) -> None:
    assert repl.value("dspy.__name__") == "'dspy'"
    code = "import dspy\nfrom dspy import Predict, Signature\nimport dspy as d\nd is dspy and d.Predict is Predict"
    assert repl.value(code) == "True"
    assert "dspy" not in repl.run("SHOW_VARS()").stdout
    assert repl.value(f"{AGENT!r} in globals()") == "False"


def test_a_host_without_sub_agents_has_no_dspy() -> None:
    with Repl() as plain:
        assert plain.error("import dspy").type == "ModuleNotFoundError"


def test_a_call_is_one_request_that_holds_all_of_the_predictor(repl: Repl) -> None:
    code = """sig = dspy.Signature("text, k: int = 2 -> topic", "Find the topic.")
predictor = dspy.Predict(sig, temperature=0.5)
predictor(text='abc').topic"""
    assert repl.value(code) == "'<abc>'"
    (call,) = repl.calls
    asked = call.kwargs
    assert (asked["kind"], asked["instructions"], asked["options"]) == (
        "Predict",
        "Find the topic.",
        {"temperature": 0.5},
    )
    assert asked["inputs"] == {"text": "abc", "k": 2}
    assert [field["name"] for field in asked["signature"]["inputs"]] == ["text", "k"]


def test_a_signature_may_be_a_class_of_the_sessions_types(repl: Repl) -> None:
    host.expect(1, items=[{"name": "a"}], mood="good", first={"name": "b"})
    code = '''import dataclasses
from typing import Literal
@dataclasses.dataclass
class Item:
    """A thing."""
    name: str
class Base(dspy.Signature):
    """Extract what is asked."""
    text: str = dspy.InputField(desc="a page")
    k = dspy.InputField(default="3")
    items: list[Item] = dspy.OutputField(desc="all of them", max_length=9)
class Extract(Base):
    mood: Literal["good", "bad"] = dspy.OutputField()
    first: "Item" = dspy.OutputField()
p = dspy.Predict(Extract)(text="x")
p.items == [Item("a")] and type(p["first"]) is Item, p.mood, isinstance(p, dspy.Prediction)'''
    assert repl.value(code) == "(True, 'good', True)"
    asked = repl.calls[0].kwargs
    assert asked["instructions"] == "Extract what is asked."
    assert [field["name"] for field in asked["signature"]["outputs"]] == ["items", "mood", "first"]
    assert asked["signature"]["outputs"][0]["desc"] == "all of them (max_length: 9)"
    assert asked["signature"]["inputs"][0]["desc"] == "a page"
    assert asked["inputs"] == {"text": "x", "k": "3"}
    assert [record["name"] for record in asked["signature"]["records"]] == ["Item"]
    other = "p = dspy.Predict(Extract.with_instructions('Other.'))(text='x')\nExtract.instructions"
    assert repl.value(other) == "'Extract what is asked.'"
    assert repl.calls[1].kwargs["instructions"] == "Other."


def test_chain_of_thought_reasons_first(repl: Repl) -> None:
    assert repl.value("dspy.ChainOfThought('text -> topic')(text='t')") == "Prediction(reasoning='<t>', topic='<t>')"


def test_what_a_predictor_tells_besides_is_kept(repl: Repl) -> None:
    host.expect(1, answer="x", trajectory={"thought_0": "t"})
    assert repl.value("dspy.ReAct('q -> answer', [lookup], max_iters=2)(q='1').trajectory") == "{'thought_0': 't'}"
    assert repl.calls[0].kwargs["options"] == {"tools": ["lookup"], "max_iters": 2}


def test_inputs_of_an_rlm_keep_their_types(repl: Repl) -> None:
    repl.run("dspy.RLM('context -> answer')(context={1: {2, 3}, 'd': (b'x', 2**70)})")
    assert repl.calls[0].kwargs["inputs"] == {"context": {1: {2, 3}, "d": (b"x", 2**70)}}


def test_it_can_be_awaited(repl: Repl) -> None:
    host.expect(4)
    code = """import asyncio
p = dspy.Predict('text -> topic')
calls = [p.acall(text='a'), p.aio(text='b')]
class Twice(dspy.Module):
    async def aforward(self, text):
        found = await asyncio.gather(p.acall(text=text), p.acall(text=text))
        return dspy.Prediction(topic=found[0].topic * 2)
[one.topic for one in await asyncio.gather(*calls, Twice().acall(text='c'))]"""
    assert repl.value(code) == "['<a>', '<b>', '<c><c>']"
    assert host.most == 4


def test_a_module_holds_predictors(repl: Repl) -> None:
    code = """class Both(dspy.Module):
    def __init__(self):
        super().__init__()
        self.one = dspy.Predict('text -> topic')
        self.parts = [self.one]
    def forward(self, text):
        return dspy.Prediction(topic=self.one(text=text).topic + self.parts[0](text='y').topic)
Both()(text='x').topic, Both().forward('z')['topic']"""
    assert repl.value(code) == "('<x><y>', '<z><y>')"


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        ("dspy.Retrieve", "the sandbox's dspy has no 'Retrieve'; it has Predict, ChainOfThought"),
        ("from dspy import Example", "cannot import name 'Example' from 'dspy' (the sandbox's: Predict"),
        ("dspy.RLM('q -> a', sub_lm='x')", "takes no option 'sub_lm' here; its options are max_iters"),
        ("dspy.Predict('q -> a', n=5)", "takes no option 'n' here"),
        ("dspy.RLM('q -> a', max_iters='many')", "max_iters of dspy.RLM must be an integer above 0, not str"),
        ("dspy.ReAct('q -> a', tools=[len])", "is not a tool of the run"),
        ("dspy.ReAct('q -> a', tools=lookup)", "tools of dspy.ReAct must be a list of the run's tools"),
        ("dspy.Predict('q -> a: Missing')", "there is no type `Missing`"),
        ("dspy.Predict(5)", "a signature is text such as"),
        ("dspy.Predict('q -> a')('x')", "takes its inputs by name; write (q=...)"),
        ("dspy.Predict('q -> a')(z='x')", "lacks the input `q`"),
        ("dspy.Predict('q -> a')(q=print)", "dspy.Predict(): a value of type"),
        ("class S(dspy.Signature):\n    q: str\ndspy.Predict(S)", "`S.q` is no field"),
        ("class S(dspy.Signature):\n    q: str = dspy.InputField()\ndspy.Predict(S)", "has no outputs"),
        ("dspy.InputField(color='red')", "dspy.InputField takes no 'color' here"),
        ("class S(dspy.Signature):\n    q: Gone = dspy.InputField()\ndspy.Predict(S)", "S uses `Gone`"),
        ("dspy.Module()()", "Module has no `forward`"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(repl: Repl, code: str, fault: str) -> None:
    message = repl.error(code).message
    assert fault in message
    assert "\n" not in message
    assert not repl.calls


_INDEPENDENT = {
    "a predictor of the same cell": "p = dspy.Predict('text -> topic')\n[p(text=f'{x}!').topic for x in range(6)]",
    "chain of thought": "p = dspy.ChainOfThought('text -> topic')\n[p(text=f'{x}!').topic for x in range(6)]",
    "an rlm": "p = dspy.RLM('text -> topic')\n[p(text=f'{x}!').topic for x in range(6)]",
    "imported under another name": "from dspy import Predict as P\nQ = P\np = Q('text -> topic')\n"
    "[p(text=f'{x}!').topic for x in range(6)]",
    "a function": "p = dspy.Predict('text -> topic')\ndef ask(x):\n    return p(text=f'{x}!').topic\n"
    "[ask(x) for x in range(6)]",
    "a function of its own": "def main():\n    import dspy as d\n    p = d.Predict('text -> topic')\n    out = []\n"
    "    for x in range(6):\n        out.append(p(text=f'{x}!').topic)\n    return out\nmain()",
    "a function that makes it": "def make():\n    return dspy.Predict('text -> topic')\np = make()\n"
    "[p(text=f'{x}!').topic for x in range(6)]",
    "made where it is called": "[dspy.Predict('text -> topic')(text=f'{x}!').topic for x in range(6)]",
    "made in a function": "from dspy import ChainOfThought\ndef ask(x):\n"
    "    return ChainOfThought('text -> topic')(text=f'{x}!').topic\n[ask(x) for x in range(6)]",
    "answers of another": "a, b = dspy.Predict('text -> topic'), dspy.Predict('text -> topic')\n"
    "first = [b(text=f'{x}') for x in range(6)]\n[a(text=p.topic[1:-1] + '!').topic for p in first]",
    "a signature class": "class S(dspy.Signature):\n    text: str = dspy.InputField()\n"
    "    topic: str = dspy.OutputField()\np = dspy.Predict(S)\nout = {}\nfor x in range(6):\n"
    "    out[x] = p(text=f'{x}!')\n[o.topic for o in out.values()]",
}


@pytest.mark.parametrize("name", _INDEPENDENT)
def test_independent_calls_are_made_together(repl: Repl, name: str) -> None:
    host.expect(SIX)
    result = repl.run(_INDEPENDENT[name])
    assert result.value == str([f"<{x}!>" for x in range(6)]), result.text
    assert (host.most, result.unused) == (SIX, 0)


def test_a_predictor_of_an_earlier_cell_runs_ahead(repl: Repl) -> None:
    repl.run("earlier = dspy.Predict('text -> topic')")
    host.expect(SIX)
    assert repl.value("len([earlier(text=str(x)) for x in range(6)])") == "6"
    assert host.most == SIX


@pytest.mark.parametrize(
    "code",
    [
        "p = dspy.ReAct('text -> topic', tools=[lookup])\n[p(text=f'{x}!').topic for x in range(6)]",
        "class Mine(dspy.Predict):\n    def __init__(self, text):\n        super().__init__(text)\n"
        "        made.append(text)\nmade = []\n[Mine('text -> topic')(text=f'{x}!').topic for x in range(6)]"
        " if not made else 0",
        "def of(x):\n    return lambda text: dspy.Predict('text -> topic')(text=text)\n"
        "[of(x)(f'{x}!').topic for x in range(6)]",
        "p = dspy.Predict('text -> topic')\nlast = '0'\nout = []\nfor x in range(6):\n"
        "    last = p(text=last).topic\n    out.append(f'<{x}!>')\nout",
    ],
)
def test_calls_whose_order_may_matter_are_made_one_by_one(repl: Repl, code: str) -> None:
    assert repl.value(code) == str([f"<{x}!>" for x in range(6)])
    assert host.most == 1


def test_a_derived_predictor_that_was_not_made_ready_fails_no_other_cell(repl: Repl) -> None:
    assert repl.value("class Bare(dspy.Predict):\n    def __init__(self): pass\nbare = Bare()\n1") == "1"
    assert repl.value("1 + 1") == "2"
