"""A worker with a fake engine, in a thread of the test and over a real socket, and what tests need to speak to it."""

from __future__ import annotations

import asyncio
import queue
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

from completer.config import Settings
from completer.engines.base import CostCurve
from completer.generate.scheduler import LocalGenerator
from completer.tokens.tokenizer import Tokenizer
from completer.tokens.vocabulary import checksum
from completer.types import Done, Progress, Prompt, Request, StopRule, Tokens
from completer.worker.generator import WorkerGenerator
from completer.worker.server import Patience, Server
from completer.worker.wire import Ready, Vocabulary
from tests.fake_engine import FakeEngine
from tests.gate import GatedEngine

TIMEOUT_S = 20.0
PATIENT = Patience(600.0, 600.0)


class FakeModel:
    """See `completer.worker.models.Hosted`."""

    def __init__(self, tokenizer: Tokenizer, engine: FakeEngine, name: str) -> None:
        self.engine = engine
        self.generator = LocalGenerator(engine, tokenizer)
        self.vocab_size = tokenizer.vocab_size
        words = Vocabulary("nowhere/tokenizer.json", "", False, checksum(tokenizer.token_bytes))
        self.description = Ready(name, "fake", engine.max_len, True, words, engine.costs)
        self.trouble = ""
        self.is_closed = False

    def costs(self) -> CostCurve:
        return self.engine.costs

    def message(self) -> str:
        return self.trouble or self.generator.message

    def close(self) -> None:
        self.is_closed = True
        self.generator.close()


class Worker:
    """A server in a thread. models: what it has loaded.  failure: what loading raises instead.  gated: its forwards wait."""

    def __init__(self, path: Path, tokenizer: Tokenizer, patience: Patience = PATIENT) -> None:
        self.path = path
        self.models: list[FakeModel] = []
        self.failure: BaseException | None = None
        self.gated = False
        self.may_load = threading.Event()
        self.may_load.set()
        self._tokenizer = tokenizer
        self._patience = patience
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(path))
        self._listening.listen()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._ready.wait(TIMEOUT_S)

    def connect(self) -> socket.socket:
        connected = socket.socket(socket.AF_UNIX)
        connected.connect(str(self.path))
        return connected

    def call(self, function: Callable[[], None]) -> None:
        """Run something on the worker's event loop."""
        self.loop.call_soon_threadsafe(function)

    def wait_until_ended(self) -> None:
        self._thread.join(TIMEOUT_S)
        assert not self._thread.is_alive()

    def close(self) -> None:
        self.may_load.set()
        for model in self.models:
            if isinstance(model.engine, GatedEngine):
                model.engine.open()
        if self._thread.is_alive():
            self.call(self.server.stop)
        self.wait_until_ended()
        self._listening.close()

    def _run(self) -> None:
        async def main() -> None:
            self.loop = asyncio.get_running_loop()
            self.server = Server(self._listening, self._load, lambda _: self._patience)
            self.loop.call_soon(self._ready.set)
            await self.server.serve()

        asyncio.run(main())

    def _load(self, settings: Settings, progress: Progress) -> FakeModel:
        progress("reading", 1, 2)
        while not self.may_load.wait(0.01):
            progress("reading", 1, 2)
        if self.failure is not None:
            raise self.failure
        engine = GatedEngine() if self.gated else FakeEngine(self._tokenizer.vocab_size)
        self.models.append(FakeModel(self._tokenizer, engine, settings.model))
        return self.models[-1]


class Events:
    """Takes the events of requests, and waits for them."""

    def __init__(self) -> None:
        self._queue: queue.Queue[Tokens | Done] = queue.Queue()

    def __call__(self, event: Tokens | Done) -> None:
        self._queue.put(event)

    def until_done(self) -> tuple[list[int], Done]:
        """Return the tokens of a request and how it ended."""
        ids: list[int] = []
        while isinstance(event := self._queue.get(timeout=TIMEOUT_S), Tokens):
            ids += [token.id for token in event.tokens]
        return ids, event

    def first(self) -> Tokens | Done:
        return self._queue.get(timeout=TIMEOUT_S)

    @property
    def n_waiting(self) -> int:
        return self._queue.qsize()


def request(number: int, ids: tuple[int, ...], n: int = 6, session: str = "a.py", priority: int = 0) -> Request:
    return Request(number, session, Prompt(ids, n_fixed=len(ids)), StopRule(max_tokens=n, single_line=False), priority)


PROMPT = tuple(range(5, 45))


def wait_until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def open_gate(worker: Worker) -> None:
    engine = worker.models[0].engine
    assert isinstance(engine, GatedEngine)
    engine.open()


StartWorker = Callable[..., Worker]
StartFront = Callable[..., WorkerGenerator]
