from __future__ import annotations

import inspect
import logging
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import dspy
import pytest
from dspy.primitives.code_interpreter import CodeExecutionError, CodeInterpreterError, FinalOutput

from rlm_module import RLM, SandboxError, SubcallError
from rlm_module.foreign import ForeignSession
from rlm_module.host.workers import Crew
from rlm_module.sandbox.base import HostCall, HostFunction, Setup
from tests.fake_interpreter import FakeInterpreter
from tests.scripted import ScriptedLM, texts, turn


class Canned(FakeInterpreter):
    """Answers every cell with the same result, or raises it."""

    def __init__(self, result: Any) -> None:
        super().__init__()
        self._result = result

    def execute(self, code: str, variables: dict[str, Any] | None = None) -> Any:
        self.variables.append(dict(variables or {}))
        if isinstance(self._result, BaseException):
            raise self._result
        return self._result


@pytest.fixture
def sessions() -> Iterator[list[ForeignSession]]:
    made: list[ForeignSession] = []
    yield made
    for session in made:
        session.close()


def _dispatch(call: HostCall) -> Future[Any]:
    future: Future[Any] = Future()
    future.set_result([call.function, call.args, call.kwargs])
    return future


def _session(sessions: list[ForeignSession], interpreter: Any, dispatch: Any = _dispatch) -> ForeignSession:
    signatures = {"lookup": inspect.Signature([inspect.Parameter("q", inspect.Parameter.POSITIONAL_OR_KEYWORD)])}
    session = ForeignSession(interpreter, Crew("foreign", 1), signatures, [{"name": "answer", "type": "str"}])
    session.start(Setup((HostFunction("lookup", "(q)"),), ("answer",)), dispatch).result(5)
    sessions.append(session)
    return session


def test_it_lives_on_one_thread(sessions: list[ForeignSession]) -> None:
    interpreter = FakeInterpreter()
    session = _session(sessions, interpreter)
    session.execute("x = 1").result(5)
    session.close()
    assert interpreter.threads == {"foreign"}
    assert interpreter.shutdowns == 1


def test_inputs_go_with_the_first_cell_only(sessions: list[ForeignSession]) -> None:
    interpreter = FakeInterpreter()
    session = _session(sessions, interpreter)
    session.load("x", [1]).result(5)
    assert session.execute("x.append(2)").result(5).error is None
    assert session.execute("print(x)").result(5).text == "[1, 2]"
    assert interpreter.variables == [{"x": [1]}, {}]


def test_inputs_are_sent_again_after_a_cell_that_is_no_python(sessions: list[ForeignSession]) -> None:
    session = _session(sessions, FakeInterpreter())
    session.load("x", 1).result(5)
    error = session.execute("print(").result(5).error
    assert error is not None
    assert error.kind == "syntax"
    assert session.execute("print(x)").result(5).text == "1"


@pytest.mark.parametrize(
    ("result", "text"),
    [
        (None, ""),
        ("out\n", "out"),
        (["a", 1], "a\n1"),
        (0, "0"),
        ([], "[]"),
        ("", "''"),
        (False, "False"),
        ({"a": 1}, "{'a': 1}"),
    ],
)
def test_no_result_is_lost(sessions: list[ForeignSession], result: Any, text: str) -> None:
    assert _session(sessions, Canned(result)).execute("x").result(5).text == text


@pytest.mark.parametrize(
    ("output", "final"),
    [({"answer": 1}, {"answer": 1}), ("bare", {"answer": "bare"}), ([1], {"answer": [1]})],
)
def test_a_submission_is_final(sessions: list[ForeignSession], output: Any, final: dict[str, Any]) -> None:
    assert _session(sessions, Canned(FinalOutput(output))).execute("x").result(5).final == final


def test_what_is_no_output_is_left_out_of_a_submission(sessions: list[ForeignSession]) -> None:
    final = FinalOutput({"answer": 1, "note": 2})
    assert _session(sessions, Canned(final)).execute("x").result(5).final == {"answer": 1}


def test_errors_of_the_code_are_its_result(sessions: list[ForeignSession]) -> None:
    result = _session(sessions, Canned(CodeExecutionError("KeyError: 'a'"))).execute("x").result(5)
    assert result.error is not None
    assert (result.error.kind, result.error.type, result.error.message) == ("exception", "KeyError", "'a'")


def test_a_lost_interpreter_is_an_error_of_this_package_and_of_dspy(sessions: list[ForeignSession]) -> None:
    error = _session(sessions, Canned(CodeInterpreterError("gone"))).execute("x").exception(5)
    assert isinstance(error, SandboxError)
    assert isinstance(error, CodeInterpreterError)


def test_host_functions_have_parameters_and_block(sessions: list[ForeignSession]) -> None:
    interpreter = FakeInterpreter()
    session = _session(sessions, interpreter)
    assert list(inspect.signature(interpreter.tools["lookup"]).parameters) == ["q"]
    assert session.execute("print(lookup(q=1))").result(5).text == "['lookup', (), {'q': 1}]"


def test_failed_items_of_a_batch_are_dicts_there_and_failed_calls_raise(sessions: list[ForeignSession]) -> None:
    def dispatch(call: HostCall) -> Future[Any]:
        future: Future[Any] = Future()
        if call.args == ("raise",):
            future.set_exception(SubcallError("lm", "down"))
        else:
            future.set_result(["a", SubcallError("timeout", "slow")])
        return future

    session = _session(sessions, FakeInterpreter(), dispatch)
    shown = session.execute("print(lookup('x'))").result(5).text
    assert shown == "['a', {'error': 'timeout', 'message': 'slow'}]"
    assert "SubcallError: lm: down" in session.execute("lookup('raise')").result(5).text


def test_closing_does_not_wait_for_a_cell_that_never_ends() -> None:
    begun, release = threading.Event(), threading.Event()

    class Stuck(FakeInterpreter):
        def execute(self, code: str, variables: dict[str, Any] | None = None) -> Any:
            begun.set()
            release.wait()

        def shutdown(self) -> None:
            super().shutdown()
            release.set()

    interpreter = Stuck()
    session = _session([], interpreter)
    session.execute("while True: pass")
    assert begun.wait(5)
    session.close()
    assert interpreter.shutdowns >= 1


def test_a_runtime_that_cannot_hold_sub_agents_runs_without_them(caplog: pytest.LogCaptureFixture) -> None:
    class Restricted(FakeInterpreter):
        def execute(self, code: str, variables: dict[str, Any] | None = None) -> Any:
            if "_dspy" in code:
                raise SyntaxError("names must not begin with an underscore")
            return super().execute(code, variables)

    lm = ScriptedLM([turn("SUBMIT(answer='x')")])
    with dspy.context(lm=lm), caplog.at_level(logging.WARNING):
        assert RLM("q -> answer", interpreter_factory=Restricted)(q="1").answer == "x"
    assert "cannot hold sub-agents" in caplog.text
    assert "import dspy" not in texts(lm.requests[0])[0][1]


def test_the_factorys_rules_are_told() -> None:
    def factory() -> FakeInterpreter:
        return FakeInterpreter()

    factory.execution_instructions = "No imports here."  # pyright: ignore[reportFunctionMemberAccess]
    lm = ScriptedLM([turn("SUBMIT(answer='x')")])
    with dspy.context(lm=lm):
        RLM("q -> answer", interpreter_factory=factory)(q="1")
    assert "No imports here." in texts(lm.requests[0])[0][1]


def test_an_interpreter_is_shut_down_however_the_run_ends() -> None:
    made: list[FakeInterpreter] = []

    def factory() -> FakeInterpreter:
        made.append(FakeInterpreter())
        return made[-1]

    rlm = RLM("q -> answer", interpreter_factory=factory)
    with dspy.context(lm=ScriptedLM([turn("SUBMIT(answer='x')")])):
        rlm(q="1")
    rlm.generate_action = lambda **_: 1 / 0
    with pytest.raises(ZeroDivisionError):
        rlm(q="1")
    assert [interpreter.shutdowns for interpreter in made] == [1, 1]


def test_local_interpreter_of_dspy_runs_a_whole_task() -> None:
    lm = ScriptedLM([turn("n = len(context)\nprint(n)"), turn("SUBMIT(answer=str(n + len(llm_query('x'))))"), "four"])
    with dspy.context(lm=lm):
        prediction = RLM("context -> answer", interpreter_factory=dspy.LocalInterpreter)(context="abc")
    assert prediction.answer == "7"
