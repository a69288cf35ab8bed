"""The `conversations.json` of an export from Claude."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from os import PathLike
from typing import Any, cast

from rlm_module.errors import InputError
from rlm_module.memory.importing.collecting import Collection, Read, Said
from rlm_module.memory.importing.json_files import items, listed, mapping


def read_anthropic(path: str | PathLike[str], *, zone: dt.tzinfo = dt.UTC) -> Read:
    """Reads an export; what was taken from attached files belongs to the turn they came with.

    Pictures, calls of tools and other parts without words are left out, which is noted.

    Args:
        path: The file.
        zone: Where times that name no zone are read.

    Raises:
        InputError: If the file is no such export.
    """
    collection = Collection(path, zone)
    for number, item in enumerate(items(path)):
        conversation = mapping(item, f"Item {number} of {path}")
        name = conversation.get("uuid")
        if not isinstance(name, str) or "chat_messages" not in conversation:
            raise InputError(
                f"Item {number} of {path} is no conversation of Claude: it lacks `uuid` or `chat_messages`."
            )
        collection.add(name, conversation.get("created_at"), _turns(conversation, name, collection))
    return collection.read()


def _turns(conversation: Mapping[str, Any], name: str, collection: Collection) -> Iterator[Said]:
    for item in listed(conversation["chat_messages"], f"The messages of conversation {name!r}"):
        message = mapping(item, f"A message of conversation {name!r}")
        yield Said(message.get("sender"), "\n\n".join(_texts(message, collection)), message.get("created_at"))


def _texts(message: Mapping[str, Any], collection: Collection) -> Iterator[str]:
    blocks = message.get("content")
    words = collection.texts_in(cast("list[Any]", blocks)) if isinstance(blocks, list) else ()
    text = "\n".join(words) or message.get("text")
    if isinstance(text, str) and text:
        yield text
    for file in _mappings(message.get("attachments")):
        content = file.get("extracted_content")
        if isinstance(content, str) and content:
            yield f"[{file.get('file_name') or 'attachment'}]\n{content}"
        else:
            collection.leave_out(1)
    collection.leave_out(len(_mappings(message.get("files"))))


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    found = cast("list[Any]", value) if isinstance(value, list) else []
    return [cast("Mapping[str, Any]", item) for item in found if isinstance(item, Mapping)]
