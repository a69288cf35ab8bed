"""An LM that works by rule on the words it is given: no network, no key, no understanding."""

from rlm_module.offline.lm import OfflineLM

__all__ = ["OfflineLM"]
