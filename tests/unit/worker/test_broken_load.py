"""Loading that fails in any way, memory that runs out, a socket that is gone, no file descriptors: told, and got over."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from completer.cli import makers
from completer.cli.makers import Makers
from completer.config import Settings
from completer.errors import CompleterError, DiskFull, DownloadCancelled, EngineError, OutOfMemory
from completer.worker import front, server, start
from completer.worker.generator import WorkerGenerator
from tests.unit.worker.in_thread import PROMPT, Events, StartFront, StartWorker, Worker, request, wait_until


@pytest.mark.parametrize(
    ("failure", "kind", "says"),
    [
        (MemoryError(), OutOfMemory, "out of memory: close other programs"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"), OutOfMemory, "out of memory"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), OutOfMemory, "out of memory"),
        (SystemExit(2), EngineError, "SystemExit: 2"),
        (KeyboardInterrupt(), EngineError, "KeyboardInterrupt"),
        (ZeroDivisionError("by zero"), EngineError, "ZeroDivisionError: by zero"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_whatever_loading_raises_reaches_the_front_and_the_next_one_loads(
    worker: Worker, front: StartFront, failure: BaseException, kind: type[CompleterError], says: str
) -> None:
    worker.failure = failure
    made = WorkerGenerator(worker.connect, Settings(model="tiny"))
    with pytest.raises(kind, match=says):
        made.begin(lambda *_: None)
    worker.failure = None
    events = Events()
    front().submit(request(1, PROMPT), events)
    assert events.until_done()[1].reason != "error"


@pytest.mark.parametrize("error", [OutOfMemory("no memory"), DiskFull("no space")])
def test_memory_and_disk_space_are_waited_for_with_a_clear_status(error: CompleterError, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[tuple[str, float]] = []
    monkeypatch.setattr(makers, "_wait", lambda why, for_s, _: waits.append((why, for_s)))
    answers: list[Callable[[], Any]] = [raising(error)] * 6 + [lambda: "made"]
    monkeypatch.setattr(front, "make_completer", lambda *_: answers.pop(0)())
    monkeypatch.setattr(start, "place_of", lambda _: start.Place(Path("s"), Path("log"), Path("err")))
    assert Makers().make(Settings(), lambda *_: None) == "made"  # type: ignore[comparison-overlap]
    assert [for_s for _, for_s in waits] == [5, 10, 20, 40, 60, 60]
    assert waits[0][0] == f"{error}; tried again after 5 s"


def raising(error: BaseException) -> Callable[[], Any]:
    def fail() -> None:
        raise error

    return fail


def test_a_worker_whose_socket_is_gone_ends_and_the_next_key_is_served_by_another(
    start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "TICK_S", 0.02)
    workers = [start_worker()]
    made = WorkerGenerator(lambda: workers[-1].connect(), Settings(model="tiny"))
    made.begin(lambda *_: None)
    workers[0].path.unlink()
    workers[0].wait_until_ended()  # else it would hold a second model in memory, for an hour, and nobody would find it
    workers.append(start_worker())

    def is_answered() -> bool:
        events = Events()
        made.submit(request(1, PROMPT), events)
        return events.until_done()[1].reason != "error"

    wait_until(is_answered)
    assert made.message == ""
    made.close()


def test_without_file_descriptors_the_worker_rests_and_then_accepts(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "ACCEPT_AGAIN_S", 0.2)
    n_tries = 0
    listening = worker.server._listening

    class Full:
        """The listening socket of a process that has no file descriptor left for the first three connections."""

        def accept(self) -> tuple[socket.socket, Any]:
            nonlocal n_tries
            n_tries += 1
            if n_tries <= 3:
                raise OSError(errno.EMFILE, "Too many open files")
            return listening.accept()

        def __getattr__(self, name: str) -> Any:
            return getattr(listening, name)

    worker.server._listening = Full()  # type: ignore[assignment]
    made = WorkerGenerator(worker.connect, Settings(model="tiny"))
    made.begin(lambda *_: None)
    assert n_tries == 4  # once for each pause, not as often as the loop turns
    made.close()


def test_a_client_that_leaves_is_not_kept_by_the_wait_for_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front, "make_completer", lambda *_: raising(OutOfMemory("no memory"))())

    def report(*_: object) -> None:
        raise DownloadCancelled("nobody waits")

    with pytest.raises(DownloadCancelled):
        Makers().make(Settings(), report)


def test_the_last_words_of_a_crash_name_the_signal_and_not_the_end_of_its_stacks(tmp_path: Path) -> None:
    place = start.Place(tmp_path / "s", tmp_path / "log", tmp_path / "err")
    stacks = "".join(f'  File "lib{n}.py", line {n} in call\n' for n in range(500))
    place.errors.write_text(f"a library warns\nFatal Python error: Bus error\n\nThread 0x1:\n{stacks}Extension modules: numpy\n")
    assert start.last_words(place) == f"Fatal Python error: Bus error (see {place.errors})"
