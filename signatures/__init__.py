"""Typed signatures: what an RLM's own two predictors are asked."""

from rlm_module.signatures.act import act_signature
from rlm_module.signatures.extract import extract_signature
from rlm_module.signatures.task import task_mark

__all__ = ["act_signature", "extract_signature", "task_mark"]
