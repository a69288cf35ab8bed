"""The server in a process of its own, for measurements in which it must not share the interpreter lock."""

from __future__ import annotations

import multiprocessing
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Self

from tests.model_server.log import Log
from tests.model_server.outcomes import Answer
from tests.model_server.server import ModelServer

_START_SECONDS = 60
_STOP_SECONDS = 30


class ModelServerProcess:
    """A `ModelServer` elsewhere. `answer` must be picklable: a function of a module, or an object such as `Always`."""

    def __init__(self, answer: Answer) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._ours, self._theirs = spawn.Pipe()
        self._process = spawn.Process(target=_run, args=(answer, self._theirs), daemon=True)
        self.url = ""

    def __enter__(self) -> Self:
        self._process.start()
        self._theirs.close()
        try:
            if not self._ours.poll(_START_SECONDS):
                raise TimeoutError
            self.url = self._ours.recv()
        except (EOFError, TimeoutError) as error:
            self._process.kill()
            raise RuntimeError("the model server's process didn't start; its standard error may say why") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ours.close()
        self._process.join(_STOP_SECONDS)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        failed = self._process.exitcode != 0
        self._process.close()
        if failed and error is None:
            raise RuntimeError("the model server's process failed; its standard error says why")

    def log(self) -> Log:
        self._ours.send("log")
        return self._ours.recv()


def _run(answer: Answer, connection: Connection) -> None:
    with ModelServer(answer) as server:
        connection.send(server.url)
        while True:
            try:
                connection.recv()
            except EOFError:  # closed by the other side, or gone with it
                return
            connection.send(server.log())
