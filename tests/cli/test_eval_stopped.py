"""Ctrl-C during `rlm eval`, in a process of its own: one sentence, its status, and the same command goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.model_server import Gate, ModelServer, Outcome, Reply, Request
from tests.scripted import fields, turn

_QUESTIONS = 5
_AT_ONCE = 2  # questions that are answered before the model hesitates


class _Model:
    """Knows no answer; after some requests it waits until its gate is open."""

    def __init__(self) -> None:
        self.gate = Gate()
        self._asked = 0

    def __call__(self, request: Request) -> Outcome:
        self._asked += 1
        system = str(request.body["messages"][0])
        reply = turn("SUBMIT(answer=None)") if "`code`" in system else fields(answer="None", evidence="[]")
        return Reply(reply, gate=self.gate if self._asked > _AT_ONCE else None)


def _started(server: ModelServer, folder: Path, arm: str, threads: int) -> subprocess.Popen[str]:
    command = ["eval", "generated", "--questions", str(_QUESTIONS), "--sessions", "25", "--arm", arm]
    options = ["-m", "openai/test-model", "--threads", str(threads), "--results", str(folder / "out")]
    caches = len(list(folder.iterdir()))  # no reply comes from dspy's cache
    environment = {
        **os.environ,
        "OPENAI_API_BASE": server.url,
        "OPENAI_API_KEY": "not-a-key",
        "DSPY_CACHEDIR": str(folder / f"cache{caches}"),
    }
    return subprocess.Popen(
        [sys.executable, "-m", "rlm_module.cli", *command, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


def _answered(folder: Path) -> list[str]:
    lines = (folder / "out").glob("*.answers.jsonl")
    return [json.loads(line)["question_id"] for path in lines for line in path.read_text().splitlines()]


@pytest.mark.parametrize(("arm", "threads"), [("full_history", 1), ("tools", 2)])
def test_ctrl_c_stops_it_with_a_sentence_and_no_question_is_paid_for_twice(
    tmp_path: Path, arm: str, threads: int
) -> None:
    model = _Model()
    with ModelServer(model) as server:
        first = _started(server, tmp_path, arm, threads)
        server.wait_until(lambda log: len(log.requests) == _AT_ONCE + threads and log.in_flight == threads, 120)
        first.send_signal(signal.SIGINT)
        if threads > 1:  # what was begun is paid for, so it is waited for
            model.gate.open()
        output, told = first.communicate(timeout=120)
        assert (first.returncode, output) == (130, ""), told
        assert told.splitlines()[-1] == "Stopped."
        assert "Traceback" not in told
        assert _AT_ONCE <= len(_answered(tmp_path)) < _QUESTIONS
        model.gate.open()
        again = _started(server, tmp_path, arm, threads)
        output, told = again.communicate(timeout=120)
        assert again.returncode == 0, told
        paid = [json.dumps(record.body) for record in server.log().requests if not record.client_left]
    assert sorted(_answered(tmp_path)) == sorted(set(_answered(tmp_path)))
    assert (len(paid), set(Counter(paid).values())) == (_QUESTIONS, {1})
    assert f"{arm}: {_QUESTIONS} of {_QUESTIONS}, 0 right" in told
