"""A compiled program saved, loaded in a fresh process, and served. Needs no key: `python examples/serve.py`.

By hand, and with a model: `python examples/serve.py program.json openai/gpt-5` serves a saved program on the port that
it prints, until Ctrl-C; `curl localhost:PORT -d '{"question": "What is the code of gate 5?"}'` asks it.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import dspy

from rlm_module import RLM, OfflineLM, thaw
from rlm_module.optimizers import load_compiled

LINES = [f"{n:06}: gate {n % 7} was {'open' if n % 3 else 'shut'}" for n in range(20_000)]
LOG = "\n".join([*LINES, "020000: the code of gate 3 is OWL-12", "020001: the code of gate 5 is HERON-12"])


class Desk(dspy.Module):
    """Answers from the log."""

    def __init__(self) -> None:
        super().__init__()
        self.reader: Any = RLM("log, question -> answer")

    def forward(self, question: str) -> dspy.Prediction:
        return self.reader(log=LOG, question=question)


def compile_to(path: Path) -> None:
    """Lets an optimizer gather a demonstration, and saves what was learned: no data, no key, no limit."""

    def is_right(gold: dspy.Example, prediction: dspy.Prediction, trace: Any = None) -> bool:
        return gold.answer == prediction.answer

    train = [dspy.Example(question="What is the code of gate 3?", answer="OWL-12").with_inputs("question")]
    with dspy.context(lm=OfflineLM()):
        compiled: Any = dspy.BootstrapFewShot(metric=is_right).compile(Desk(), trainset=train)
    thaw(compiled).save(path)


def serve(path: Path, lm: dspy.LM) -> None:
    """Serves a saved program on a port of this machine, which is printed, until Ctrl-C."""
    desk = Desk()
    load_compiled(desk, path)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with dspy.context(lm=lm):
                answer = desk(question=str(asked["question"])).answer
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps({"answer": answer}).encode())

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        print(server.server_port, flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print("Stopped.", flush=True)


def main() -> tuple[str, str]:
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder) / "program.json"
        compile_to(state)
        with subprocess.Popen([sys.executable, __file__, state], stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            try:
                connection = HTTPConnection("127.0.0.1", int(server.stdout.readline()), timeout=120)
                connection.request("POST", "/", json.dumps({"question": "What is the code of gate 5?"}))
                answer: str = json.loads(connection.getresponse().read())["answer"]
            finally:
                server.send_signal(signal.SIGINT)
            return answer, server.stdout.read().strip()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        serve(Path(sys.argv[1]), dspy.LM(sys.argv[2]) if len(sys.argv) > 2 else OfflineLM())
    else:
        print(main())
