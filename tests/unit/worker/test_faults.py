"""What becomes of requests and fronts when the worker is gone, idle, stuck, or another one."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable

import pytest

from completer.config import Settings
from completer.errors import UnsupportedModel, WorkerLost
from completer.system import backoff
from completer.system.backoff import Backoff
from completer.worker import generator, session
from completer.worker.generator import WorkerGenerator
from completer.worker.server import Patience
from tests.unit.worker.in_thread import PROMPT, Events, StartWorker, Worker, open_gate, request, wait_until


class Switch:
    """Where fronts attach to: `to` a worker, or to none. n: attempts."""

    def __init__(self, to: Worker | None) -> None:
        self.to = to
        self.n = 0

    def __call__(self) -> socket.socket:
        self.n += 1
        if self.to is None:
            raise WorkerLost("the engine process cannot be started")
        return self.to.connect()


def begun(attach: Callable[[], socket.socket]) -> WorkerGenerator:
    made = WorkerGenerator(attach, Settings(model="tiny"), lambda: "its last words")
    made.begin(lambda *_: None)
    return made


def break_connections(worker: Worker) -> None:
    """Cut all connections, as a crash does."""
    for connection in list(worker.server._connections):
        connection.channel.abort()


def answered(made: WorkerGenerator, number: int) -> bool:
    events = Events()
    made.submit(request(number, PROMPT), events)
    return events.until_done()[1].reason != "error"


def test_pending_requests_end_as_errors_when_the_worker_is_gone_and_the_next_ones_are_answered(worker: Worker) -> None:
    worker.gated = True
    made = begun(Switch(worker))
    listeners = [Events() for _ in range(3)]
    for number, events in enumerate(listeners, start=1):
        made.submit(request(number, PROMPT), events)
        if number == 1:
            events.first()  # it is at the gate; the others wait
    break_connections(worker)
    assert [events.until_done()[1].reason for events in listeners] == ["error"] * 3
    open_gate(worker)
    wait_until(lambda: made.message == "")
    assert answered(made, 9)
    assert all(events.n_waiting == 0 for events in listeners)  # nothing was submitted again
    made.close()


def test_a_new_worker_holds_nothing(worker: Worker, start_worker: StartWorker) -> None:
    attach = Switch(worker)
    made = begun(attach)
    assert answered(made, 1)
    assert made.n_cached(PROMPT) == len(PROMPT)
    attach.to = start_worker()
    break_connections(worker)
    wait_until(lambda: made.message == "" and made.n_cached(PROMPT) == 0)
    assert answered(made, 2)
    made.close()


def test_while_there_is_no_worker_requests_end_at_once_and_the_user_is_told(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backoff, "LONGEST_S", 0.0)
    attach = Switch(worker)
    made = begun(attach)
    attach.to = None
    break_connections(worker)
    wait_until(lambda: f"{backoff.MANY} failures in a row" in made.message)
    assert "the engine process cannot be started" in made.message and "its last words" in made.message
    n_attempts = attach.n
    time.sleep(0.1)
    assert attach.n == n_attempts  # it is left alone until somebody types
    assert not answered(made, 1)
    wait_until(lambda: attach.n == n_attempts + 1)
    attach.to = worker
    assert not answered(made, 2)
    wait_until(lambda: made.message == "")
    assert answered(made, 3)
    made.close()


def test_delays_grow_and_a_worker_that_lived_for_long_starts_them_anew() -> None:
    back = Backoff()
    delays = []
    for _ in range(9):
        back.failed(lived_s=0.0)
        delays.append(back.delay_s)
    assert delays == [0, 1, 2, 4, 8, 16, 32, 60, 60]
    back.failed(lived_s=backoff.LIVED_S)
    assert back.delay_s == 0 and not back.is_hopeless


def test_an_idle_model_is_unloaded_and_comes_back_with_the_next_request(start_worker: StartWorker) -> None:
    worker = start_worker(Patience(0.2, 600.0))
    attach = Switch(worker)
    made = begun(attach)
    wait_until(lambda: made._session is None)
    wait_until(lambda: worker.models[0].is_closed)
    assert (made.message, attach.n) == ("", 1)
    assert not answered(made, 1)
    wait_until(lambda: made._session is not None)
    assert answered(made, 2)
    made.close()


def test_a_model_that_works_is_not_unloaded(start_worker: StartWorker) -> None:
    worker = start_worker(Patience(0.2, 600.0))
    worker.gated = True
    made, events = begun(Switch(worker)), Events()
    made.submit(request(1, PROMPT), events)
    events.first()
    time.sleep(0.6)
    assert not worker.models[0].is_closed
    open_gate(worker)
    assert events.until_done()[1].reason != "error"
    made.close()


def test_a_worker_that_nobody_needs_ends(start_worker: StartWorker) -> None:
    worker = start_worker(Patience(0.1, 0.3))
    made = begun(Switch(worker))
    worker.wait_until_ended()
    wait_until(lambda: made._session is None)
    assert made.message == ""
    made.close()


def test_a_worker_that_does_not_answer_is_told_and_its_requests_are_given_up(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, seconds in (("BEAT_S", 0.02), ("QUIET_S", 0.05), ("STALLED_S", 0.2)):
        monkeypatch.setattr(session, name, seconds)
    made, stuck, go_on = begun(Switch(worker)), threading.Event(), threading.Event()
    worker.call(lambda: (stuck.set(), go_on.wait(20))[0])
    assert stuck.wait(20)
    assert not answered(made, 1)
    assert "does not answer" in made.message
    assert not answered(made, 2)
    go_on.set()
    wait_until(lambda: made.message == "")
    assert answered(made, 3)
    made.close()


def test_a_busy_engine_is_not_taken_for_one_that_does_not_answer(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (("BEAT_S", 0.02), ("QUIET_S", 0.05), ("STALLED_S", 0.4)):
        monkeypatch.setattr(session, name, seconds)
    worker.gated = True
    made, events = begun(Switch(worker)), Events()
    made.submit(request(1, PROMPT), events)
    events.first()
    time.sleep(1.0)
    assert (made.message, events.n_waiting) == ("", 0)
    open_gate(worker)
    assert events.until_done()[1].reason != "error"
    made.close()


def test_another_vocabulary_after_a_restart_is_never_mixed_with_ours(
    worker: Worker, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    attach = Switch(worker)
    made = begun(attach)
    attach.to = start_worker()
    monkeypatch.setattr("tests.unit.worker.in_thread.checksum", lambda _: 1)
    break_connections(worker)
    wait_until(lambda: "replaced by another one" in made.message)
    assert not answered(made, 1)
    made.close()


def test_an_error_of_loading_again_is_told(worker: Worker, start_worker: StartWorker) -> None:
    attach = Switch(worker)
    made = begun(attach)
    attach.to = start_worker()
    attach.to.failure = UnsupportedModel("the file is gone")
    break_connections(worker)
    wait_until(lambda: "the file is gone" in made.message)
    made.close()


def test_closing_while_it_is_down_ends_the_thread(worker: Worker) -> None:
    attach = Switch(worker)
    made = begun(attach)
    attach.to = None
    break_connections(worker)
    wait_until(lambda: attach.n > 1)
    made.close()
    assert made._thread is not None
    made._thread.join(generator.CLOSE_S)
    assert not made._thread.is_alive()
