"""Memory over chat histories: what was said, what was learned of it, and a store that both are asked of by time.

A store holds many users; whoever reads or writes does so through the handle of one:

    store = SqliteStore("memory.db")
    ann = store.user("ann")
    ann.ingest(sessions)                               # the same again changes nothing
    then = store.user("ann", as_of=question_date)      # reads, and sees nothing later
    then.search("which bike did I buy"), then.list_sessions(), then.get_session(hit.session_id)

- `data`: `Session`, `Turn`, `Observation`. Sessions that are ingested carry the caller's ids; what a store returns
  carries opaque ones, which a model may see, and which are the same wherever the same is ingested.
- `store`: the protocols `MemoryStore` and `UserMemory`, with what each method promises; `conformance` checks them.
- `sqlite`: the store in one file; what its parts do stands in its own docstring.
- `system`: `MemorySystem`, the program that is asked; `tools` are what its generated code may call, `observing` is how
  it learns typed observations, and `arms` are other ways of answering, to compare it with.
- `forgetting`: what leaves traces outside of the store, too: runs (`owned_runs`) and dspy's cache (`cached_replies`).
- `importing`: LongMemEval, exports of OpenAI and Anthropic, JSON lines.
- `histories`: sessions as the `ChatHistory` that signatures take, and back.

An observer asks `pending(its name and version)` what to read, and writes with `observe` what it found and how far it
read, in one transaction; killed at any point it goes on where it was. Generated code should get a handle's answers, and
never a handle: Python objects lead anywhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rlm_module.lazy import exported

if TYPE_CHECKING:
    from rlm_module.memory.cached_replies import clear_cache as clear_cache
    from rlm_module.memory.data import Observation as Observation
    from rlm_module.memory.data import ObservationKind as ObservationKind
    from rlm_module.memory.data import Role as Role
    from rlm_module.memory.data import Session as Session
    from rlm_module.memory.data import Turn as Turn
    from rlm_module.memory.data import read_session as read_session
    from rlm_module.memory.errors import SessionChangedError as SessionChangedError
    from rlm_module.memory.errors import StoreBusyError as StoreBusyError
    from rlm_module.memory.errors import StoreError as StoreError
    from rlm_module.memory.exported import ExportedLine as ExportedLine
    from rlm_module.memory.exported import read_line as read_line
    from rlm_module.memory.forgetting import Erased as Erased
    from rlm_module.memory.found import Forgotten as Forgotten
    from rlm_module.memory.found import Hit as Hit
    from rlm_module.memory.found import IngestReport as IngestReport
    from rlm_module.memory.found import Page as Page
    from rlm_module.memory.found import Pending as Pending
    from rlm_module.memory.found import SessionLine as SessionLine
    from rlm_module.memory.histories import as_history as as_history
    from rlm_module.memory.histories import read_history as read_history
    from rlm_module.memory.importing import Question as Question
    from rlm_module.memory.importing import Read as Read
    from rlm_module.memory.importing import Record as Record
    from rlm_module.memory.importing import read_anthropic as read_anthropic
    from rlm_module.memory.importing import read_json_lines as read_json_lines
    from rlm_module.memory.importing import read_longmemeval as read_longmemeval
    from rlm_module.memory.importing import read_openai as read_openai
    from rlm_module.memory.observing import Estimate as Estimate
    from rlm_module.memory.observing import Observer as Observer
    from rlm_module.memory.observing import ObserverReport as ObserverReport
    from rlm_module.memory.prediction import MemoryPrediction as MemoryPrediction
    from rlm_module.memory.sqlite import SqliteStore as SqliteStore
    from rlm_module.memory.store import MemoryStore as MemoryStore
    from rlm_module.memory.store import UserMemory as UserMemory
    from rlm_module.memory.system import Ingested as Ingested
    from rlm_module.memory.system import MemorySystem as MemorySystem

_HOMES = {
    "Erased": "forgetting",
    "Estimate": "observing",
    "ExportedLine": "exported",
    "Forgotten": "found",
    "Hit": "found",
    "IngestReport": "found",
    "Ingested": "system",
    "MemoryPrediction": "prediction",
    "MemoryStore": "store",
    "MemorySystem": "system",
    "Observation": "data",
    "ObservationKind": "data",
    "Observer": "observing",
    "ObserverReport": "observing",
    "Page": "found",
    "Pending": "found",
    "Question": "importing",
    "Read": "importing",
    "Record": "importing",
    "Role": "data",
    "Session": "data",
    "SessionChangedError": "errors",
    "SessionLine": "found",
    "SqliteStore": "sqlite",
    "StoreBusyError": "errors",
    "StoreError": "errors",
    "Turn": "data",
    "UserMemory": "store",
    "as_history": "histories",
    "clear_cache": "cached_replies",
    "read_anthropic": "importing",
    "read_history": "histories",
    "read_json_lines": "importing",
    "read_line": "exported",
    "read_longmemeval": "importing",
    "read_openai": "importing",
    "read_session": "data",
}

__all__ = list(_HOMES)  # pyright: ignore[reportUnsupportedDunderAll]
__getattr__, __dir__ = exported(__name__, _HOMES)
