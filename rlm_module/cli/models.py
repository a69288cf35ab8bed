"""The LM that a command runs on, by the name a user gave."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from rlm_module.errors import InputError

if TYPE_CHECKING:
    import dspy

_PRICE = re.compile(r"(?P<model>.+)=(?P<prompt>\d*\.?\d+)/(?P<completion>\d*\.?\d+)")


def named_model(name: str, **options: Any) -> dspy.LM:
    """A model by its name, such as `openai/gpt-5`.

    Args:
        name: Provider and model.
        **options: What else `dspy.LM` is to be told.

    Raises:
        InputError: If dspy cannot make sense of the name.
    """
    import dspy

    try:
        return dspy.LM(name, **options)
    except ValueError as error:
        raise InputError(f"The model {name!r} cannot be used ({error}); name one as provider/model.") from error


def prices_of(given: Iterable[str]) -> dict[str, tuple[float, float]]:
    """Prices of models that the package does not know.

    Args:
        given: Each as `MODEL=IN/OUT`, US dollars per million prompt tokens and per million completion tokens.

    Raises:
        InputError: If one is of another form.
    """
    prices: dict[str, tuple[float, float]] = {}
    for text in given:
        match = _PRICE.fullmatch(text)
        if match is None:
            raise InputError(
                f"--price {text} is no price; write MODEL=IN/OUT, US dollars per million prompt and completion tokens, "
                "such as openai/my-model=0.25/2"
            )
        prices[match["model"]] = (float(match["prompt"]), float(match["completion"]))
    return prices


def model_or_offline(name: str | None) -> dspy.LM:
    """The named model, or the one that needs no key where none is named."""
    from rlm_module import OfflineLM

    return named_model(name) if name else OfflineLM()
