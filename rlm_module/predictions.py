"""Placeholder."""


class Predictions:
    def __init__(self, calls, models): ...
