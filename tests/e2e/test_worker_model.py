"""The worker with the real model: one in memory for two editors, and back after a crash."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from lsp_client import Client, attach, finish, marked, start_process

from completer.worker import control, start

pytestmark = [pytest.mark.model, pytest.mark.skipif(not start.is_possible(), reason="needs Unix sockets")]

MODEL = "qwen2.5-coder-0.5b"
TEXT = "def add(left: int, right: int) -> int:\n    return le"
RECOVERY_S = 60.0
"""Most of it loads the model; on a machine that is not busy, 5 s in all."""


@pytest.fixture
def clients(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Client]]:
    """Two editors with a worker of their own, which is gone at the end."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("w")))
    processes: list[subprocess.Popen[bytes]] = []
    made = []
    for n in range(2):
        processes.append(start_process("-m", "completer", "lsp"))
        made.append(attach(processes[-1]))
        settings = {"model": MODEL, "budget_ms": 20_000, "explicit_budget_ms": 60_000, "confidence": 0}
        made[-1].initialize(textDocument={"inlineCompletion": {}}, settings=marked(settings))
        made[-1].open(TEXT, uri=f"file:///project/{n}.py")
    yield made
    assert all(finish(process)[0] == 0 for process in processes)
    control.stop(start.place_of())


def completes(client: Client, uri: str, within_s: float) -> None:
    end = time.monotonic() + within_s
    while not (items := client.inline(1, 13, uri=uri, trigger_kind=1)):
        assert time.monotonic() < end, client.call("completer/status")
        time.sleep(0.05)
    assert items[0]["insertText"].startswith("ft + right")


def test_two_editors_hold_one_model_and_complete_again_after_it_was_killed(clients: list[Client]) -> None:
    for n, client in enumerate(clients):
        client.wait_until_ready()
        completes(client, f"file:///project/{n}.py", 60)
    report = control.ask(start.place_of())
    assert report is not None
    assert [(model.name, model.n_fronts) for model in report.models] == [(MODEL, 2)]
    psutil.Process(report.pid).kill()
    for n, client in enumerate(clients):
        client.type(0, 4, "x", 2, uri=f"file:///project/{n}.py")  # another text: nothing is known of it
    for n, client in enumerate(clients):
        completes(client, f"file:///project/{n}.py", RECOVERY_S)
    again = control.ask(start.place_of())
    assert again is not None and again.pid != report.pid
    maps = Path(f"/proc/{again.pid}/maps")
    assert not maps.exists() or "onnxruntime" in maps.read_text()
