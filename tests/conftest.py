"""What every test gets: no network but loopback, no models or keys of the environment, and dspy as imported."""

from __future__ import annotations

import copy
import importlib
import ipaddress
import os
import socket
import tempfile
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import settings as hypothesis_settings

_dspy_cache = tempfile.TemporaryDirectory(prefix="dspy-cache-")
os.environ["DSPY_CACHEDIR"] = _dspy_cache.name  # read when dspy is imported
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else litellm fetches its price list when it is imported

import dspy  # noqa: E402

# Here, since a worker's conftest further down is unknown to the process that reports.
from tests.optimizers.table import pytest_terminal_summary as pytest_terminal_summary  # noqa: E402

# dspy's package names the settings object as this module is named, and so hides the module.
_settings: Any = importlib.import_module("dspy.dsp.utils.settings")

hypothesis_settings.register_profile("suite", deadline=None, derandomize=True, print_blob=True)
hypothesis_settings.load_profile("suite")


_LONGEST = (
    "test_soak.py",
    "test_stock.py",
    "test_fault_matrix.py",
    "test_runtime.py",
    "test_shared_simulation.py",
    "test_readme.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files that take longest come first, so that no worker is left with one of them at the end."""
    places = {name: place for place, name in enumerate(_LONGEST)}
    items.sort(key=lambda item: places.get(item.path.name, len(places)))


class NetworkForbidden(RuntimeError):
    """A test tried to leave this machine. No OSError, so that code which survives a lost network doesn't hide it."""


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    connect, connect_ex, getaddrinfo = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo

    def guarded_connect(self: socket.socket, address: Any) -> None:
        _require_local(address)
        connect(self, address)

    def guarded_connect_ex(self: socket.socket, address: Any) -> int:
        _require_local(address)
        return connect_ex(self, address)

    def guarded_getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
        _require_local((host,))
        return getaddrinfo(host, *args, **kwargs)

    monkeypatch.setattr(socket.socket, "connect", guarded_connect)
    monkeypatch.setattr(socket.socket, "connect_ex", guarded_connect_ex)
    monkeypatch.setattr(socket, "getaddrinfo", guarded_getaddrinfo)


def _require_local(address: Any) -> None:
    if not isinstance(address, tuple):  # a socket in the file system
        return
    host = address[0]
    host = host.decode() if isinstance(host, bytes) else host
    if host in (None, "", "localhost"):
        return
    try:
        is_local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_local = False
    if not is_local:
        raise NetworkForbidden(f"a test reached for {host}")


@pytest.fixture(autouse=True)
def no_models_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if (name.startswith("RLM_") and name.endswith("MODEL")) or name.endswith("_API_KEY"):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the attempts at a call that fails."""
    monkeypatch.setattr("rlm_module.lms.faults._FIRST_PAUSE", 0.001)


@pytest.fixture(autouse=True)
def fresh_dspy() -> Iterator[None]:
    """Settings are restored whichever thread or task changed them, and each test starts with an empty LM cache."""
    dspy.configure_cache(enable_disk_cache=False, enable_memory_cache=True)
    yield
    _settings.main_thread_config.clear()
    _settings.main_thread_config.update(copy.deepcopy(_settings.DEFAULT_CONFIG))
    _settings.config_owner_thread_id = None
    _settings.config_owner_async_task = None
