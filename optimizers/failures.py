"""What fails one example, and what would fail every one."""

from __future__ import annotations

from asyncio import CancelledError

import dspy

from rlm_module.errors import InputError, first_paragraph

FAILURES = (Exception, SystemExit, CancelledError)
"""What a program or a metric that fails may raise. Ctrl-C is none of it: that is the user's."""


def require_lm(error: BaseException) -> None:
    """Ends the whole where an example failed for want of an LM.

    Args:
        error: What the program raised.

    Raises:
        InputError: If that is so.
    """
    if isinstance(error, dspy.LMConfigurationError):
        raise InputError(f"No run can succeed: {first_paragraph(error)}") from error
