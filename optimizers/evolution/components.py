"""The texts of a program that may be learned, read out of it and put into copies of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import dspy

from rlm_module import RLM
from rlm_module.errors import InputError
from rlm_module.optimizers.paths import modules_of, open_rlms
from rlm_module.optimizers.reach import require_reach

Kind = Literal["strategy", "extract", "tools", "sub_calls", "predictor"]
"""What a text is: one of an RLM's, or the instructions of a plain predictor."""
LEARNABLE = ("strategy", "extract", "tools", "sub_calls")
"""What of an RLM may be learned."""


@dataclass(frozen=True, slots=True)
class Component:
    """One text of a program.

    Args:
        name: Its name among the program's components.
        owner: Where its RLM or predictor stands in the program; empty where the program is the RLM.
        kind: What it is.
        tool: The tool that it describes.
    """

    name: str
    owner: str
    kind: Kind
    tool: str = ""


class Components:
    """Those of a program.

    Args:
        program: It; parts of it that are marked as compiled are left as they are.
        learn: What of its RLMs may be learned.

    Raises:
        InputError: If there is nothing to learn in it, or what is learned could not be saved.
    """

    def __init__(self, program: dspy.Module, learn: Sequence[str] = LEARNABLE) -> None:
        require_reach(program)
        found: list[Component] = []
        self.rlms = open_rlms(program)
        for owner, rlm in self.rlms.items():
            found += [part for part in _of_rlm(owner, rlm) if part.kind in learn]
        inner = {id(predictor) for rlm in self.rlms.values() for predictor in rlm.predictors()}
        self.predictors = [name for name, p in program.named_predictors() if id(p) not in inner and _has_text(p)]
        found += [Component(name, name, "predictor") for name in self.predictors]
        if not found and self.rlms:
            raise InputError(
                f"{type(program).__name__} has nothing of what learn={list(learn)!r} names; name more, such as "
                '"strategy".'
            )
        if not found:
            raise InputError(
                f"{type(program).__name__} holds nothing to compile: no RLM and no predictor that is not marked as "
                "compiled already; put one into it, or `rlm_module.thaw` it."
            )
        self.parts = {part.name: part for part in found}
        self._tasks = {owner: _task(rlm.signature) for owner, rlm in self.rlms.items()}
        self._tasks |= {name: _task(p.signature) for name, p in program.named_predictors() if name in self.predictors}

    def task(self, owner: str) -> str:
        """What an RLM or predictor is for, by its signature."""
        return self._tasks[owner]

    def texts(self, program: dspy.Module) -> dict[str, str]:
        """The program's text for each component."""
        return {name: _read(_find(program, part), part) for name, part in self.parts.items()}

    def put(self, program: dspy.Module, texts: Mapping[str, str]) -> None:
        """Gives the program these texts."""
        for name, text in texts.items():
            _write(_find(program, self.parts[name]), self.parts[name], text)

    def copy_with(self, program: dspy.Module, texts: Mapping[str, str]) -> dspy.Module:
        """A copy of the program with these texts, which is not marked as compiled."""
        copied: Any = program.deepcopy()
        copied._compiled = False
        self.put(copied, texts)
        return copied

    def of(self, owner: str) -> list[Component]:
        """The components of one RLM or predictor."""
        return [part for part in self.parts.values() if part.owner == owner]

    @property
    def owners(self) -> list[str]:
        """Those that have a text to learn, in the program's order."""
        return list(dict.fromkeys(part.owner for part in self.parts.values()))


def _task(signature: Any) -> str:
    return f"{', '.join(signature.input_fields)} -> {', '.join(signature.output_fields)}"


def _of_rlm(owner: str, rlm: RLM) -> Iterator[Component]:
    begin = f"{owner}." if owner else ""
    if _has_text(rlm.generate_action):
        yield Component(f"{begin}strategy", owner, "strategy")
    if _has_text(rlm.extract):
        yield Component(f"{begin}extract", owner, "extract")
    for tool in rlm.tools:
        yield Component(f"{begin}tools.{tool}", owner, "tools", tool)
    if rlm.max_depth:
        yield Component(f"{begin}sub_calls", owner, "sub_calls")


def _has_text(predictor: Any) -> bool:
    return isinstance(getattr(getattr(predictor, "signature", None), "instructions", None), str)


def _find(program: dspy.Module, part: Component) -> Any:
    """The RLM or predictor that a component belongs to."""
    if part.kind == "predictor":
        return next(predictor for name, predictor in program.named_predictors() if name == part.owner)
    return modules_of(program)[part.owner]


def _read(owner: Any, part: Component) -> str:
    if part.kind == "tools":
        return owner.wording.tools.get(part.tool) or owner.tools[part.tool].desc or ""
    if part.kind == "sub_calls":
        return owner.wording.sub_calls
    return _predictor(owner, part).signature.instructions


def _write(owner: Any, part: Component, text: str) -> None:
    if part.kind == "tools":
        if text != _read(owner, part):  # what the tool says of itself stays its own
            owner.wording.tools[part.tool] = text
    elif part.kind == "sub_calls":
        owner.wording.sub_calls = text
    else:
        predictor = _predictor(owner, part)
        predictor.signature = predictor.signature.with_instructions(text)


def _predictor(owner: Any, part: Component) -> Any:
    return {"strategy": lambda: owner.generate_action, "extract": lambda: owner.extract}.get(part.kind, lambda: owner)()
