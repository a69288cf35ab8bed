"""Where the RLMs of a program stand in it, as the names of its predictors begin."""

from __future__ import annotations

import dspy

from rlm_module import RLM, named_modules

_ACTING = "generate_action"
_OWN = (_ACTING, "extract", "wording")


def plain_path(path: str) -> str:
    """The path of a module as `named_modules` and runs tell it, without the program itself, whose own is empty."""
    return "" if path == "self" else path.removeprefix("self.")


def modules_of(program: dspy.Module) -> dict[str, dspy.Module]:
    """All modules of a program by path, frozen ones included, in its order."""
    return {plain_path(name): module for name, module in named_modules(program)}


def rlms_of(program: dspy.Module) -> dict[str, RLM]:
    """The RLMs of a program by path, frozen ones included, in its order."""
    return {path: module for path, module in modules_of(program).items() if isinstance(module, RLM)}


def open_rlms(program: dspy.Module) -> dict[str, RLM]:
    """Those that can learn: what one within a frozen part, or a frozen one, learns would not be saved."""
    are_open = {id(module) for _, module in named_modules(program, skip_frozen=True)}
    return {path: rlm for path, rlm in rlms_of(program).items() if id(rlm) in are_open}


def acting_predictor(path: str) -> str:
    """The name in dspy of the predictor that acts for the RLM at a path."""
    return f"{path}.{_ACTING}" if path else _ACTING


def owner_of(predictor: str) -> str:
    """The path of the RLM that a predictor belongs to, or the predictor's own name."""
    path, _, last = predictor.rpartition(".")
    return path if last in _OWN else predictor
