"""One run: opens its session beside the first LM call, offers it the host's functions, and ends all it started."""

from __future__ import annotations

import asyncio
import base64
import logging
import time
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import dspy
from dspy.primitives.code_interpreter import SIMPLE_TYPES, CodeInterpreter
from dspy.primitives.sandbox_serializable import SandboxSerializable

from rlm_module.agents import MakeChild, SubAgents
from rlm_module.budget import Ledger
from rlm_module.calls import Calls
from rlm_module.contract import Contract
from rlm_module.errors import InputError
from rlm_module.events import RunFinished, RunStarted, TerminationReason
from rlm_module.foreign import ForeignSession
from rlm_module.interpreter import Sandbox
from rlm_module.loop import Outcome, Steps, TurnLoop, Wait, adrive, drive
from rlm_module.previews import describe_input, one_line
from rlm_module.queries import Queries
from rlm_module.runs import Run, RunPrediction, open_journal
from rlm_module.sandbox.base import Session, Setup
from rlm_module.shown import encodable
from rlm_module.streams import inherit_stream
from rlm_module.subcalls import Models
from rlm_module.tools import HostTool
from rlm_module.workers import Crew

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a run is made of, with everything resolved that may depend on settings.

    Args:
        module: The RLM.
        task: Its signature.
        inputs: A value for each of the task's inputs.
        act: The root predictor.
        act_signature: Its signature, to which the contract is appended; None where it takes none.
        extract: Draws up an answer where none was submitted.
        factory: Makes the interpreter.
        tools: The user's tools by name.
        models: Sub-LMs; None for a run without sub-calls and sub-agents.
        make_child: Builds the RLM of a sub-agent.
        max_iters: Turns.
        max_llm_calls: Sub-calls.
        max_output_chars: Characters of a cell's output that are shown.
        concurrency: Sub-calls in flight.
        tool_seconds: Longest time a tool may take.
        verbose: Whether turns are logged.
    """

    module: dspy.Module
    task: type[dspy.Signature]
    inputs: Mapping[str, Any]
    act: Callable[..., Any]
    act_signature: type[dspy.Signature] | None
    extract: Callable[..., Any]
    factory: Callable[[], CodeInterpreter]
    tools: Mapping[str, HostTool]
    models: Models | None
    make_child: MakeChild
    max_iters: int
    max_llm_calls: int
    max_output_chars: int
    concurrency: int
    tool_seconds: float
    verbose: bool


@dataclass(frozen=True, slots=True)
class _Opened:
    session: Session
    runtime: str
    is_own: bool


@dataclass(slots=True)
class _State:
    """What of a run changes."""

    closed: bool = False
    opened: _Opened | None = None
    loop: TurnLoop | None = None
    agents: SubAgents | None = None
    started: float = field(default_factory=time.monotonic)


class Execution:
    """A run from its start to its end.

    Args:
        plan: What it is made of.
        loop: The caller's event loop, where the caller is async.
    """

    def __init__(self, plan: Plan, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self._plan = plan
        self._state = _State()
        run_id = uuid.uuid4().hex
        prepare = inherit_stream()
        self._journal = open_journal(run_id, plan.module)
        self._ledger = Ledger(plan.max_llm_calls if plan.models else 0)
        self._calls = Calls(
            self._ledger,
            self._journal,
            concurrency=plan.concurrency,
            tool_seconds=plan.tool_seconds,
            loop=loop,
            prepare=prepare,
        )
        self._interpreter_thread = Crew("rlm-interpreter", 1)
        self._threads = Crew("rlm-run", 2, prepare=prepare)

    def run(self) -> RunPrediction:
        """Runs it on this thread.

        Raises:
            FatalError: If it ends without an answer.
        """
        steps = self._steps()
        try:
            return self._succeeded(drive(steps, self._calls.coroutines))
        except BaseException as error:
            self._failed(error)
            raise
        finally:
            steps.close()
            self._close()

    async def arun(self) -> RunPrediction:
        """Runs it without blocking the caller's event loop.

        Raises:
            FatalError: If it ends without an answer.
        """
        steps = self._steps()
        try:
            return self._succeeded(await adrive(steps, self._threads))
        except BaseException as error:
            self._failed(error)
            raise
        finally:
            steps.close()
            closer = Crew("rlm-close", 1)
            closing = closer.submit(self._close)
            closer.close_when_idle()
            await asyncio.shield(asyncio.wrap_future(closing))

    def _steps(self) -> Steps[Outcome]:
        plan = self._plan
        self._journal.record(
            RunStarted(
                run_id=self._journal.run_id,
                task=plan.task.__name__,
                inputs={name: one_line(value) for name, value in plan.inputs.items()},
                max_iters=plan.max_iters,
                max_llm_calls=self._ledger.max_calls,
            )
        )
        self._offer_functions()
        opened: _Opened = yield Wait(self._interpreter_thread.submit(self._open))
        ready = self._threads.submit(lambda: self._boot(opened.session))
        if not opened.is_own and self._state.agents is not None:
            yield Wait(ready)  # whether it can hold sub-agents decides what the model is told
        loop = self._state.loop = self._turn_loop(opened, ready)
        return (yield from loop.steps())

    def _offer_functions(self) -> None:
        plan = self._plan
        for tool in plan.tools.values():
            self._calls.add_tool(tool)
        if plan.models is None:
            return
        Queries(self._calls, plan.models)
        self._state.agents = SubAgents(
            self._calls, plan.tools, plan.factory, plan.models.default, plan.make_child, self._journal.run_id
        )

    def _open(self) -> _Opened:
        """Makes the interpreter, on the thread that is its own."""
        factory = self._plan.factory
        interpreter: Any = factory()
        if not isinstance(interpreter, CodeInterpreter):
            raise TypeError(
                f"interpreter_factory must return a dspy.CodeInterpreter, not {type(interpreter).__name__}; "
                "return a new interpreter from it."
            )
        runtime = getattr(factory, "execution_instructions", None) or getattr(interpreter, "execution_instructions", "")
        if not isinstance(runtime, str):
            raise TypeError("execution_instructions of an interpreter_factory must be a str.")
        session: Session
        if isinstance(interpreter, Sandbox):
            interpreter.session.check_fits(self._plan.inputs)
            session = interpreter.session
        else:
            signatures = {name: function.signature for name, function in self._calls.functions.items()}
            fields = [_described(name, info) for name, info in self._plan.task.output_fields.items()]
            session = ForeignSession(interpreter, self._interpreter_thread, signatures, fields)
        self._state.opened = _Opened(session, runtime, isinstance(interpreter, Sandbox))
        if self._state.closed:
            session.close()
        return self._state.opened

    def _boot(self, session: Session) -> None:
        functions = tuple(function.host_function for function in self._calls.functions.values())
        seed = int(self._journal.run_id[:12], 16)
        session.start(Setup(functions, tuple(self._plan.task.output_fields), seed), self._calls).result()
        if self._state.agents is not None:
            # An interpreter of another kind may not be able to hold them, which it has to show now.
            code = self._state.agents.setup_code(at_first_use=not isinstance(session, ForeignSession))
            installed = session.execute(code).result()
            if installed.error is not None:
                logger.warning(
                    "This interpreter cannot hold sub-agents, so this run has none: %s", installed.error.message
                )
                self._state.agents = None
        for name, value in self._plan.inputs.items():
            if isinstance(value, SandboxSerializable):
                _load_serializable(session, name, value)
            else:
                session.load(name, value).result()

    def _turn_loop(self, opened: _Opened, ready: Future[Any]) -> TurnLoop:
        plan = self._plan
        contract = Contract(
            task=plan.task,
            functions=self._calls.functions,
            tools=plan.tools,
            models=tuple(plan.models.named) if plan.models else (),
            max_iters=plan.max_iters,
            max_llm_calls=plan.max_llm_calls,
            max_output_chars=plan.max_output_chars,
            runtime=opened.runtime,
            is_own_sandbox=opened.is_own,
            has_sub_agents=self._state.agents is not None,
        )
        signature = plan.act_signature
        if signature is not None:
            signature = signature.with_instructions(f"{signature.instructions}\n\n{contract.text()}")
        return TurnLoop(
            task=plan.task,
            inputs=plan.inputs,
            introduction=introduction(plan.task, plan.inputs),
            act=plan.act,
            act_signature=signature,
            extract=plan.extract,
            session=opened.session,
            ready=ready,
            ledger=self._ledger,
            journal=self._journal,
            max_iters=plan.max_iters,
            max_output_chars=plan.max_output_chars,
            verbose=plan.verbose,
        )

    def _succeeded(self, outcome: Outcome) -> RunPrediction:
        return RunPrediction.of(self._finish(outcome))

    def _failed(self, error: BaseException) -> None:
        reason: TerminationReason = "error" if isinstance(error, Exception) else "cancelled"
        run = self._finish(Outcome({}, reason, ""))
        # Whatever is raised carries the record, errors of a user's own predictor or LM included.
        if getattr(error, "partial", None) is None:
            with suppress(AttributeError):
                error.partial = run  # pyright: ignore[reportAttributeAccessIssue]

    def _finish(self, outcome: Outcome) -> Run:
        seconds = time.monotonic() - self._state.started
        report = self._ledger.report()
        self._journal.record(
            RunFinished(
                run_id=self._journal.run_id,
                reason=outcome.reason,
                outputs=outcome.outputs,
                seconds=seconds,
                usage=report.total,
            )
        )
        return Run(
            run_id=self._journal.run_id,
            path=self._journal.path,
            termination_reason=outcome.reason,
            outputs=outcome.outputs,
            trajectory=tuple(self._state.loop.trajectory) if self._state.loop else (),
            final_reasoning=outcome.reasoning,
            usage=report,
            seconds=seconds,
            events=self._journal.events,
        )

    def _close(self) -> None:
        self._state.closed = True
        if self._state.opened is not None:
            self._state.opened.session.close()
        self._calls.close()
        self._interpreter_thread.close()
        self._threads.close()


def introduction(task: type[dspy.Signature], inputs: Mapping[str, Any]) -> str:
    """The first request of a run: what is asked, and a glimpse of each input."""
    described = (describe_input(name, inputs[name], task.input_fields[name]) for name in task.input_fields)
    return "\n".join([encodable(task.instructions), "", "Inputs, as variables of the REPL:", *described])


def _described(name: str, info: Any) -> dict[str, Any]:
    simple = info.annotation in SIMPLE_TYPES
    return {"name": name, "type": info.annotation.__name__} if simple else {"name": name}


def _load_serializable(session: Session, name: str, value: SandboxSerializable) -> None:
    """Brings a value into the sandbox the way it asks for: its payload as a variable, then its own code."""
    raw = f"_raw_{name}"
    payload: Any = value.to_sandbox()  # bytes by its type, but dspy takes text as well
    lines: list[str] = []
    try:
        text = payload.decode() if isinstance(payload, bytes) else str(payload)
    except UnicodeDecodeError:
        session.load(f"{raw}_base64", base64.b64encode(payload).decode()).result()
        lines += ["import base64", f"{raw} = base64.b64decode({raw}_base64)"]
    else:
        session.load(raw, text).result()
    setup = value.sandbox_setup()
    lines += [setup] if setup else []
    result = session.execute("\n".join([*lines, value.sandbox_assignment(name, raw)])).result()
    if result.error is not None:
        raise InputError(
            f"Input {name!r} could not be set up in the sandbox ({result.error.type}: {result.error.message}); "
            f"check {type(value).__name__}'s sandbox_setup and sandbox_assignment, or use an interpreter they work in."
        )
