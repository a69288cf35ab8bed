"""What a compile is a compile of, in hashes and words, so that a folder is not taken for another one's."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence
from typing import Any

import dspy

from rlm_module.optimizers.evolution.cases import Case, digest
from rlm_module.optimizers.evolution.components import Components
from rlm_module.optimizers.evolution.options import Options
from rlm_module.optimizers.feedback import plain_metric

_PACKAGES = ("rlm-module", "dspy", "gepa")


def described(
    options: Options, student: dspy.Module, components: Components, train: Sequence[Case], val: Sequence[Case]
) -> dict[str, Any]:
    """The manifest: all that has to be equal for what was paid for to be of use. Limits may differ.

    Args:
        options: How it is compiled.
        student: The program.
        components: Its texts.
        train: The training examples.
        val: The validation examples.
    """
    texts, metric = components.texts(student), plain_metric(options.metric)
    return {
        "program": {"class": type(student).__qualname__, "texts": {name: digest(text) for name, text in texts.items()}},
        "signatures": {owner: components.task(owner) for owner in components.owners},
        "training examples": digest([case.key for case in train]),
        "validation examples": digest([case.key for case in val]),
        "metric": getattr(metric, "__qualname__", type(metric).__qualname__),
        "options": {name: getattr(options, name) for name in ("minibatch_size", "learn", "max_text_chars", "seed")},
        "models": {"program": _model(dspy.settings.lm), "reflection": _model(options.reflection_lm)},
        "versions": {package: _version(package) for package in _PACKAGES},
    }


def data_hash(train: Sequence[Case], val: Sequence[Case]) -> str:
    """A hash of all examples."""
    return digest([[case.key for case in train], [case.key for case in val]])


def _model(lm: Any) -> str:
    return str(getattr(lm, "model", None) or type(lm).__qualname__)


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
