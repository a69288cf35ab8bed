"""The record of a run: in memory while it happens, as a folder on disk, and what is read out of it afterwards."""

from __future__ import annotations

from rlm_module.journal.export import Conversation as Conversation
from rlm_module.journal.export import conversations as conversations
from rlm_module.journal.folder import RunFolder as RunFolder
from rlm_module.journal.reading import find_run as find_run
from rlm_module.journal.reading import load_input as load_input
from rlm_module.journal.reading import read_run as read_run
from rlm_module.journal.reading import run_folders as run_folders
from rlm_module.journal.reading import short_inputs as short_inputs
from rlm_module.journal.record import Journal as Journal
from rlm_module.journal.record import Listener as Listener
from rlm_module.journal.record import Store as Store
from rlm_module.journal.score import score_run as score_run
from rlm_module.journal.tree import Call as Call
from rlm_module.journal.tree import CallGroup as CallGroup
from rlm_module.journal.tree import Node as Node
from rlm_module.journal.tree import RunTree as RunTree
from rlm_module.journal.tree import Turn as Turn
from rlm_module.journal.tree import build_tree as build_tree
from rlm_module.journal.tree import group_calls as group_calls
