"""What dspy does with modules, done with an RLM."""

from __future__ import annotations

import asyncio
import io
from typing import Any

import dspy
import pytest
from dspy.primitives.code_interpreter import FinalOutput
from dspy.streaming import StatusMessage, StatusMessageProvider, StreamListener, StreamResponse
from dspy.utils.callback import BaseCallback

from rlm_module import RLM, Sandbox, capture_runs
from tests.fake_interpreter import FakeInterpreter
from tests.scripted import ScriptedLM, said, turn


def _echo_lm(**options: Any) -> ScriptedLM:
    return ScriptedLM(lambda request: turn("SUBMIT(answer=q)"), **options)


def _rlm(**options: Any) -> RLM:
    return RLM("q -> answer", interpreter_factory=FakeInterpreter, **options)


_EXAMPLES = [dspy.Example(q=str(i), answer=str(i)).with_inputs("q") for i in range(4)]


def test_batch_and_parallel_and_evaluate() -> None:
    rlm = _rlm()
    with dspy.context(lm=_echo_lm()), capture_runs() as runs:
        batch: Any = rlm.batch(_EXAMPLES, num_threads=2, disable_progress_bar=True)
        parallel = dspy.Parallel(num_threads=2, disable_progress_bar=True)([(rlm, example) for example in _EXAMPLES])
        evaluate = dspy.Evaluate(devset=_EXAMPLES, metric=lambda e, p, t=None: e.answer == p.answer, num_threads=2)
        score = evaluate(rlm).score
    assert [prediction.answer for prediction in batch] == ["0", "1", "2", "3"]
    assert [prediction.answer for prediction in parallel] == ["0", "1", "2", "3"]
    assert score == 100.0
    assert len(runs) == 12


def test_usage_agrees_with_dspys_tracker() -> None:
    def tool() -> str:
        return dspy.settings.lm("from the tool")[0]

    lm = ScriptedLM([turn("tool()\nllm_query_batched(['a', 'b'])"), "t", "A", "B", turn("SUBMIT(answer='x')")])
    rlm = _rlm(tools=[tool])
    with dspy.context(lm=lm, track_usage=True), dspy.track_usage() as tracker:
        prediction = rlm(q="1")
    total = tracker.get_total_tokens()["scripted/model"]
    assert (total["prompt_tokens"], total["completion_tokens"]) == (50, 25)
    assert (prediction.usage.total.prompt_tokens, prediction.usage.total.completion_tokens) == (50, 25)
    assert {role: usage.calls for role, usage in prediction.usage.by_role.items()} == {"root": 2, "tool": 1, "sub": 2}


def test_usage_is_set_on_the_prediction() -> None:
    with dspy.context(lm=_echo_lm(), track_usage=True):
        prediction = _rlm()(q="1")
    usage: Any = prediction.get_lm_usage()
    assert usage["scripted/model"]["total_tokens"] == 15


def test_a_second_run_from_the_cache_costs_nothing() -> None:
    with dspy.context(lm=_echo_lm(cache=True)):
        first, second = _rlm()(q="1"), _rlm()(q="1")
    assert first.usage.total.cached_calls == 0
    assert (second.usage.total.cached_calls, second.usage.total.tokens) == (1, 0)
    assert second.cost_usd == 0


def test_history_can_be_inspected() -> None:
    rlm = _rlm()
    with dspy.context(lm=ScriptedLM([turn("llm_query('sub prompt')"), "sub reply", turn("SUBMIT(answer='x')")])):
        rlm(q="1")
    shown = io.StringIO()
    rlm.inspect_history(n=3, file=shown)
    assert len(rlm.history) == 3
    assert "sub reply" in shown.getvalue()


def test_callbacks_see_the_module_its_predictor_and_its_lms() -> None:
    seen: list[str] = []

    class Callback(BaseCallback):
        def on_module_start(self, call_id: str, instance: Any, inputs: Any) -> None:
            seen.append(type(instance).__name__)

        def on_lm_end(self, call_id: str, outputs: Any, exception: Any = None) -> None:
            seen.append("lm")

        def on_adapter_parse_end(self, call_id: str, outputs: Any, exception: Any = None) -> None:
            seen.append("parse")

    with dspy.context(lm=_echo_lm(), callbacks=[Callback()]):
        _rlm()(q="1")
    assert seen == ["RLM", "ActPredict", "lm", "parse"]


class _Heard(BaseCallback):
    def __init__(self) -> None:
        self.heard: list[Any] = []

    def on_interpreter_startup_end(self, call_id: str, outputs: Any, exception: Any = None) -> None:
        self.heard.append("up")

    def on_interpreter_execute_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
        self.heard.append((type(instance).__name__, inputs["code"]))

    def on_interpreter_execute_end(self, call_id: str, outputs: Any, exception: Any = None) -> None:
        self.heard.append(outputs if exception is None else type(exception).__name__)

    def on_interpreter_shutdown_end(self, call_id: str, outputs: Any, exception: Any = None) -> None:
        self.heard.append("down")


@pytest.mark.parametrize("is_own", [True, False])
@pytest.mark.parametrize("is_async", [True, False])
def test_callbacks_hear_of_the_sandboxs_cells(is_own: bool, is_async: bool) -> None:
    heard = _Heard()
    rlm = RLM("q -> answer", interpreter_factory=lambda: Sandbox(callbacks=[heard] if is_own else None))
    cells = ["print(q)", "1 / 0", "x =", "SUBMIT(answer=q)"]
    with dspy.context(lm=ScriptedLM([turn(cell) for cell in cells]), callbacks=[] if is_own else [heard]):
        answer = asyncio.run(rlm.acall(q="1")) if is_async else rlm(q="1")
    assert answer.answer == "1"
    assert heard.heard[0] == "up"
    assert heard.heard[-1] == "down"
    told = heard.heard[1:-1]
    first = told.index(("Sandbox", "print(q)"))
    assert told[first:] == [
        ("Sandbox", "print(q)"),
        "1\n",
        ("Sandbox", "1 / 0"),
        "CodeExecutionError",
        ("Sandbox", "x ="),
        "SyntaxError",
        ("Sandbox", "SUBMIT(answer=q)"),
        FinalOutput({"answer": "1"}),
    ]


def test_predictors_are_found_by_name() -> None:
    class Program(dspy.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rlm = _rlm()

    assert [name for name, _ in Program().named_predictors()] == ["rlm.generate_action", "rlm.extract"]


def test_bootstrapping_collects_turns_as_demos() -> None:
    rlm = _rlm()
    optimizer = dspy.BootstrapFewShot(metric=lambda e, p, t=None: e.answer == p.answer, max_labeled_demos=2)
    with dspy.context(lm=_echo_lm()):
        compiled = optimizer.compile(rlm, trainset=_EXAMPLES)
    demos = compiled.dump_state()["generate_action"]["demos"]
    assert demos
    turns = [said for demo in demos for said in demo["turns"]]
    assert all(set(said) == {"request", "reasoning", "code"} for said in turns)
    lm = _echo_lm()
    with dspy.context(lm=lm):
        assert compiled(q="9").answer == "9"
    assert len(lm.requests[0].messages) == 1 + 2 * len(turns)


class _Provider(StatusMessageProvider):
    def tool_start_status_message(self, instance: Any, inputs: Any) -> str:
        return f"calling {instance.name}"

    def tool_end_status_message(self, outputs: Any) -> Any:
        return f"got {outputs}"


def _streamed(rlm: RLM, lm: ScriptedLM, **options: Any) -> list[Any]:
    async def main() -> list[Any]:
        stream: Any = dspy.streamify(rlm, **options)
        return [value async for value in stream(q="1")]

    with dspy.context(lm=lm):
        return asyncio.run(main())


@pytest.mark.parametrize("is_async", [False, True])
def test_status_messages_tell_of_tools_and_sub_calls(is_async: bool) -> None:
    def lookup(key: str) -> str:
        return f"value of {key}"

    lm = ScriptedLM([turn("lookup(key='k')\nllm_query('x')"), "sub", turn("SUBMIT(answer='x')")])
    values = _streamed(_rlm(tools=[lookup]), lm, status_message_provider=_Provider(), is_async_program=is_async)
    messages = [value.message for value in values if isinstance(value, StatusMessage)]
    assert messages == ["calling lookup", "got value of k", "calling llm_query", "got sub"]
    assert values[-1].answer == "x"


def test_reasoning_and_code_can_be_streamed() -> None:
    lm = ScriptedLM(
        [turn("x = llm_query('never streamed')", "First I look."), "sub", turn("SUBMIT(answer='x')", "Done.")]
    )
    listeners = [StreamListener(signature_field_name=name, allow_reuse=True) for name in ("reasoning", "code")]
    values = _streamed(_rlm(), lm, stream_listeners=listeners)
    chunks = [value for value in values if isinstance(value, StreamResponse)]
    spoken = "".join(chunk.chunk for chunk in chunks if chunk.signature_field_name == "reasoning")
    assert "First I look." in spoken
    assert "Done." in spoken
    assert values[-1].answer == "x"


def test_the_root_runs_where_the_caller_is() -> None:
    import threading

    lm = _echo_lm()
    with dspy.context(lm=lm):
        _rlm()(q="1")
    assert lm.script.threads == [threading.current_thread()]


def test_context_of_the_call_holds_in_sub_calls() -> None:
    rlm = _rlm()
    with dspy.context(lm=ScriptedLM([turn("SUBMIT(answer=llm_query('x'))"), "from the context"])):
        assert rlm(q="1").answer == "from the context"


def test_dspys_rlm_and_ours_take_the_same_request_for_the_sub_lm() -> None:
    sub = ScriptedLM(["a"])
    with dspy.context(lm=ScriptedLM([turn("SUBMIT(answer=llm_query('the prompt'))")])):
        _rlm(sub_lm=sub)(q="1")
    assert said(sub.requests[0]) == "the prompt"
