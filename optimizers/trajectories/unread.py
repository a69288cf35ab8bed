"""How much of the inputs no LM was shown, by fingerprints: short pieces of the text, looked for in what was shown."""

from __future__ import annotations

import dataclasses
import re
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pydantic

from rlm_module.events import Acted, AnyEvent, LMCalled, RunStarted
from rlm_module.optimizers.trajectories.runtree import text_of
from rlm_module.signatures import SandboxInput

_PRINTS = 128
_WIDTH = 24
_FEWEST = 20
_NOTEWORTHY = 0.05  # share of the whole below which an input is passed over
_SMALL_CHARS = 4_000
_MOST_TEXTS, _DEEPEST = 20_000, 6
_MOST_SHOWN = 4_000_000
_SIZE = re.compile(r"^str, ([\d,]+) characters$")


@dataclass(frozen=True, slots=True)
class _Text:
    """The text of one input: pieces by which it is known, and its length in characters."""

    pieces: frozenset[str]
    chars: int


def unread_share(events: Sequence[AnyEvent], inputs: Mapping[str, Any] | None) -> float | None:
    """The share of the text of the inputs that stood in no prompt of the tree, from 0 to 1.

    Args:
        events: A run's.
        inputs: Those of the run. One that the run did not have, or that had another size there, does not count.

    Returns:
        None where the inputs are unknown, small, or hold no text to tell by.
    """
    started = next((event for event in events if isinstance(event, RunStarted)), None)
    if not inputs or started is None:
        return None
    texts = [_text(value) for name, value in inputs.items() if _is_of_run(value, started.inputs.get(name))]
    total = sum(text.chars for text in texts)
    large = [text for text in texts if text.chars >= _NOTEWORTHY * total and len(text.pieces) >= _FEWEST]
    if total < _SMALL_CHARS or not large:
        return None
    shown = "\n".join(_shown(events))
    unread = sum(text.chars * sum(piece not in shown for piece in text.pieces) / len(text.pieces) for text in large)
    return unread / sum(text.chars for text in large)


def _text(value: Any) -> _Text:
    """The text of an input. That of an input type is taken once: it may be a folder, whose files are read for it."""
    known = _known.get(id(value)) if isinstance(value, SandboxInput) else None
    if known is not None:
        return known
    texts = list(_texts([value]))
    text = _Text(frozenset(_fingerprints(texts)), sum(map(len, texts)))
    if isinstance(value, SandboxInput):
        _known[id(value)] = text
        weakref.finalize(value, _known.pop, id(value), None)
    return text


_known: dict[int, _Text] = {}


def _is_of_run(value: Any, description: str | None) -> bool:
    """Whether a value is what the run's record describes under its name; a program may pass on something else."""
    if description is None:
        return False
    size = _SIZE.match(description)
    return size is None or not isinstance(value, str) or int(size[1].replace(",", "")) == len(value)


def _texts(values: Iterable[Any]) -> Iterator[str]:
    """Texts anywhere in values, up to a number of values looked at."""
    waiting = [(value, 0) for value in values]
    for _ in range(_MOST_TEXTS):
        if not waiting:
            return
        value, depth = waiting.pop()
        if isinstance(value, str):
            yield value
        elif depth < _DEEPEST:
            waiting += [(inner, depth + 1) for inner in _inside(value)]


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, SandboxInput):
        try:
            return [value.for_run().sandbox_value()]  # a folder's texts are not kept
        except Exception:  # a folder may be gone by now
            return ()
    if isinstance(value, Mapping):
        return list(value.values())[:_MOST_TEXTS]
    if isinstance(value, (list, tuple, set, frozenset)):
        return list(value)[:_MOST_TEXTS]
    if isinstance(value, pydantic.BaseModel):
        return [getattr(value, name, None) for name in type(value).model_fields]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [getattr(value, field.name, None) for field in dataclasses.fields(value)]
    return ()


def _fingerprints(texts: Sequence[str]) -> set[str]:
    """Pieces at even distances, each within a line: what stands on two is written in other ways when it is shown."""
    step = max(1, sum(map(len, texts)) // _PRINTS)
    found, position = set[str](), step // 2
    for text in texts:
        while position < len(text):
            piece = _piece(text, position)
            if piece is not None:
                found.add(piece)
            position += step
        position -= len(text)
    return found


def _piece(text: str, position: int) -> str | None:
    begin = max(text.rfind("\n", max(0, position - 4 * _WIDTH), position) + 1, position - _WIDTH)
    piece = re.split(r"[\n\\'\"]", text[max(0, begin) : position + 3 * _WIDTH], maxsplit=8)
    longest = max(piece, key=len).strip()[:_WIDTH]
    return longest if len(longest) >= _WIDTH // 2 and len(set(longest)) > 4 else None


def _shown(events: Sequence[AnyEvent]) -> Iterator[str]:
    """What LMs were shown, without what each request repeats of the one before."""
    left = _MOST_SHOWN
    are_recorded = any(isinstance(event, LMCalled) and event.role in ("root", "child") for event in events)
    for event in events:
        if isinstance(event, LMCalled):
            texts = [text_of(message) for message in event.messages if message.get("role") != "assistant"]
        elif isinstance(event, Acted) and not are_recorded:
            texts = [event.request]
        else:
            continue
        for text in texts:
            if left <= 0:
                return
            yield text[:left]
            left -= len(text)
