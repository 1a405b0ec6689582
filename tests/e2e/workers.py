"""Language servers and their worker as processes, with a fake engine (fake_worker.py): fixtures of several test files."""

from __future__ import annotations

import itertools
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest
from fake_worker import interpreter
from lsp_client import Client, attach, finish, marked, start_process

from completer.worker import control, start

VERSIONS = itertools.count(2)
TEXT = "def print_total(items):\n    return \n"
RECOVERY_S = 5.0
"""Until completions come again, once the cause is gone."""


@pytest.fixture
def python(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> str:
    """An interpreter whose worker has a fake engine; cache and runtime folder are the test's own."""
    folder = tmp_path_factory.mktemp("w")  # short: it becomes part of a socket's name
    monkeypatch.setenv("COMPLETER_CACHE", str(folder / "cache"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    return str(interpreter(folder))


@pytest.fixture
def place(python: str) -> Iterator[start.Place]:
    """Where the worker listens. It is stopped at the end, and must be gone."""
    found = start.place_of(python)
    yield found
    for worker in workers_at(found):
        worker.resume()
    end = time.monotonic() + 20
    while workers_at(found) and time.monotonic() < end:  # one that was starting may listen only now
        control.stop(found)
        time.sleep(0.05)
    assert not workers_at(found)


def workers_at(place: start.Place) -> list[psutil.Process]:
    """Return the worker processes that were told to listen there."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        line = process.info["cmdline"] or []
        if "run" in line and str(place.socket) in line and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found


Front = Callable[..., Client]


@pytest.fixture
def front(python: str, place: start.Place) -> Iterator[Front]:
    """`front()` gives a client whose server is about to be ready."""
    processes: list[subprocess.Popen[bytes]] = []

    def begin(**settings: Any) -> Client:
        processes.append(start_process("-m", "completer", "lsp", "--set", f"worker_python={python}", "--set", "model=words"))
        client = attach(processes[-1])
        client.initialize(
            textDocument={"inlineCompletion": {}}, settings=marked({"budget_ms": 1000, "confidence": 0, **settings})
        )
        client.open(TEXT)
        client.pid = processes[-1].pid  # type: ignore[attr-defined]
        return client

    yield begin
    codes = [finish(process) for process in processes]
    assert all(code in (0, -signal.SIGTERM) for code, _ in codes), codes


def ready(*clients: Client) -> None:
    for client in clients:
        client.wait_until_ready()
        assert client.call("completer/status")["state"] == "ready", client.call("completer/status")


def only_worker(place: start.Place) -> psutil.Process:
    (worker,) = workers_at(place)
    return worker


def completes_within(client: Client, seconds: float) -> float:
    """Ask until the model suggests something; return how long that took."""
    began = time.monotonic()
    while True:
        client.type(0, 4, "x", next(VERSIONS))  # another text each time: nothing is known of it
        if client.inline(1, 11, trigger_kind=1):
            return time.monotonic() - began
        assert time.monotonic() - began < seconds, client.call("completer/status")
