"""dspy's status messages from the threads of a run."""

from __future__ import annotations

from collections.abc import Callable

import dspy


def inherit_stream() -> Callable[[], None] | None:
    """Lets the threads of a run send status messages, where the caller is being streamed.

    dspy sends them through anyio, which does so only from threads that know the event loop of the stream.

    Returns:
        What to run first on such a thread; None where nothing is streamed.
    """
    if dspy.settings.send_stream is None:
        return None
    from anyio import NoEventLoopError
    from anyio.from_thread import threadlocals  # pyright: ignore[reportPrivateImportUsage]
    from anyio.lowlevel import current_token

    try:
        token = current_token()
    except NoEventLoopError:
        token = getattr(threadlocals, "current_token", None)

    def prepare() -> None:
        threadlocals.current_token = token

    return prepare if token is not None else None
