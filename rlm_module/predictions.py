"""Placeholder."""


class Predictions:
    """Typed sub-calls."""

    def __init__(self, calls: object, models: object) -> None: ...
