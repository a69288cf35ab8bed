"""Runs that were cut off go on, and finished ones are run again offline: both out of their journal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING, Any

import dspy
from dspy.signatures.signature import make_signature

from rlm_module.budget import Budget
from rlm_module.errors import FatalError, InputError, RLMError
from rlm_module.events import AnyEvent, Diverged, RunFinished, RunStarted
from rlm_module.journal import Journal, RunFolder, load_input, read_run
from rlm_module.plan import LIMITS, OPTIONS, Plan, task_text
from rlm_module.root import RootRun, secrets_of
from rlm_module.runs import open_journal
from rlm_module.sandbox.host_calls import to_plain
from rlm_module.sandbox.record import plain

if TYPE_CHECKING:
    from rlm_module.module import RLM

_OPEN_ENDS = ("error", "cancelled")


def started(events: Sequence[AnyEvent], path: object) -> RunStarted:
    """The first event of a run's root.

    Raises:
        InputError: If the record ends before it.
    """
    found = next((event for event in events if isinstance(event, RunStarted) and not event.node), None)
    if found is None:
        raise InputError(f"{path} holds no more than the beginning of a run, so start a new one.")
    return found


def finished(events: Sequence[AnyEvent]) -> RunFinished | None:
    """The last event of a run's root, if it has ended with an answer."""
    ends = [event for event in events if isinstance(event, RunFinished) and not event.node]
    return ends[-1] if ends and ends[-1].reason not in _OPEN_ENDS else None


def stored_inputs(path: str | PathLike[str], start: RunStarted) -> dict[str, Any]:
    """The inputs of a run.

    Raises:
        InputError: If one was not kept.
    """
    if missing := sorted(start.inputs.keys() - start.stored.keys()):
        raise InputError(f"The journal {path} does not hold the inputs {', '.join(missing)}, so start a new run.")
    return {name: load_input(path, digest) for name, digest in start.stored.items()}


class Reopened:
    """A run that was cut off, ready to go on; it must be run, which closes it.

    Args:
        module: An RLM that is configured as the run's was.
        path: The run's folder.

    Raises:
        InputError: If the run is finished, another process writes to it, or the RLM is another one.
    """

    def __init__(self, module: RLM, path: str | PathLike[str]) -> None:
        start = started(read_run(path), path)
        _check_equal(module, start)
        self.module = module
        self.plan: Plan = module.plan(stored_inputs(path, start))
        folder = RunFolder.reopen(path, secrets=secrets_of(self.plan))
        try:
            events = read_run(path)  # again, since nobody else can write to it from now on
            end = finished(events)
            if end is not None:
                raise InputError(f"The run {start.run_id} is finished ({end.reason}): `rlm show` has its answer.")
        except BaseException:
            folder.close()
            raise
        self.journal: Journal = open_journal(start.run_id, module, store=folder, earlier=events)


def rebuilt(path: str | PathLike[str], kind: type[RLM]) -> RLM:
    """An RLM for a run, out of its journal alone.

    Raises:
        InputError: If the run needs tools, types or LMs that a journal cannot hold.
    """
    start = started(read_run(path), path)
    known = start.settings
    lacking = [f"the {what} {', '.join(known[what])}" for what in ("tools", "types", "models") if known.get(what)]
    lacking += [f"the sub_lm {known['sub_lm']}"] if known.get("sub_lm") else []
    lacking += ["what its RLM had learned"] if known.get("has_learned") else []
    if lacking:
        raise InputError(
            f"The run {start.run_id} needs {' and '.join(lacking)}, which no journal holds: build the RLM with them "
            "and call resume on it."
        )
    options = {name: known[name] for name in (*LIMITS, *OPTIONS) if name in known}
    task: Any = make_signature(start.fields, start.instructions, signature_name=start.task)
    return kind(task, budget=_budget(known), **options)


@dataclass(frozen=True, slots=True)
class Replay:
    """How running a recorded run again went, without any LM.

    Args:
        outputs: What came out now; empty where nothing did.
        recorded: What came out then; None where the record ends before that.
        fault: Where it did not repeat itself, or what was missing; None where all was the same.
    """

    outputs: Mapping[str, Any]
    recorded: Mapping[str, Any] | None
    fault: str | None

    @property
    def is_same(self) -> bool:
        """Whether the answer is the same."""
        return self.fault is None and self.recorded is not None and _flat(self.outputs) == _flat(self.recorded)


def replay_run(path: str | PathLike[str]) -> Replay:
    """Runs a recorded run again offline: its cells in a new sandbox, its LM turns and host calls out of the record.

    Args:
        path: The run's folder.

    Raises:
        InputError: If there is no such run, or its inputs were not kept.
    """
    from rlm_module.module import RLM

    events = read_run(path)
    start, end = started(events, path), finished(events)
    known = start.settings
    limits = {name: known[name] for name in LIMITS}
    # Types of the user's are not known here: their values are compared as plain ones.
    any_types: dict[str, Any] = dict.fromkeys(known.get("types", ()), Any)
    task: Any = make_signature(
        start.fields,
        start.instructions,
        signature_name=start.task,
        custom_types=any_types,
    )
    nobody = NoModel()
    tools = [dspy.Tool(nobody, name=name, desc="", args={}, arg_types={}) for name in known.get("tools", ())]
    rlm = RLM(task, tools=tools, sub_lms=dict.fromkeys(known.get("models", ()), nobody), **limits)
    rlm.set_lm(nobody)
    journal = Journal(start.run_id, earlier=[e for e in events if not isinstance(e, RunFinished)])
    recorded = None if end is None else end.outputs
    try:
        prediction = RootRun(rlm, rlm.plan(stored_inputs(path, start)), journal=journal).run()
    except (FatalError, ReplayError) as error:
        return Replay({}, recorded, _fault(journal) or str(error))
    outputs = {name: prediction[name] for name in task.output_fields}
    return Replay(outputs, recorded, _fault(journal))


class NoModel(dspy.BaseLM):
    """Stands in for the LM of a replay, which is never asked."""

    def __init__(self) -> None:
        super().__init__("replay/none", cache=False)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise ReplayError("the record ends here")


class ReplayError(RLMError):
    """A replay wants something that is not on record."""


def _check_equal(module: RLM, start: RunStarted) -> None:
    mine = task_text(module.signature)
    if mine != start.fields:
        raise InputError(
            f"The run {start.run_id} has the signature {start.fields!r}, this RLM has {mine!r}; resume it with its own."
        )
    if module.signature.instructions != start.instructions:
        raise InputError(f"The run {start.run_id} has other instructions than this RLM; resume it with its own.")
    missing = sorted(set(start.settings.get("tools", ())) - module.tools.keys())
    if missing:
        raise InputError(
            f"The run {start.run_id} has the tools {', '.join(missing)}, which this RLM lacks; give them, too."
        )


def _budget(known: Mapping[str, Any]) -> Budget:
    limits: dict[str, Any] = dict(known.get("budget") or {})
    limits["prices"] = {name: tuple(price) for name, price in limits.get("prices", {}).items()}
    return Budget(**limits)


def _fault(journal: Journal) -> str | None:
    diverged = next((event for event in journal.events if isinstance(event, Diverged)), None)
    return None if diverged is None else f"Turn {diverged.turn} did not repeat itself: {diverged.what}."


def _flat(value: Any) -> Any:
    return plain(to_plain(value)) if not isinstance(value, Mapping) else {k: _flat(v) for k, v in value.items()}
