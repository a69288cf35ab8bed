"""Typed signatures: what an RLM's own predictors are asked, ready-made tasks, and input types for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rlm_module.lazy import exported

if TYPE_CHECKING:
    from rlm_module.signatures.act import SPARING as SPARING
    from rlm_module.signatures.act import STRATEGY as STRATEGY
    from rlm_module.signatures.act import TERSE as TERSE
    from rlm_module.signatures.act import act_signature as act_signature
    from rlm_module.signatures.chat import ChatQA as ChatQA
    from rlm_module.signatures.chat import TurnQuote as TurnQuote
    from rlm_module.signatures.citing import Citation as Citation
    from rlm_module.signatures.citing import CitedQA as CitedQA
    from rlm_module.signatures.code import CodebaseQA as CodebaseQA
    from rlm_module.signatures.code import CodeReference as CodeReference
    from rlm_module.signatures.compact import Compact as Compact
    from rlm_module.signatures.comparing import Change as Change
    from rlm_module.signatures.comparing import CompareVersions as CompareVersions
    from rlm_module.signatures.counting import AggregateRecords as AggregateRecords
    from rlm_module.signatures.counting import CountRecords as CountRecords
    from rlm_module.signatures.directory import Directory as Directory
    from rlm_module.signatures.documents import Documents as Documents
    from rlm_module.signatures.extract import extract_signature as extract_signature
    from rlm_module.signatures.extracting import extract_records as extract_records
    from rlm_module.signatures.grounded import Grounded as Grounded
    from rlm_module.signatures.grounded import Ungrounded as Ungrounded
    from rlm_module.signatures.history import ChatHistory as ChatHistory
    from rlm_module.signatures.history import Session as Session
    from rlm_module.signatures.history import Turn as Turn
    from rlm_module.signatures.inputs import SandboxInput as SandboxInput
    from rlm_module.signatures.joining import JoinRecords as JoinRecords
    from rlm_module.signatures.joining import Pair as Pair
    from rlm_module.signatures.sub_call import sub_call_prompt as sub_call_prompt
    from rlm_module.signatures.sub_call import sub_call_signature as sub_call_signature
    from rlm_module.signatures.table import Table as Table
    from rlm_module.signatures.task import task_mark as task_mark
    from rlm_module.signatures.text import Text as Text

# The command reads folders with a part of this that needs no dspy, which takes a second to import.
_HOMES = {
    "AggregateRecords": "counting",
    "Change": "comparing",
    "ChatHistory": "history",
    "ChatQA": "chat",
    "Citation": "citing",
    "CitedQA": "citing",
    "CodeReference": "code",
    "CodebaseQA": "code",
    "Compact": "compact",
    "CompareVersions": "comparing",
    "CountRecords": "counting",
    "Directory": "directory",
    "Documents": "documents",
    "Grounded": "grounded",
    "JoinRecords": "joining",
    "Pair": "joining",
    "SPARING": "act",
    "STRATEGY": "act",
    "SandboxInput": "inputs",
    "Session": "history",
    "TERSE": "act",
    "Table": "table",
    "Text": "text",
    "Turn": "history",
    "TurnQuote": "chat",
    "Ungrounded": "grounded",
    "act_signature": "act",
    "extract_records": "extracting",
    "extract_signature": "extract",
    "sub_call_prompt": "sub_call",
    "sub_call_signature": "sub_call",
    "task_mark": "task",
}

__all__ = list(_HOMES)  # pyright: ignore[reportUnsupportedDunderAll]
__getattr__, __dir__ = exported(__name__, _HOMES)
