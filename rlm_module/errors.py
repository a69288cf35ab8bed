"""The three kinds of failure: fatal ones are raised, recoverable ones are shown to the model, limits end a run.

A limit is not an exception: a run that meets one still returns a Prediction, with `termination_reason` set.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, NoReturn

Limit = Literal["cost", "tokens", "seconds", "calls"]
SubcallErrorKind = Literal["budget", "context_window", "refusal", "truncated", "unparsable", "timeout", "lm", "invalid"]


def describe(error: BaseException) -> str:
    """Type and text of an error, whatever its own `__str__` does."""
    if isinstance(error, RecordedError):
        return str(error)
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:
        return f"{type(error).__name__} (its text cannot be had)"


def in_a_line(error: BaseException) -> str:
    """Type and first paragraph of an error, as a log tells of it."""
    kind, colon, text = describe(error).partition(":")
    return f"{kind}{colon} {_first_paragraph(text)}".strip()


def first_paragraph(error: BaseException) -> str:
    """An error's first paragraph on one line; what model providers add below it helps nobody."""
    return _first_paragraph(str(error))


def _first_paragraph(text: str) -> str:
    return " ".join(text.strip().split("\n\n")[0].split())


class RLMError(Exception):
    """Base of every error this package raises on purpose."""


class FatalError(RLMError):
    """A run that cannot go on and has no answer.

    Args:
        message: The fault and its mend, in one sentence.
        partial: What the run had found, done and spent: trajectory, usage and run id, where there was a run.
    """

    def __init__(self, message: str, partial: Any = None) -> None:
        super().__init__(message)
        self.partial = partial


class LimitReached(RLMError):
    """A limit leaves no room for what was about to be done; it ends a run with what was found.

    Args:
        limit: Which: money, tokens, time, or number of calls.
        is_shared: Whether it is that of a budget which several runs share.
    """

    def __init__(self, limit: Limit, *, is_shared: bool = False) -> None:
        whose = "shared budget" if is_shared else "budget"
        super().__init__(f"the {whose}'s money is used up" if limit == "cost" else f"the {whose}'s {limit} are used up")
        self.limit: Limit = limit
        self.is_shared = is_shared


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and all that it came of, what was being handled when it was raised included."""
    if error is not None:
        yield error
        yield from causes(error.__cause__)
        if error.__context__ is not error.__cause__:
            yield from causes(error.__context__)


def met_shared_limit(error: BaseException) -> bool:
    """Whether a limit that several runs share stands behind an error."""
    return any(isinstance(cause, LimitReached) and cause.is_shared for cause in causes(error))


class SandboxError(FatalError):
    """The sandbox could not be started, or could not be kept alive."""


class InputError(FatalError, ValueError):
    """What the caller passed cannot be used."""


class UnknownPriceError(InputError):
    """Money is limited, and nobody knows what an LM charges.

    Args:
        message: The fault and its mend.
        model: Its name.
    """

    def __init__(self, message: str, model: str = "") -> None:
        super().__init__(message)
        self.model = model


class RecoverableError(RLMError):
    """A failure that is shown to the model, which may mend it in its next turn."""


class RecordedError(RecoverableError):
    """An error that a host call of a resumed run had; its text is what `describe` made of it then."""


class SubcallError(RecoverableError, RuntimeError):
    """A sub-LM call that failed, raised by a single call and returned in its place by a batch.

    It is falsy and refuses to be used as text, so that a failure can never pass for an answer.

    Args:
        kind: What went wrong, as one word.
        message: The fault and its mend.
    """

    def __init__(self, kind: SubcallErrorKind, message: str) -> None:
        super().__init__(kind, message)
        self.kind: SubcallErrorKind = kind
        self.message = message

    def __bool__(self) -> bool:
        return False

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}"

    def _not_text(self, *_: object) -> NoReturn:
        raise TypeError(f"this sub-call failed ({self.kind}: {self.message}); filter failed items with `if result`")

    __add__ = __radd__ = __len__ = __iter__ = __getitem__ = __contains__ = _not_text
