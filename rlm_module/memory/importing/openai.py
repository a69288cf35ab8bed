"""The `conversations.json` of an export from ChatGPT: trees of messages, of which one branch is the conversation."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from os import PathLike
from typing import Any, cast

from rlm_module.errors import InputError
from rlm_module.memory.importing.collecting import Collection, Read, Said
from rlm_module.memory.importing.json_files import items, mapping


def read_openai(path: str | PathLike[str], *, zone: dt.tzinfo = dt.UTC) -> Read:
    """Reads an export.

    Of a conversation that was edited or answered anew, the branch that was shown last is read. Messages without words,
    such as the empty system message each one begins with, are no turns. Pictures and other parts without words are left
    out, which is noted.

    Args:
        path: The file.
        zone: Where times that name no zone are read; an export has seconds since 1970, which need none.

    Raises:
        InputError: If the file is no such export.
    """
    collection = Collection(path, zone)
    for number, item in enumerate(items(path)):
        conversation = mapping(item, f"Item {number} of {path}")
        name = conversation.get("conversation_id") or conversation.get("id")
        if not isinstance(name, str) or "mapping" not in conversation:
            raise InputError(f"Item {number} of {path} is no conversation of ChatGPT: it lacks an id or `mapping`.")
        collection.add(name, conversation.get("create_time"), _turns(conversation, name, collection))
    return collection.read()


def _turns(conversation: Mapping[str, Any], name: str, collection: Collection) -> Iterator[Said]:
    nodes = mapping(conversation["mapping"], f"The mapping of conversation {name!r}")
    for node in _branch(nodes, conversation.get("current_node"), name):
        message = node.get("message")
        if not isinstance(message, Mapping):
            continue
        fields = cast("Mapping[str, Any]", message)
        author = fields.get("author")
        role = cast("Mapping[str, Any]", author).get("role") if isinstance(author, Mapping) else None
        text = _text(fields.get("content"), collection)
        if text:
            yield Said(role, text, fields.get("create_time"))


def _branch(nodes: Mapping[str, Any], current: Any, name: str) -> list[Mapping[str, Any]]:
    """From the root to the node that was shown last."""
    found: list[Mapping[str, Any]] = []
    at = current if current is not None else _last_leaf(nodes)
    while at is not None:
        if not isinstance(at, str) or at not in nodes or len(found) > len(nodes):
            raise InputError(
                f"The messages of conversation {name[:80]!r} do not lead to its beginning; export it anew."
            )
        found.append(mapping(nodes[at], f"A message of conversation {name!r}"))
        at = found[-1].get("parent")
    return found[::-1]


def _last_leaf(nodes: Mapping[str, Any]) -> str | None:
    leaves = [key for key, node in nodes.items() if isinstance(node, Mapping) and not node.get("children")]
    return leaves[-1] if leaves else None


def _text(content: Any, collection: Collection) -> str:
    if not isinstance(content, Mapping):
        return ""
    fields = cast("Mapping[str, Any]", content)
    parts = fields.get("parts")
    if not isinstance(parts, list):
        parts = [fields.get("text")]
    return "\n".join(filter(None, collection.texts_in(cast("list[Any]", parts))))
