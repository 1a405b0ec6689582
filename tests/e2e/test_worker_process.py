"""Language servers and the worker as processes: one for all, whatever happens to it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from lsp_client import as_another_user
from workers import RECOVERY_S, VERSIONS, Front, completes_within, only_worker, ready, workers_at

from completer.worker import control, start

pytestmark = pytest.mark.skipif(not start.is_possible(), reason="needs Unix sockets")


def test_two_editors_share_one_model_and_the_front_loads_no_inference_library(front: Front, place: start.Place) -> None:
    clients = [front(), front()]
    ready(*clients)
    for client in clients:
        completes_within(client, 10)
        maps = Path(f"/proc/{client.pid}/maps")  # type: ignore[attr-defined]
        if maps.exists():
            assert not [name for name in ("libtorch", "onnxruntime") if name in maps.read_text()]
    report = control.ask(place)
    assert report is not None
    assert [(model.name, model.engine, model.n_fronts) for model in report.models] == [("words", "words", 2)]
    assert report.pid == only_worker(place).pid


def test_fronts_that_start_at_once_on_an_empty_cache_start_one_worker(front: Front, place: start.Place) -> None:
    clients = [front() for _ in range(3)]
    ready(*clients)
    assert only_worker(place).is_running()
    report = control.ask(place)
    assert report is not None and report.n_fronts == 3


def test_a_worker_that_is_killed_is_started_again_and_both_editors_complete(front: Front, place: start.Place) -> None:
    clients = [front(), front()]
    ready(*clients)
    for client in clients:
        completes_within(client, 10)
    killed = only_worker(place)
    killed.kill()
    began = time.monotonic()
    for client in clients:
        completes_within(client, RECOVERY_S)
    assert time.monotonic() - began < RECOVERY_S
    assert only_worker(place).pid != killed.pid


def test_requests_to_a_worker_that_is_stopped_are_answered_in_time_and_the_user_is_told(front: Front, place: start.Place) -> None:
    client = front(explicit_budget_ms=300, budget_ms=100)
    ready(client)
    worker = only_worker(place)
    worker.suspend()
    end, slowest_s = time.monotonic() + 10, 0.0
    while "does not answer" not in client.call("completer/status")["message"]:
        assert time.monotonic() < end
        client.type(0, 4, "x", next(VERSIONS))
        began = time.monotonic()
        assert client.inline(1, 11) == []
        slowest_s = max(slowest_s, time.monotonic() - began)
        time.sleep(0.05)
    assert slowest_s < 1.0  # the budget is 0.1 s; the machine may be busy
    worker.resume()
    completes_within(client, RECOVERY_S)
    assert client.call("completer/status")["message"] == ""


def test_a_worker_that_always_crashes_ends_in_a_clear_status(front: Front, place: start.Place) -> None:
    client = front(model="crash")
    end = time.monotonic() + 20
    while "ended before the model was loaded" not in (message := client.call("completer/status")["message"]):
        assert time.monotonic() < end, message
        time.sleep(0.05)
    assert "tried again" in message


def test_garbage_and_silence_cost_nothing(front: Front, place: start.Place) -> None:
    client = front()
    ready(client)
    worker = only_worker(place)
    before = sum(worker.cpu_times()[:2])
    for data in (b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 64, b"\x00" * 64, b"\x05\x00\x00\x00\x92\x03\xc0\xc0\xc0", b""):
        for _ in range(100):
            with socket.socket(socket.AF_UNIX) as noise:
                noise.connect(str(place.socket))
                noise.send(data)
    completes_within(client, RECOVERY_S)
    assert sum(worker.cpu_times()[:2]) - before < 2.0
    assert place.log.read_text().count("closed a connection") <= 20


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can act as another user")
def test_another_user_is_refused(front: Front, place: start.Place) -> None:
    ready(front())
    for folder in (place.socket.parent, *place.socket.parents):
        folder.chmod(folder.stat().st_mode | 0o011) if folder != Path("/") else None
    place.socket.chmod(0o666)  # even so
    script = f"""
s = socket.socket(socket.AF_UNIX); s.connect({str(place.socket)!r}); s.settimeout(5)
try:
    s.sendall(b"\\x01\\x00\\x00\\x00\\x90"); print(s.recv(10))
except OSError as error:
    print("refused", error)
"""
    said = as_another_user(script)
    place.socket.parent.chmod(0o700)
    assert said.startswith(("b''", "refused"))


def command(*words: str, python: str) -> str:
    """Run `completer …` with the setting `worker_python` in the user's file."""
    config = Path(os.environ["XDG_CONFIG_HOME"]) / "completer"
    config.mkdir(exist_ok=True)
    (config / "settings.toml").write_text(f'worker_python = "{python}"\n')
    try:
        done = subprocess.run([sys.executable, "-m", "completer", *words], capture_output=True, text=True, timeout=60)
    finally:
        (config / "settings.toml").unlink()
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_command_line_shows_stops_and_restarts_the_worker(front: Front, place: start.Place, python: str) -> None:
    assert "no engine process runs" in command("worker", "status", python=python)
    client = front()
    ready(client)
    first = only_worker(place)
    assert "words on words, clients: 1" in command("worker", "status", python=python)
    assert "ended" in command("worker", "stop", python=python)
    assert not first.is_running() or first.status() == psutil.STATUS_ZOMBIE
    completes_within(client, RECOVERY_S)  # the next key starts it again
    second = only_worker(place)
    assert "started" in command("worker", "restart", python=python)
    third = only_worker(place)
    assert len({first.pid, second.pid, third.pid}) == 3
    completes_within(client, RECOVERY_S)
    third.send_signal(signal.SIGSTOP)
    assert "ended" in command("worker", "stop", python=python)  # by force
    assert third not in workers_at(place)


def test_stats_show_language_servers_and_the_worker_with_its_slots(front: Front, place: start.Place, python: str) -> None:
    client = front()
    ready(client)
    completes_within(client, 10)
    found = json.loads(command("stats", "--json", python=python))
    assert client.pid in {server["pid"] for server in found["servers"]}  # type: ignore[attr-defined]
    assert found["worker"]["pid"] == only_worker(place).pid
    (model,) = found["worker"]["models"]
    assert (model["name"], model["n_fronts"], model["n_slots"]) == ("words", 1, 4)
    assert model["n_held"] > 0
    assert found["worker"]["memory_mb"] > 10


def test_the_worker_outlives_the_editor_that_started_it(front: Front, place: start.Place) -> None:
    first = front()
    ready(first)
    worker = only_worker(place)
    os.kill(first.pid, signal.SIGTERM)  # type: ignore[attr-defined]
    second = front()
    ready(second)
    assert only_worker(place).pid == worker.pid
