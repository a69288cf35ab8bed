"""The suite's own guards hold: a test that leaves the machine or its settings behind would be noticed."""

from __future__ import annotations

import socket

import dspy
import pytest

from tests.conftest import NetworkForbidden


def test_a_name_outside_cannot_be_resolved() -> None:
    with pytest.raises(NetworkForbidden, match=r"example\.com"):
        socket.create_connection(("example.com", 80))


def test_an_address_outside_cannot_be_reached() -> None:
    with socket.socket() as client, pytest.raises(NetworkForbidden, match=r"192\.0\.2\.1"):
        client.connect(("192.0.2.1", 80))


def test_loopback_is_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        assert client.getpeername() == server.getsockname()


@pytest.mark.parametrize("_time", [1, 2])
def test_settings_do_not_outlive_a_test(_time: int) -> None:
    assert dspy.settings.lm is None
    dspy.configure(lm=dspy.LM("openai/nothing"))
