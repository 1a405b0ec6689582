"""The machine sleeps for an hour, or its clock is set: whoever waits is answered, and the next key completes."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from completer.config import Settings
from completer.worker import generator, models, server, session
from completer.worker.generator import WorkerGenerator
from completer.worker.server import Patience
from tests.unit.worker.in_thread import PROMPT, Events, StartWorker, Worker, open_gate, request, wait_until

HOUR_S = 3600.0
RECOVERY_S = 5.0


class Clock:
    """What the worker and the front read; `jump` is seen by both at once. wall_s: what the wall clock is ahead."""

    def __init__(self) -> None:
        self.ahead_s = self.wall_s = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead_s

    def time(self) -> float:
        return time.time() + self.wall_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    for module in (generator, models, server, session):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=made.monotonic, time=made.time))
    return made


def begun(worker: Worker, clock: Clock) -> WorkerGenerator:
    worker.loop.time = clock.monotonic  # type: ignore[method-assign]
    made = WorkerGenerator(worker.connect, Settings(model="tiny"))
    made.begin(lambda *_: None)
    return made


def answered(made: WorkerGenerator) -> bool:
    events = Events()
    made.submit(request(7, PROMPT), events)
    return events.until_done()[1].reason != "error"


def seconds_until(condition: Callable[[], bool]) -> float:
    began = time.monotonic()
    wait_until(condition)
    return time.monotonic() - began


def test_after_an_hour_asleep_a_request_under_way_is_answered_and_nobody_is_blamed(worker: Worker, clock: Clock) -> None:
    worker.gated = True
    made, events, blamed = begun(worker, clock), Events(), []
    made.submit(request(1, PROMPT), events)
    events.first()
    worker.call(worker.server._tick)
    time.sleep(0.3)  # until the worker has told what its slots hold: then nothing is heard of it
    clock.ahead_s = HOUR_S
    end = time.monotonic() + 3 * session.BEAT_S
    while time.monotonic() < end:
        blamed.append(made.message)
        time.sleep(0.01)
    open_gate(worker)
    assert events.until_done()[1].reason != "error"
    assert set(blamed) == {""}
    made.close()


def test_a_model_that_was_unloaded_while_asleep_comes_back_with_the_next_key(start_worker: StartWorker, clock: Clock) -> None:
    worker = start_worker(Patience(HOUR_S / 4, 600 * HOUR_S))
    made = begun(worker, clock)
    assert answered(made)
    clock.ahead_s = HOUR_S
    worker.call(worker.server._tick)
    wait_until(lambda: worker.models[0].is_closed)
    assert seconds_until(lambda: answered(made)) < RECOVERY_S
    assert made.message == ""
    made.close()


@pytest.mark.parametrize("jump_s", [-365 * 24 * HOUR_S, 365 * 24 * HOUR_S])
def test_a_wall_clock_that_is_set_disturbs_nothing(worker: Worker, clock: Clock, jump_s: float) -> None:
    made = begun(worker, clock)
    assert answered(made)
    clock.wall_s = jump_s
    assert answered(made) and made.message == ""
    made.close()
