"""RLM in the real sandbox, from the outside."""

from __future__ import annotations

import asyncio
import copy
import datetime as dt
import threading
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Literal

import dspy
import pydantic
import pytest
from dspy.primitives.sandbox_serializable import SandboxSerializable
from dspy.signatures import make_signature

from rlm_module import RLM, FatalError, InputError, Sandbox, SandboxError, concurrent
from tests.fake_interpreter import FakeInterpreter
from tests.scripted import ScriptedLM, fields, said, texts, turn


def _answer(rlm: RLM, *cells: str, sub: Any = None, **inputs: Any) -> Any:
    """Runs cells as the root's turns, with `sub` answering everything else."""
    with dspy.context(lm=ScriptedLM([turn(cell) for cell in cells])):
        if sub is not None:
            rlm.sub_lm = sub
        return rlm(**inputs)


def test_a_run_from_look_to_answer() -> None:
    lm = ScriptedLM([turn("print(context[:5])"), turn("SUBMIT(answer=' '.join(llm_query_batched(['a', 'b'])))")])
    rlm = RLM("context, query -> answer", sub_lm=ScriptedLM(lambda request: said(request).upper()))
    with dspy.context(lm=lm):
        prediction = rlm(context="hello world", query="q")
    assert prediction.answer == "A B"
    assert prediction.termination_reason == "submitted"
    assert prediction.final_reasoning == "Go on."
    assert [list(entry) for entry in prediction.trajectory] == [["reasoning", "code", "output"]] * 2
    assert prediction.trajectory[0]["output"] == "hello"
    assert prediction.usage.by_role["root"].calls == 2
    assert prediction.usage.by_role["sub"].calls == 2
    assert prediction.run.run_id == prediction.run_id


def test_values_of_every_type_arrive_unchanged() -> None:
    class Task(dspy.Signature):
        big: int = dspy.InputField()
        big_out: int = dspy.OutputField()
        day: dt.date = dspy.OutputField()
        money: Decimal = dspy.OutputField()
        unique: set[int] = dspy.OutputField()
        raw: bytes = dspy.OutputField()
        kind: Literal["a", "b"] = dspy.OutputField()

    cell = (
        "import datetime, decimal\n"
        "SUBMIT(big_out=big + 1, day=datetime.date(2024, 2, 29), money=decimal.Decimal('1.10'), unique={1, 2},"
        " raw=b'\\xff\\x00', kind='b')"
    )
    prediction = _answer(RLM(Task), cell, big=2**60)
    assert prediction.big_out == 2**60 + 1
    assert (prediction.day, str(prediction.money)) == (dt.date(2024, 2, 29), "1.10")
    assert (prediction.unique, prediction.raw, prediction.kind) == ({1, 2}, b"\xff\x00", "b")


class Person(pydantic.BaseModel):
    name: str
    born: dt.date


def test_models_go_in_by_attribute_and_come_out_as_themselves() -> None:
    class Task(dspy.Signature):
        people: list[Person] = dspy.InputField()
        oldest: Person = dspy.OutputField()

    people = [Person(name="Ann", born=dt.date(1990, 1, 1)), Person(name="Bob", born=dt.date(1980, 1, 1))]
    prediction = _answer(RLM(Task), "SUBMIT(oldest=min(people, key=lambda p: p.born))", people=people)
    assert prediction.oldest == people[1]


def test_inputs_are_sent_once_so_that_changes_stay() -> None:
    prediction = _answer(
        RLM("rows: list[int] -> total: int"), "rows.append(100)\nn = 1", "SUBMIT(total=sum(rows) + n)", rows=[1, 2]
    )
    assert prediction.total == 104


def test_defaults_of_inputs_are_honoured() -> None:
    class Task(dspy.Signature):
        query: str = dspy.InputField()
        limit: int = dspy.InputField(default=3)
        answer: str = dspy.OutputField()

    assert _answer(RLM(Task), "SUBMIT(answer=query * limit)", query="ab").answer == "ababab"


@pytest.mark.parametrize(
    ("inputs", "message"),
    [({"context": "x"}, "query are missing"), ({"context": "x", "query": "q", "extra": 1}, "no input extra")],
)
def test_missing_and_unknown_inputs_are_named(inputs: dict[str, Any], message: str) -> None:
    with dspy.context(lm=ScriptedLM()), pytest.raises(InputError, match=message) as raised:
        RLM("context, query -> answer")(**inputs)
    assert isinstance(raised.value, ValueError)


def _no_interpreter() -> Any:
    return 3


def test_a_factory_that_returns_no_interpreter_is_refused() -> None:
    with dspy.context(lm=ScriptedLM([])), pytest.raises(TypeError, match="CodeInterpreter, not int"):
        RLM("q -> a", interpreter_factory=_no_interpreter)(q="1")


def test_positional_arguments_are_those_of_dspy_rlm() -> None:
    lm = ScriptedLM()
    rlm = RLM("q -> a", 3, 4, 5, True, [_shout], lm, FakeInterpreter)
    assert (rlm.max_iters, rlm.max_llm_calls, rlm.max_output_chars, rlm.verbose) == (3, 4, 5, True)
    assert (list(rlm.tools), rlm.sub_lm) == (["_shout"], lm)


def _shout(text: str, times: int = 1) -> str:
    """Makes text loud."""
    return text.upper() * times


def test_without_depth_there_are_no_sub_calls() -> None:
    lm = ScriptedLM([turn("print('llm_query' in globals(), 'dspy' in globals())"), turn("SUBMIT(a='x')")])
    with dspy.context(lm=lm):
        prediction = RLM("q -> a", max_depth=0)(q="1")
    assert prediction.trajectory[0]["output"] == "False False"
    system = texts(lm.requests[0])[0][1]
    assert "llm_query" not in system.partition("The REPL")[2]
    assert "Sub-LM calls left" not in said(lm.requests[0])


def test_tools_of_every_shape_can_be_called() -> None:
    async def fetch(url: str) -> str:
        return f"page {url}"

    class Counter:
        """Counts."""

        def __call__(self, x: int) -> int:
            return x + 1

    async def mcp(*args: Any, **kwargs: Any) -> Any:
        return kwargs

    tools = [
        _shout,
        fetch,
        dspy.Tool(Counter(), name="count"),
        dspy.Tool(mcp, name="search", args={"q": {"type": "string"}}, arg_types={"q": str}),
    ]
    cell = "print(_shout('a', times=2), fetch('u'), count(2**60), search('x'))"
    prediction = _answer(RLM("q -> a", tools=tools), cell, "SUBMIT(a='x')", q="1")
    assert prediction.trajectory[0]["output"] == f"AA page u {2**60 + 1} {{'q': 'x'}}"


def test_tools_are_documented_and_their_errors_come_back() -> None:
    def broken(x: int) -> int:
        """Breaks."""
        raise KeyError("inside")

    lm = ScriptedLM(
        [turn("try:\n    broken(1)\nexcept Exception as e:\n    print(type(e).__name__, e)"), turn("SUBMIT(a='x')")]
    )
    with dspy.context(lm=lm):
        prediction = RLM("q -> a", tools=[broken, _shout])(q="1")
    assert prediction.trajectory[0]["output"] == "RuntimeError KeyError: 'inside'"
    assert "`_shout(text: str, times: int = 1)`: Makes text loud." in texts(lm.requests[0])[0][1]


def test_a_tool_that_overruns_is_an_error_the_code_can_catch() -> None:
    release = threading.Event()

    def slow() -> None:
        release.wait()

    cell = "try:\n    slow()\nexcept Exception as e:\n    print(e)"
    prediction = _answer(RLM("q -> a", tools=[slow], tool_seconds=0.1), cell, "SUBMIT(a='x')", q="1")
    release.set()
    assert "TimeoutError: the tool slow took longer than 0.1 s" in prediction.trajectory[0]["output"]


def test_independent_calls_run_side_by_side() -> None:
    together = threading.Barrier(3)

    @concurrent
    def meet(x: int) -> int:
        together.wait(10)
        return x

    cell = "import asyncio\nprint(await asyncio.gather(*[meet.aio(x) for x in range(3)]))"
    prediction = _answer(RLM("q -> a", tools=[meet]), cell, "SUBMIT(a='x')", q="1")
    assert prediction.trajectory[0]["output"] == "[0, 1, 2]"


def test_failed_sub_calls_are_typed_in_the_sandbox() -> None:
    def sub(prompt: str) -> list[str]:
        if "bad" in prompt:
            raise dspy.ContextWindowExceededError(model="m")
        return [prompt]

    cell = (
        "results = llm_query_batched(['good', 'bad', 'good too'])\n"
        "print([r for r in results if r], results[1].kind)\n"
        "try:\n    llm_query('bad')\nexcept SubcallError as e:\n    print(e.kind)"
    )
    prediction = _answer(RLM("q -> a"), cell, "SUBMIT(a='x')", sub=sub, q="1")
    assert prediction.trajectory[0]["output"] == "['good', 'good too'] context_window\ncontext_window"


def test_the_limit_of_sub_calls_holds_over_cells_and_forms() -> None:
    cells = [
        "print([bool(r) for r in llm_query_batched(['a', 'b', 'c'])])",
        "print([r.kind if not r else r for r in llm_query_batched(['d', 'e'])])",
        "import dspy\ntry:\n    dspy.Predict('q -> a')(q='1')\nexcept Exception as e:\n    print(e)",
        "SUBMIT(a='x')",
    ]
    prediction = _answer(RLM("q -> a", max_llm_calls=4), *cells, sub=lambda prompt: [prompt], q="1")
    outputs = [entry["output"] for entry in prediction.trajectory]
    assert outputs[:2] == ["[True, True, True]", "['d', 'budget']"]
    assert "budget" in outputs[2]


def test_names_of_the_users_win_over_ours() -> None:
    lm = ScriptedLM([turn("print(SHOW_VARS, usage)"), turn("SUBMIT(run='r', usage=3, reasoning='why', code='c')")])
    with dspy.context(lm=lm):
        prediction = RLM("SHOW_VARS, usage_in -> run, usage: int, reasoning, code")(SHOW_VARS="mine", usage_in=1)
    assert (prediction.run, prediction.usage) == ("r", 3)
    assert (prediction.reasoning, prediction.code) == ("why", "c")
    assert "`SHOW_VARS()`" not in texts(lm.requests[0])[0][1]
    assert prediction.termination_reason == "submitted"


class Table(SandboxSerializable):
    def __init__(self, payload: bytes) -> None:
        self.payload = payload

    def sandbox_setup(self) -> str:
        return "import json"

    def to_sandbox(self) -> bytes:
        return self.payload

    def sandbox_assignment(self, var_name: str, data_expr: str) -> str:
        return f"{var_name} = (type({data_expr}).__name__, len({data_expr}))"

    def rlm_preview(self, max_chars: int = 500) -> str:
        return "a table of 3 rows"


@pytest.mark.parametrize(("payload", "shown"), [(b"[1, 2]", "('str', 6)"), (b"\xff\xfe", "('bytes', 2)")])
def test_values_that_serialize_themselves_are_loaded_as_they_ask(payload: bytes, shown: str) -> None:
    lm = ScriptedLM([turn("print(table)"), turn("SUBMIT(a='x')")])
    signature = make_signature({"table": (Table, dspy.InputField()), "a": (str, dspy.OutputField())})
    with dspy.context(lm=lm):
        prediction = RLM(signature)(table=Table(payload))
    assert prediction.trajectory[0]["output"] == shown
    assert "a table of 3 rows" in said(lm.requests[0])


def test_a_value_whose_own_code_fails_is_refused() -> None:
    class Broken(Table):
        def sandbox_setup(self) -> str:
            return "import no_such_module"

    with dspy.context(lm=ScriptedLM([turn("print(1)")])), pytest.raises(InputError, match="could not be set up"):
        RLM("table -> a")(table=Broken(b"x"))


def test_an_interpreter_is_chosen_at_the_call_then_the_constructor_then_the_settings() -> None:
    used: list[str] = []

    def factory(name: str) -> Callable[[], Any]:
        def make() -> Any:
            used.append(name)
            return FakeInterpreter()

        return make

    with dspy.context(interpreter_factory=factory("settings"), lm=ScriptedLM(lambda request: turn("SUBMIT(a='x')"))):
        RLM("q -> a")(q="1")
        RLM("q -> a", interpreter_factory=factory("constructor"))(q="1")
        RLM("q -> a", interpreter_factory=factory("constructor"))(q="1", interpreter_factory=factory("call"))
    assert used == ["settings", "constructor", "call"]


@pytest.mark.parametrize("configured", [FakeInterpreter(), 5])
def test_what_makes_no_interpreter_in_the_settings_is_refused_by_its_name(configured: Any) -> None:
    with (
        dspy.context(lm=ScriptedLM([]), interpreter_factory=configured),
        pytest.raises(TypeError, match=r"dspy\.settings\.interpreter_factory"),
    ):
        RLM("q -> a")(q="1")


def test_without_an_lm_inputs_are_looked_at_first() -> None:
    with pytest.raises(InputError, match="missing"):
        RLM("q -> a")()
    with pytest.raises(dspy.LMNotConfiguredError) as raised:
        RLM("q -> a")(q="1")
    assert isinstance(raised.value, ValueError)


@pytest.mark.parametrize("method", ["forward", "aforward"])
def test_a_predictor_that_asks_no_lm_needs_none(method: str) -> None:
    def act(self: Any, **kwargs: Any) -> dspy.Prediction:
        return dspy.Prediction(reasoning="", code="SUBMIT(a=q)")

    async def aact(self: Any, **kwargs: Any) -> dspy.Prediction:
        return act(self)

    rlm = RLM("q -> a", interpreter_factory=FakeInterpreter)
    kind = type("Fixed", (dspy.Predict,), {method: act if method == "forward" else aact})
    rlm.generate_action = kind(rlm.generate_action.signature)
    result = rlm(q="1") if method == "forward" else asyncio.run(rlm.acall(q="1"))
    assert result.a == "1"


def test_the_loss_of_the_sandbox_is_an_error_of_dspys_too() -> None:
    def gone() -> Sandbox:
        sandbox = Sandbox()
        sandbox.shutdown()
        return sandbox

    with pytest.raises(dspy.CodeInterpreterError, match="closed") as raised:
        _answer(RLM("q -> a", interpreter_factory=gone), "print(1)", q="1")
    assert isinstance(raised.value, SandboxError)
    assert raised.value.partial.run_id


def test_dspys_own_interpreter_is_used_where_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    monkeypatch.setattr(dspy.PythonInterpreter, "__init__", lambda self, *a, **k: made.append(self))
    with dspy.context(lm=ScriptedLM([]), interpreter_factory=FakeInterpreter), pytest.raises(Exception, match=r"."):
        RLM("q -> a", interpreter_factory=dspy.PythonInterpreter)(q="1")
    assert len(made) == 1


def test_set_lm_sets_the_root_and_sub_calls_without_an_lm_of_their_own() -> None:
    rlm = RLM("q -> a")
    rlm.set_lm(ScriptedLM([turn("SUBMIT(a=llm_query('x'))"), "root answered"]))
    assert rlm(q="1").a == "root answered"
    rlm.sub_lm = ScriptedLM(["sub answered"])
    rlm.set_lm(ScriptedLM([turn("SUBMIT(a=llm_query('x'))")]))
    assert rlm(q="1").a == "sub answered"


def test_copies_share_the_sub_lms() -> None:
    sub, named = ScriptedLM(), {"strong": ScriptedLM()}
    rlm = RLM("q -> a", sub_lm=sub, sub_lms=named)
    for copied in (copy.deepcopy(rlm), rlm.deepcopy(), rlm.reset_copy()):
        assert copied.sub_lm is sub
        assert copied is not rlm


def test_named_models_can_be_chosen() -> None:
    rlm = RLM("q -> a", sub_lm=ScriptedLM(["weak"]), sub_lms={"strong": ScriptedLM(["strong"])})
    lm = ScriptedLM([turn("SUBMIT(a=llm_query('x', model='strong') + llm_query('y'))")])
    with dspy.context(lm=lm):
        assert rlm(q="1").a == "strongweak"
    assert "`model` may be one of: 'strong'" in texts(lm.requests[0])[0][1]


def test_a_signature_that_is_changed_later_takes_effect() -> None:
    rlm = RLM("q -> a")
    rlm.generate_action.signature = rlm.generate_action.signature.with_instructions("Learned.")
    rlm.signature = "text -> count: int"
    prediction = _answer(rlm, "SUBMIT(count=len(text))", text="four")
    assert prediction.count == 4
    assert rlm.generate_action.signature.instructions == "Learned."
    assert "count" in rlm.extract.signature.output_fields
    with pytest.raises(ValueError, match="trajectory"):
        rlm.signature = "q -> trajectory"
    assert list(rlm.signature.output_fields) == ["count"]


def test_a_lost_sandbox_is_an_error_with_the_record() -> None:
    class Lost(FakeInterpreter):
        def execute(self, code: str, variables: dict[str, Any] | None = None) -> Any:
            if "die" in code:
                raise dspy.CodeInterpreterError("process gone")
            return super().execute(code, variables)

    rlm = RLM("q -> a", interpreter_factory=Lost)
    with pytest.raises(SandboxError, match="process gone") as raised:
        _answer(rlm, "print('found')", "die()", q="1")
    assert raised.value.partial.trajectory[0]["output"] == "found"
    assert raised.value.partial.run_id


def test_input_that_does_not_fit_is_refused() -> None:
    rlm = RLM("text -> a", interpreter_factory=lambda: Sandbox(memory_mb=64))
    with pytest.raises(InputError, match="MiB"):
        _answer(rlm, "SUBMIT(a='x')", text="x" * (40 << 20))


def test_the_prediction_is_json_as_dspy_rlms_is() -> None:
    import json

    prediction = _answer(RLM("q -> a", interpreter_factory=FakeInterpreter), "SUBMIT(a='x')", q="1")
    assert set(json.loads(json.dumps(prediction.toDict()))) == {"a", "trajectory", "final_reasoning"}


def test_a_fatal_error_names_a_mend() -> None:
    lm = ScriptedLM([turn("print(1)"), "garbage", fields(b=1)])
    with dspy.context(lm=lm), pytest.raises(FatalError, match="raise max_iters"):
        RLM("q -> a", max_iters=1, interpreter_factory=FakeInterpreter)(q="1")
