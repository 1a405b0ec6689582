"""A worker with a fake engine, and fronts that speak to it; see in_thread.py."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from completer.config import Settings
from completer.tokens.tokenizer import Tokenizer
from completer.worker.generator import WorkerGenerator
from completer.worker.server import Patience
from tests.unit.worker.in_thread import PATIENT, StartFront, StartWorker, Worker


@pytest.fixture
def start_worker(tmp_path: Path, tokenizer: Tokenizer) -> Iterator[StartWorker]:
    """`start_worker(patience)` gives a worker that is stopped at the end."""
    started: list[Worker] = []

    def begin(patience: Patience = PATIENT) -> Worker:
        started.append(Worker(tmp_path / f"{len(started)}.sock", tokenizer, patience))
        return started[-1]

    yield begin
    for worker in started:
        worker.close()


@pytest.fixture
def worker(start_worker: StartWorker) -> Worker:
    return start_worker()


@pytest.fixture
def front(worker: Worker) -> Iterator[StartFront]:
    """`front(model)` gives a generator whose model the worker holds."""
    made: list[WorkerGenerator] = []

    def begin(model: str = "tiny", attach: Callable[[], socket.socket] = worker.connect) -> WorkerGenerator:
        made.append(WorkerGenerator(attach, Settings(model=model)))
        made[-1].begin(lambda *_: None)
        return made[-1]

    yield begin
    for generator in made:
        generator.close()
