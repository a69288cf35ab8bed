"""The LM that a command runs on, by the name a user gave."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rlm_module.errors import InputError

if TYPE_CHECKING:
    import dspy


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


def model_or_offline(name: str | None) -> dspy.LM:
    """The named model, or the one that needs no key where none is named."""
    from rlm_module import OfflineLM

    return named_model(name) if name else OfflineLM()
