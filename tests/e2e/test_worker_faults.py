"""What happens to the worker's process from outside: memory, files, its socket, its folders. Done for real."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from lsp_client import Client
from workers import RECOVERY_S, VERSIONS, Front, completes_within, only_worker, ready, workers_at

from completer.worker import start

pytestmark = pytest.mark.skipif(not start.is_possible(), reason="needs Unix sockets")
by_root = pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="only root can mount a file system")

CALM_S = 3.0


def told(client: Client, words: str, within_s: float = 20.0) -> str:
    """Wait until the status says `words`; return all that it says."""
    end = time.monotonic() + within_s
    while words not in (message := client.call("completer/status")["message"]):
        assert time.monotonic() < end, message
        time.sleep(0.05)
    return str(message)


def key(client: Client) -> list[object]:
    """Type, ask, and return what is suggested; the answer may not take longer than a second."""
    client.type(0, 4, "x", next(VERSIONS))
    began = time.monotonic()
    items = client.inline(1, 11, trigger_kind=1)
    assert time.monotonic() - began < 2.5  # the budget is 1 s; the machine may be busy
    return list(items)


@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are real on Linux only")
def test_memory_that_runs_out_at_load_is_told_and_completions_come_when_there_is_some(front: Front, python: str) -> None:
    client = front(model="hungry")
    assert "close other programs" in told(client, "out of memory")
    assert key(client) == []
    (Path(python).parent / "memory").touch()
    completes_within(client, 2 * RECOVERY_S + 5)  # the wait grows from 5 s on, because each attempt loads a model


@pytest.mark.parametrize("kind", ["MemoryError", "SystemExit", "KeyboardInterrupt", "GeneratorExit", "OSError"])
def test_an_engine_may_raise_anything_and_the_same_worker_answers_the_next_key(
    front: Front, place: start.Place, kind: str
) -> None:
    client = front()
    ready(client)
    worker = only_worker(place)
    fail = Path(place.interpreter).parent / "fail"
    fail.write_text(kind)
    end = time.monotonic() + 10
    while fail.exists():
        assert time.monotonic() < end
        key(client)
    completes_within(client, RECOVERY_S)
    assert only_worker(place).pid == worker.pid
    assert client.call("completer/status")["message"] == ""


def test_a_model_file_that_is_cut_while_it_is_mapped_costs_a_worker_and_nothing_else(front: Front, place: start.Place) -> None:
    clients = [front(model="mapped"), front(model="mapped")]
    ready(*clients)
    for client in clients:
        completes_within(client, RECOVERY_S)
    first = only_worker(place)
    os.truncate(Path(place.interpreter).parent / "weights", 0)
    for client in clients:
        completes_within(client, RECOVERY_S)
    assert only_worker(place).pid != first.pid  # a page that is gone ends a process: SIGBUS


def test_a_worker_that_crashes_at_each_key_is_left_alone_and_the_status_tells_why(front: Front, place: start.Place) -> None:
    client = front()
    ready(client)
    kill = Path(place.interpreter).parent / "kill"
    kill.touch()
    seen: set[int] = set()
    end = time.monotonic() + 30
    while "failures in a row" not in (message := client.call("completer/status")["message"]):
        assert time.monotonic() < end, message
        assert key(client) == []
        seen |= {process.pid for process in workers_at(place)}
        time.sleep(0.02)
    assert "Fatal Python error: Segmentation fault" in message
    assert len(seen) <= 6
    calm_until = time.monotonic() + CALM_S
    while time.monotonic() < calm_until:  # nobody types: nothing is started
        assert not workers_at(place)
        time.sleep(0.1)
    kill.unlink()
    key(client)
    completes_within(client, 10)


def test_a_worker_whose_socket_was_removed_gives_way_to_one_that_all_find(front: Front, place: start.Place) -> None:
    first = front()
    ready(first)
    lost = only_worker(place)
    place.socket.unlink()
    second = front()
    ready(second)
    completes_within(second, RECOVERY_S)
    end = time.monotonic() + RECOVERY_S
    while lost.pid in {process.pid for process in workers_at(place)}:
        assert time.monotonic() < end  # two models in memory
        time.sleep(0.05)
    completes_within(first, RECOVERY_S)
    assert only_worker(place).pid != lost.pid


def test_a_worker_that_is_stopped_while_it_loads_is_told_and_goes_on(front: Front, place: start.Place) -> None:
    client = front()
    end = time.monotonic() + 20
    while not workers_at(place):
        assert time.monotonic() < end
    worker = only_worker(place)
    worker.send_signal(signal.SIGSTOP)
    began = time.monotonic()
    assert client.call("completer/status")["state"] in ("loading", "downloading", "ready")
    assert time.monotonic() - began < 1.0
    worker.send_signal(signal.SIGCONT)
    completes_within(client, 2 * RECOVERY_S)
    assert only_worker(place).pid == worker.pid


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """`mounted(options)` gives a file system of its own in memory."""
    folders: list[Path] = []

    def mount(options: str) -> Path:
        folders.append(tmp_path / f"disk{len(folders)}")
        folders[-1].mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folders[-1])], check=False).returncode != 0:
            pytest.skip("nothing can be mounted here")
        return folders[-1]

    yield mount
    for folder in folders:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@by_root
@pytest.mark.parametrize("options", ["ro", "size=4k"], ids=["read-only", "full"])
def test_a_cache_and_a_home_that_cannot_be_written_cost_no_completion(
    python: str, options: str, mounted: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    folder = mounted(options)
    if options != "ro":
        (folder / "filler").write_bytes(bytes(4096))
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("COMPLETER_CACHE", str(folder / "cache"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    client = request.getfixturevalue("front")()
    ready(client)
    completes_within(client, RECOVERY_S)


def test_without_a_home_folder_completions_come(
    python: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    for name in ("HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    client = request.getfixturevalue("front")()
    ready(client)
    completes_within(client, RECOVERY_S)


@by_root
def test_a_log_on_a_full_disk_disturbs_nobody(
    python: str, mounted: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    folder = mounted("size=64k")
    monkeypatch.setenv("COMPLETER_CACHE", str(folder))
    client = request.getfixturevalue("front")()
    ready(client)
    place = request.getfixturevalue("place")
    with contextlib.suppress(OSError):
        (folder / "filler").write_bytes(bytes(1 << 20))
    fail = Path(place.interpreter).parent / "fail"
    for _ in range(3):  # each is a traceback in the log
        fail.touch()
        while fail.exists():
            key(client)
    completes_within(client, RECOVERY_S)
