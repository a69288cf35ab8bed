"""No sandbox process outlives its host, and none of it is the host's children's business."""

from __future__ import annotations

import os
import signal

import pytest

from rlm_module.errors import SandboxError
from rlm_module.sandbox.background import io_loop
from tests.sandbox.host_script import host, wait_until_gone
from tests.sandbox.repl import PATIENCE, Repl
from tests.sandbox.watch import is_alive

_MOMENTS = {
    "idle": "started(); say('now'); time.sleep(1000)",
    "spinning": "s = started(); s.execute('while True: pass'); say('now'); time.sleep(1000)",
    "spinning in JavaScript": """
s = started(); s.execute("from pyodide.code import run_js; run_js('while (true) {}')"); say('now'); time.sleep(1000)""",
    "waiting for the host": """
s = started(lambda call: (say('now'), Future())[1]); s.execute('ask()').result()""",
    "awaiting the host": """
s = started(lambda call: (say('now'), Future())[1]); s.execute('await ask.aio()').result()""",
    "loading": """
s = started(); f = s.load('text', 'x' * 300_000_000); say('now'); f.result(); time.sleep(1000)""",
    "sleeping": "s = started(); s.execute('import time; time.sleep(10**6)'); say('now'); time.sleep(1000)",
}


@pytest.mark.parametrize("moment", _MOMENTS)
def test_pitfall_11_a_killed_host_leaves_no_process(moment: str) -> None:
    with host(_MOMENTS[moment]) as running:
        pid = running.hear_pid()
        assert running.hear() == "now"
        running.process.kill()
        wait_until_gone(pid)


def test_a_host_killed_while_its_sandbox_starts_leaves_no_process() -> None:
    script = """
from rlm_module.sandbox.process import DenoProcess
made = DenoProcess.connection_made
def connection_made(self, transport):
    made(self, transport)
    say(transport.get_pid())
DenoProcess.connection_made = connection_made
DenoSession().start(Setup(), lambda call: Future()).result()
"""
    with host(script) as running:
        pid = running.hear_pid()
        running.process.kill()
        wait_until_gone(pid)


@pytest.mark.parametrize("ending", ["", "sys.exit(0)", "raise SystemError", "os._exit(0)", "s.close()"])
def test_a_host_that_ends_without_closing_leaves_no_process(ending: str) -> None:
    with host(f"s = started(); s.execute('while True: pass'); {ending}") as running:
        pid = running.hear_pid()
        running.wait()
        wait_until_gone(pid)


_FORK = """
child = os.fork()
if child == 0:
    say(os.getpid())
    time.sleep(1000)
"""


def test_a_forked_child_does_not_keep_a_killed_hosts_sandbox_alive() -> None:
    with host(f"s = started(){_FORK}s.execute('while True: pass').result()") as running:
        sandbox, child = running.hear_pid(), running.hear_pid()
        try:
            running.process.kill()
            wait_until_gone(sandbox)
            assert is_alive(child)
        finally:
            os.kill(child, signal.SIGKILL)


@pytest.mark.parametrize(
    "ending", ["sys.exit(0)", "import gc; del s; gc.collect(); sys.exit(0)", "s.close(); sys.exit(0)"]
)
def test_a_forked_child_that_ends_leaves_its_parents_sandbox_alone(ending: str) -> None:
    script = f"""
s = started(); s.execute('kept = 1').result()
child = os.fork()
if child == 0:
    {ending}
os.waitpid(child, 0)
say(s.execute('kept').result(60).value)
say(s.pid)
s.close()
"""
    with host(script) as running:
        pid = running.hear_pid()
        assert running.hear() == "1"
        assert running.hear_pid() == pid
        assert running.wait() == 0


def test_a_forked_child_has_a_thread_and_sandboxes_of_its_own() -> None:
    script = """
s = started(lambda call: answered(call.args[0])); threads = threading.active_count()
def answered(value):
    future = Future(); future.set_result(value); return future
s.execute('kept = ask(1)').result()
child = os.fork()
if child == 0:
    other = started()
    say(other.execute('1 + 1').result(60).value)
    say(s.execute('kept + 1').result(60).value)  # a copy of the parent's session goes on in a process of its own
    say(s.pid)
    s.close(); other.close()
    os._exit(0)
os.waitpid(child, 0)
say(s.execute('kept').result(60).value)
s.close()
"""
    with host(script) as running:
        first, other = running.hear_pid(), running.hear_pid()
        assert [running.hear(), running.hear()] == ["2", "2"]
        copy = running.hear_pid()
        assert len({first, other, copy}) == 3
        assert running.hear() == "1"
        assert running.wait() == 0
        for pid in (first, other, copy):
            wait_until_gone(pid)


def test_a_program_that_the_host_starts_does_not_keep_its_sandbox_alive() -> None:
    script = """
import subprocess
s = started(); program = subprocess.Popen(['sleep', '1000'], close_fds=False); say(program.pid); time.sleep(1000)
"""
    with host(script) as running:
        sandbox, program = running.hear_pid(), running.hear_pid()
        try:
            running.process.kill()
            wait_until_gone(sandbox)
        finally:
            os.kill(program, signal.SIGKILL)


def test_closing_returns_when_the_process_is_gone() -> None:
    repl = Repl()
    pid = repl.pid
    running = repl.session.execute("while True: pass")
    repl.close()
    assert not os.path.exists(f"/proc/{pid}"), "not even a zombie"
    assert isinstance(running.exception(PATIENCE), SandboxError)
    repl.close()


def test_a_session_that_is_closed_while_it_starts_leaves_no_process() -> None:
    script = """
s = DenoSession(); f = s.start(Setup(), lambda call: Future()); s.close()
say(type(f.exception(60)).__name__); say(s.pid)
"""
    with host(script) as running:
        assert running.hear() == "SandboxError"
        assert running.hear() == "None"


def test_the_background_thread_is_one_for_all_sessions(shared: Repl) -> None:
    loop = io_loop()
    with Repl():
        assert io_loop() is loop
