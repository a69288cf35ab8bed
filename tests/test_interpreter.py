"""`Sandbox` as a dspy.CodeInterpreter: alone, and in the dspy modules that run code."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import dspy
import pytest
from dspy.primitives.code_interpreter import CodeExecutionError, CodeInterpreter, CodeInterpreterError, FinalOutput
from dspy.utils.callback import BaseCallback

from rlm_module import InputError, Sandbox
from tests.scripted import ScriptedLM, fields, turn


def add(a: int, b: int = 2) -> int:
    """Adds two numbers."""
    return a + b


def test_it_is_a_code_interpreter_that_keeps_its_state() -> None:
    with Sandbox() as sandbox:
        assert isinstance(sandbox, CodeInterpreter)
        sandbox.start()
        sandbox.start()
        assert sandbox.execute("x = 40") is None
        assert sandbox("print('hi')") == "hi\n"
        assert sandbox.execute("print('first')\nx + 2") == "first\n42"


@pytest.mark.parametrize("value", ["0", "[]", "{1, 2}", "10**30", "{}.keys()", "b'x'"])
def test_a_last_expression_comes_back_as_its_repr(value: str) -> None:
    with Sandbox() as sandbox:
        assert sandbox.execute(value) == repr(eval(value))


def test_errors_are_dspys_and_hold_what_was_printed() -> None:
    with Sandbox() as sandbox:
        with pytest.raises(CodeExecutionError, match=r"(?s)before.*ZeroDivisionError"):
            sandbox.execute("print('before')\n1 / 0")
        with pytest.raises(SyntaxError, match="invalid syntax"):
            sandbox.execute("def")
        with pytest.raises(CodeExecutionError, match="UnicodeDecodeError"):
            sandbox.execute(r"b'\xff'.decode()")
        assert sandbox.execute("1 + 1") == "2"


def test_submit_gives_a_final_output() -> None:
    with Sandbox() as sandbox:
        assert sandbox.execute("SUBMIT({'n': 2**70, 'kinds': {1}})") == FinalOutput(
            {"output": {"n": 2**70, "kinds": [1]}}
        )
        sandbox.output_fields = [{"name": "n", "type": "int"}, {"name": "kinds"}]
        assert sandbox.execute("SUBMIT(2**70, kinds={1})") == FinalOutput({"n": 2**70, "kinds": {1}})
        with pytest.raises(CodeExecutionError, match="misses 'kinds'"):
            sandbox.execute("SUBMIT(1)")


def test_tools_are_called_by_name_and_position_and_may_be_added_later() -> None:
    with Sandbox(tools={"add": add}) as sandbox:
        assert sandbox.execute("add(1), add(1, 5), add(b=1, a=2)") == "(3, 6, 3)"
        assert "Adds two numbers." in sandbox.execute("help(add)")
        sandbox.tools["twice"] = lambda text: text * 2
        assert sandbox.execute("twice(text='ab')") == "abab"
        with pytest.raises(CodeExecutionError, match="TypeError"):
            sandbox.execute("add()")


def test_async_tools_run_side_by_side() -> None:
    arrived = 0
    everyone = asyncio.Event()

    async def meet(n: int) -> int:
        nonlocal arrived
        arrived += 1
        if arrived == 20:
            everyone.set()
        await everyone.wait()
        return n

    with Sandbox(tools={"meet": meet}) as sandbox:
        assert (
            sandbox.execute("import asyncio\nsum(await asyncio.gather(*[meet.aio(n=n) for n in range(20)]))") == "190"
        )


def test_sync_tools_see_the_callers_dspy_settings() -> None:
    with Sandbox(tools={"which": lambda: dspy.settings.lm.model}) as sandbox, dspy.context(lm=ScriptedLM(model="a/b")):
        assert sandbox.execute("which()") == "a/b"


def test_a_variable_is_loaded_again_only_when_its_value_changed() -> None:
    rows = [1]
    with Sandbox() as sandbox:
        sandbox.execute("rows.append(2); text = text + '!'", variables={"rows": rows, "text": "hi"})
        assert sandbox.execute("rows, text", variables={"rows": rows, "text": "hi"}) == "([1, 2], 'hi!')"
        rows.append(5)
        assert sandbox.execute("rows, text", variables={"rows": rows, "text": "hi"}) == "([1, 5], 'hi!')"


def test_what_cannot_be_bound_is_dspys_error() -> None:
    with Sandbox() as sandbox:
        with pytest.raises(CodeInterpreterError, match="identifier"):
            sandbox.execute("1", variables={"no name": 1})
        with pytest.raises(CodeInterpreterError, match="cannot enter the sandbox"):
            sandbox.execute("1", variables={"x": object()})
        assert sandbox.execute("1") == "1"


def test_a_closed_sandbox_says_so() -> None:
    sandbox = Sandbox()
    sandbox.execute("1")
    sandbox.shutdown()
    sandbox.shutdown()
    with pytest.raises(CodeInterpreterError, match="closed"):
        sandbox.execute("1")


def test_a_tool_cannot_run_code_in_the_sandbox_that_waits_for_it() -> None:
    with Sandbox() as sandbox:
        sandbox.tools["again"] = lambda: sandbox.execute("1")
        with pytest.raises(CodeExecutionError, match="Sandbox of its own"):
            sandbox.execute("again()")
        assert sandbox.execute("2") == "2"


@pytest.mark.parametrize("limits", [{"memory_mb": 1}, {"cell_seconds": 0}, {"max_output_chars": 0}])
def test_limits_that_make_no_sense_are_refused(limits: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(limits))):
        Sandbox(**limits)


def test_callbacks_are_told_of_start_cells_tools_and_shutdown() -> None:
    class Recorder(BaseCallback):
        def __init__(self) -> None:
            self.seen: list[str] = []

        def on_interpreter_startup_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
            self.seen.append("start")

        def on_interpreter_execute_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
            self.seen.append(f"execute {inputs['code']}")

        def on_interpreter_tool_call_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
            self.seen.append(f"tool {inputs['tool_name']} {inputs['kwargs']}")

        def on_interpreter_shutdown_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
            self.seen.append("shutdown")

    recorder = Recorder()
    with Sandbox(tools={"add": add}, callbacks=[recorder]) as sandbox:
        sandbox.execute("add(1)")
    assert recorder.seen == ["execute add(1)", "start", "tool add {'a': 1}", "shutdown"]


def test_dspys_rlm_runs_on_it() -> None:
    lm = ScriptedLM([turn("print(len(context))"), turn("SUBMIT(answer=llm_query(context[:2]))")])
    rlm = dspy.RLM("context -> answer", interpreter_factory=Sandbox, sub_lm=ScriptedLM(["from the sub-LM"]))
    with dspy.context(lm=lm):
        prediction = rlm(context="hello")
    assert prediction.answer == "from the sub-LM"
    assert prediction.trajectory[0]["output"] == "5\n"


@pytest.mark.parametrize("text", ["plain", "", "a'b\"c\n", "naïve 🎉"])
def test_a_last_expression_that_is_text_comes_back_as_that_text(text: str) -> None:
    with Sandbox() as sandbox:
        assert sandbox.execute("text", variables={"text": text}) == text


def test_dspys_flex_runs_on_it() -> None:
    class Doubled(dspy.Signature):
        value: int = dspy.InputField()
        result: int = dspy.OutputField()

    lines = [
        "class Twice(dspy.Module):",
        "    def forward(self, value):",
        "        return dspy.Prediction(result=2 * value)",
    ]
    program = dspy.Flex(Doubled, interpreter_factory=Sandbox)
    program._bind_code("\n".join(lines))  # pyright: ignore[reportPrivateUsage] - code that a compile would write
    assert program(value=21).result == 42


def test_dspys_code_act_runs_on_it() -> None:
    lm = ScriptedLM(
        [fields(generated_code="```python\nprint(add(40))\n```", finished=True), fields(reasoning="r", answer=42)]
    )
    with pytest.warns(DeprecationWarning, match="3.5"):
        act = dspy.CodeAct("question -> answer: int", tools=[add], interpreter_factory=Sandbox)
    with dspy.context(lm=lm):
        assert act(question="40 + 2?").answer == 42
    assert any("42" in str(request) for request in lm.requests[1:])


def test_dspys_program_of_thought_runs_on_it() -> None:
    lm = ScriptedLM(
        [
            fields(reasoning="r", generated_code='```python\nSUBMIT({"answer": 6 * 7})\n```'),
            fields(reasoning="r", answer=42),
        ]
    )
    with pytest.warns(DeprecationWarning, match="3.5"):
        program = dspy.ProgramOfThought("question -> answer: int", interpreter_factory=Sandbox)
    with dspy.context(lm=lm):
        assert program(question="6 * 7?").answer == 42


def test_ctrl_c_while_a_cell_spins_leaves_no_process(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from rlm_module import Sandbox\n"
        "sandbox = Sandbox(tools={'here': lambda: print(sandbox.session.pid, flush=True)})\n"
        "try:\n"
        "    sandbox.execute('here()\\nwhile True: pass')\n"
        "except KeyboardInterrupt:\n"
        "    print('stopped', sandbox.session.pid, flush=True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as host:
        assert host.stdout is not None
        pid = int(host.stdout.readline())
        host.send_signal(signal.SIGINT)
        assert host.communicate(timeout=30)[0] == "stopped None\n"
    assert host.returncode == 0
    assert not Path(f"/proc/{pid}").exists() or sys.platform != "linux"
