"""Chats from elsewhere: LongMemEval, exports of OpenAI and Anthropic, JSON lines.

A reader reads its whole file before it returns, so that a file which cannot be read changes no store. Only LongMemEval,
of which each item is a user of its own, is read item by item.

    read = read_openai("conversations.json")
    store.user("ann").ingest(read.sessions)
    for note in read.notes:
        print(note)
"""

from __future__ import annotations

from rlm_module.memory.importing.anthropic import read_anthropic as read_anthropic
from rlm_module.memory.importing.collecting import Read as Read
from rlm_module.memory.importing.json_lines import read_json_lines as read_json_lines
from rlm_module.memory.importing.longmemeval import Question as Question
from rlm_module.memory.importing.longmemeval import Record as Record
from rlm_module.memory.importing.longmemeval import read_longmemeval as read_longmemeval
from rlm_module.memory.importing.longmemeval import record_of as record_of
from rlm_module.memory.importing.openai import read_openai as read_openai
