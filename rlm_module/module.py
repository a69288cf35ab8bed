"""`RLM`: a Recursive Language Model as a `dspy.Module`."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import dspy
from dspy.primitives.code_interpreter import CodeInterpreter

from rlm_module.budget import UNLIMITED, Budget
from rlm_module.copying import copied
from rlm_module.errors import InputError
from rlm_module.host.subcalls import Models
from rlm_module.host.tools import HostTool, check_names, normalize_tools
from rlm_module.interpreter import Sandbox
from rlm_module.options import SubLMs, check_factory, check_lm, check_options, journal_folder
from rlm_module.plan import Plan, Predictors
from rlm_module.prompting import states
from rlm_module.prompting.predictors import (
    ActPredict,
    ExtractPredict,
    asks_an_lm,
    pack_signature,
    takes_signature,
    unpack_signature,
)
from rlm_module.prompting.wording import Wording
from rlm_module.resuming import Reopened, rebuilt
from rlm_module.root import RootRun
from rlm_module.runs import RunPrediction
from rlm_module.signatures import act_signature, extract_signature
from rlm_module.signatures.inputs import entering

# What copies of an RLM have in common with it.
_SHARED = ("_models", "_tools", "_interpreter_factory", "_task")


class NoLMError(dspy.LMNotConfiguredError, ValueError):
    """There is no LM; also the kind of error that a predictor of dspy's raises then."""


class _OnInstanceOrClass:
    """A method that knows whether it was called on an RLM or on the class, and gets either."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self.__doc__ = function.__doc__

    def __get__(self, instance: Any, owner: type) -> Callable[..., Any]:
        return functools.partial(self._function, owner if instance is None else instance)


class RLM(dspy.Module):
    """Answers over inputs of any size: a root LM writes Python that explores them in a sandbox, calls sub-LMs on pieces
    of them, and submits a typed answer (Zhang, Kraska, Khattab, arXiv 2512.24601). A drop-in for `dspy.RLM`;
    `docs/differences.md` lists what differs.

    Args:
        signature: Inputs and outputs, as "context, query -> answer" or a `dspy.Signature` class.
        max_iters: Turns of the root LM.
        max_llm_calls: Sub-LM calls in one run, those of sub-agents included.
        max_output_chars: Characters of a cell's output that the root LM is shown.
        verbose: Whether turns are logged.
        tools: Functions, callable objects or `dspy.Tool` objects that generated code may call by name.
        sub_lm: LM of sub-calls; any callable that takes a prompt will do. Default: the root's.
        interpreter_factory: Makes a new interpreter for each run. Default: the one dspy is configured with, else
            `Sandbox`.
        max_depth: Depth of the run tree, as the paper counts it: 0 for a REPL alone, 1 for sub-LM calls, 2 and more
            for child RLMs (`rlm_query`), whose own children are sub-LM calls at last.
        sub_lms: More LMs for sub-calls, by the names that generated code chooses them by.
        budget: What the whole tree may cost, in money, tokens and time.
        concurrency: Sub-calls in flight at once, in the whole tree.
        tool_seconds: Longest time in seconds that a tool may take.
        journal: Folder in which each run is recorded, to be resumed, shown, replayed and exported. Default: runs are
            kept in memory only.
        escalate_to: A name of `sub_lms`: that LM takes the turn after three cells in a row that failed.
        compact_at: Share of the root LM's context window at which older turns are shortened.

    Raises:
        InputError: If a limit, a budget, an LM or a name makes no sense.
        TypeError: If tools or the factory are of a wrong type.
        ValueError: If names of inputs, outputs and tools clash.
    """

    def __init__(
        self,
        signature: type[dspy.Signature] | str,
        max_iters: int = 20,
        max_llm_calls: int = 50,
        max_output_chars: int = 10_000,
        verbose: bool = False,
        tools: list[Callable[..., Any] | dspy.Tool] | None = None,
        sub_lm: Any = None,
        interpreter_factory: Callable[[], CodeInterpreter] | None = None,
        *,
        max_depth: int = 1,
        sub_lms: Mapping[str, Any] | None = None,
        budget: Budget | None = None,
        concurrency: int = 16,
        tool_seconds: float = 180.0,
        journal: str | Path | None = None,
        escalate_to: str | None = None,
        compact_at: float = 0.8,
    ) -> None:
        super().__init__()
        if interpreter_factory is not None:
            check_factory(interpreter_factory)
        self.max_iters = max_iters
        self.max_llm_calls = max_llm_calls
        self.max_output_chars = max_output_chars
        self.verbose = verbose
        self.max_depth = max_depth
        self.concurrency = concurrency
        self.tool_seconds = tool_seconds
        self.budget = UNLIMITED if budget is None else budget
        self.journal = journal_folder(journal)
        self.escalate_to = escalate_to
        self.compact_at = compact_at
        self._models = SubLMs(sub_lm, {} if sub_lms is None else sub_lms)
        check_options(self, self._models)
        self._interpreter_factory = interpreter_factory
        self._tools = normalize_tools(tools)
        self._task = _signature(signature)
        check_names(self._task, self._tools)
        self.generate_action: Any = ActPredict(act_signature(self._task))
        self.extract: Any = ExtractPredict(extract_signature(self._task))
        self.wording = Wording()

    @property
    def signature(self) -> type[dspy.Signature]:
        """Inputs and outputs; a new one may be set, and what the predictors have learned stays."""
        return self._task

    @signature.setter
    def signature(self, signature: type[dspy.Signature] | str) -> None:
        task = _signature(signature)
        check_names(task, self._tools)
        self._task = task
        if isinstance(self.generate_action, ActPredict):
            strategy = self.generate_action.signature.instructions
            self.generate_action.signature = act_signature(task).with_instructions(strategy)
        if isinstance(self.extract, ExtractPredict):
            self.extract.signature = extract_signature(task, self.extract.signature.instructions)

    @property
    def tools(self) -> dict[str, dspy.Tool]:
        """The user's tools by name."""
        return dict(self._tools)

    @property
    def sub_lm(self) -> Any:
        """The LM given for sub-calls, None where they go to the root's."""
        return self._models.default

    @sub_lm.setter
    def sub_lm(self, lm: Any) -> None:
        self._models = SubLMs(lm, self._models.named)

    def forward(
        self, *, interpreter_factory: Callable[[], CodeInterpreter] | None = None, **inputs: Any
    ) -> RunPrediction:
        """Runs it.

        Args:
            interpreter_factory: Makes the interpreter of this run instead of the one given before.
            **inputs: A value for each input of the signature that has no default.

        Returns:
            The outputs, with `trajectory`, `final_reasoning`, `termination_reason`, `usage`, `cost_usd`, `run_id` and
            `run`.

        Raises:
            InputError: If an input is missing, unknown, or cannot enter the sandbox.
            SandboxError: If the sandbox cannot be started or kept alive.
            FatalError: If the run ends without an answer; its `.partial` is the run.
        """
        return RootRun(self, self.plan(inputs, interpreter_factory)).run()

    async def aforward(
        self, *, interpreter_factory: Callable[[], CodeInterpreter] | None = None, **inputs: Any
    ) -> RunPrediction:
        """The same without blocking the event loop; cancelling it ends the sandbox and all that is in flight."""
        plan = self.plan(inputs, interpreter_factory)
        return await RootRun(self, plan, asyncio.get_running_loop()).arun()

    def plan(self, inputs: Mapping[str, Any], factory: Callable[[], CodeInterpreter] | None = None) -> Plan:
        """What a run over these inputs is made of, by the settings of now.

        Args:
            inputs: A value for each input that has no default.
            factory: Makes the interpreter instead of the one given before.

        Raises:
            InputError: If an input is missing or unknown, or an attribute was set to what makes no sense.
        """
        check_options(self, self._models)
        if factory is not None:
            check_factory(factory)
        given = _complete(self._task, inputs)
        configured = dspy.settings.get("interpreter_factory")
        if configured is not None:
            check_factory(configured, "dspy.settings.interpreter_factory")
        own_lm = getattr(self.generate_action, "lm", None)
        root_lm = own_lm if own_lm is not None else dspy.settings.lm
        if asks_an_lm(self.generate_action):
            if root_lm is None:
                raise NoLMError("No LM is configured; call dspy.configure(lm=dspy.LM(...)) or rlm.set_lm(lm).")
            check_lm("The root LM", root_lm)
        sub_lm = self._models.default if self._models.default is not None else root_lm
        models = Models(sub_lm, self._models.named, self.wording.sub_calls).resampled_as(root_lm)
        return Plan(
            task=self._task,
            inputs=given,
            predictors=Predictors(self.generate_action, self._act_signature(), self.extract),
            child_predictors=self._child_predictors,
            factory=factory or self._interpreter_factory or configured or Sandbox,
            tools={name: HostTool.of(tool, self.wording.tools.get(name)) for name, tool in self._tools.items()},
            models=models if self.max_depth else None,
            max_depth=self.max_depth,
            max_iters=self.max_iters,
            max_llm_calls=self.max_llm_calls,
            max_output_chars=self.max_output_chars,
            concurrency=self.concurrency,
            tool_seconds=self.tool_seconds,
            verbose=self.verbose,
            budget=self.budget,
            strong_lm=models.named[self.escalate_to] if self.escalate_to else None,
            compact_at=self.compact_at,
            journal=journal_folder(self.journal),
        )

    def _act_signature(self) -> type[dspy.Signature] | None:
        """The root predictor's own signature, which carries its strategy; None where it takes none per call."""
        if not takes_signature(self.generate_action):
            return None
        own = getattr(self.generate_action, "signature", None)
        return own if own is not None else act_signature(self._task)

    def _child_predictors(self, task: type[dspy.Signature]) -> Predictors:
        """What speaks for a child: the same strategy, without demos of another task."""
        signature = act_signature(task)
        strategy = getattr(getattr(self.generate_action, "signature", None), "instructions", None)
        if isinstance(self.generate_action, ActPredict) and strategy:
            signature = signature.with_instructions(strategy)
        return Predictors(ActPredict(signature), signature, ExtractPredict(extract_signature(task)))

    @_OnInstanceOrClass
    def resume(target: Any, path: str | PathLike[str]) -> RunPrediction:
        """Goes on with a run that was killed, stopped or failed, and pays for nothing twice.

        On an RLM that is configured as the run's was, or on the class itself for a run without tools, types or named
        LMs of its own: `RLM.resume("runs/…")`.

        Args:
            path: The run's folder.

        Raises:
            InputError: If the run is finished, or is another RLM's.
            FatalError: If it ends without an answer again.
        """
        reopened = _reopened(target, path)
        return RootRun(reopened.module, reopened.plan, journal=reopened.journal).run()

    @_OnInstanceOrClass
    async def aresume(target: Any, path: str | PathLike[str]) -> RunPrediction:
        """The same without blocking the event loop."""
        reopened = await asyncio.to_thread(_reopened, target, path)
        loop = asyncio.get_running_loop()
        return await RootRun(reopened.module, reopened.plan, loop, reopened.journal).arun()

    def load_state(self, state: Any, *, allow_unsafe_lm_state: bool = False) -> None:
        """Takes over what an RLM has learned; raises `InputError` for what another program or version has."""
        states.check_names(state, (name for name, _ in self.named_parameters()))
        super().load_state(state, allow_unsafe_lm_state=allow_unsafe_lm_state)

    def load(self, path: str | PathLike[str], allow_pickle: bool = False, allow_unsafe_lm_state: bool = False) -> None:
        """Takes over what `save` wrote; raises `InputError` for any other JSON."""
        states.check_file(path)
        super().load(path, allow_pickle, allow_unsafe_lm_state)

    def __deepcopy__(self, memo: dict[int, Any]) -> RLM:
        """A copy that shares the tools, the LMs and what makes interpreters, which need not be copyable."""
        made = memo[id(self)] = type(self).__new__(type(self))
        memo |= {id(lm): lm for predictor in self.predictors() if (lm := getattr(predictor, "lm", None)) is not None}
        state = {name: value if name in _SHARED else copied(value, memo) for name, value in self.__getstate__().items()}
        made.__setstate__({**state, "_tools": dict(self._tools)})
        return made

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_task": pack_signature(self._task)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__({**state, "_task": unpack_signature(state["_task"])})


def _signature(signature: type[dspy.Signature] | str) -> type[dspy.Signature]:
    made: Any = dspy.ensure_signature(signature)
    return made


def _complete(task: type[dspy.Signature], inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs in the signature's order, as their fields' input types, with defaults for those left out."""
    fields = task.input_fields
    if unknown := sorted(inputs.keys() - fields.keys()):
        raise InputError(f"The signature has no input {', '.join(unknown)}; it takes {', '.join(fields)}.")
    missing = [name for name, field in fields.items() if name not in inputs and field.is_required()]
    if missing:
        raise InputError(f"The inputs {', '.join(missing)} are missing; pass each by name.")
    return {
        name: entering(
            field.annotation, inputs[name] if name in inputs else field.get_default(call_default_factory=True)
        )
        for name, field in fields.items()
    }


def _reopened(target: RLM | type[RLM], path: str | PathLike[str]) -> Reopened:
    return Reopened(target if isinstance(target, RLM) else rebuilt(path, target), path)
