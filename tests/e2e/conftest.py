"""Servers for the tests, each a process of its own that must be gone afterwards."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from lsp_client import Client, StartClient, attach, finish, start_server
from workers import front, place, python  # noqa: F401  # fixtures


@pytest.fixture
def start() -> Iterator[StartClient]:
    """`start(*options, configuration=None)` gives a client that has not shaken hands yet."""
    processes: list[subprocess.Popen[bytes]] = []

    def begin(*options: str, configuration: Any = None) -> Client:
        processes.append(start_server(*options))
        return attach(processes[-1], configuration)

    yield begin
    for process in processes:
        finish(process)


@pytest.fixture
def client(start: StartClient) -> Client:
    """A client with utf-16 positions whose server is ready."""
    ready = start()
    ready.initialize(textDocument={"inlineCompletion": {}})
    ready.wait_until_ready()
    return ready
