"""What can be wrong with a store, apart from what it is asked."""

from __future__ import annotations

from rlm_module.errors import FatalError, InputError


class StoreError(FatalError):
    """The file is no store, is damaged, or is of another version."""


class StoreBusyError(StoreError):
    """Somebody else wrote for so long that this had to give up; nothing of it was done, and it can be tried again."""


class SessionChangedError(InputError):
    """A session was ingested again with other turns than it has, without `replace=True`."""
