"""What the way to the worker costs: the same requests to a generator in this process and to one in a process of its own.

The engine is not a model: each forward sleeps for as long as one of a small model takes, so that both ways decode the same
tokens in the same time, and what is left between them is the transport. Requests alternate between the two.
"""

from __future__ import annotations

import random
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from bench import options as o
from bench.provenance import provenance
from completer.config import Settings
from completer.engines.base import CostCurve, Logits
from completer.generate.generator import Generator
from completer.generate.scheduler import LocalGenerator
from completer.models.store import locate
from completer.tokens.tokenizer import Tokenizer
from completer.types import Done, Progress, Prompt, Request, StopRule, Tokens
from completer.worker.generator import WorkerGenerator
from completer.worker.server import Server
from completer.worker.wire import Ready, Vocabulary

FORWARD_S = 0.004
PROMPT_TOKENS = 960
TEXT_TOKENS = 8_000
N_TEXTS = 4
ANSWER_TOKENS = 4
START_S = 60.0


class EvenEngine:
    """A `StepEngine`. Every forward takes FORWARD_S and finds the same few tokens likeliest, in turn."""

    name = "even"
    n_slots = 10
    max_len = 2048

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.vocab_size = tokenizer.vocab_size
        self.costs = CostCurve({1: 1e3 * FORWARD_S, 16: 1e3 * FORWARD_S}, 0.01)
        self._lengths = [0] * self.n_slots

    def forward(self, slot: int, ids: Sequence[int], n_logits: int) -> Logits:
        time.sleep(FORWARD_S)
        self._lengths[slot] += len(ids)
        rows = np.zeros((n_logits, self.vocab_size), np.float32)
        for row in range(n_logits):
            rows[row, 100 + (self._lengths[slot] - n_logits + row) % 50] = 20.0
        return rows

    def prefill(self, slot: int, ids: Sequence[int]) -> Iterator[None]:
        self._lengths[slot] += len(ids)
        yield

    def length(self, slot: int) -> int:
        return self._lengths[slot]

    def truncate(self, slot: int, length: int) -> int:
        self._lengths[slot] = min(length, self._lengths[slot])
        return self._lengths[slot]

    def copy(self, src: int, dst: int, length: int) -> None:
        self._lengths[dst] = length

    def close(self) -> None:
        """There is nothing to free."""


class Even:
    """The engine as a worker hosts it; see `completer.worker.models.Hosted`."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        engine = EvenEngine(tokenizer)
        self.generator = LocalGenerator(engine, tokenizer)
        self.vocab_size = tokenizer.vocab_size
        self.description = Ready("even", "even", engine.max_len, True, Vocabulary("", "", False, 0), engine.costs)

    def costs(self) -> CostCurve:
        return self.description.costs

    def message(self) -> str:
        return self.generator.message

    def close(self) -> None:
        self.generator.close()


@dataclass(slots=True)
class Way:
    """One way to the engine. first_ms, done_ms: from the submission to the first token and to the end."""

    generator: Generator
    first_ms: list[float] = field(default_factory=list)
    done_ms: list[float] = field(default_factory=list)
    submit_ms: list[float] = field(default_factory=list)

    def ask(self, request: Request) -> None:
        """Submit one request and wait for its end. Mutates: the times."""
        done = threading.Event()
        times: list[float] = []

        def on_event(event: Tokens | Done) -> None:
            if isinstance(event, Done) or (event.tokens and not times):
                times.append(time.perf_counter())
            if isinstance(event, Done):
                done.set()

        began = time.perf_counter()
        self.generator.submit(request, on_event)
        self.submit_ms.append((time.perf_counter() - began) * 1e3)
        assert done.wait(START_S)
        self.first_ms.append((times[0] - began) * 1e3)
        self.done_ms.append((times[-1] - began) * 1e3)

    def summary(self) -> dict[str, dict[str, float]]:
        named = {"submit_ms": self.submit_ms, "first_ms": self.first_ms, "done_ms": self.done_ms}
        return {name: {"p50": statistics.median(all_), "p95": _p95(all_)} for name, all_ in named.items()}


def worker(
    requests: Annotated[int, typer.Option(help="Requests each way.")] = 500,
    model: Annotated[str, typer.Option(help="Whose vocabulary.")] = "qwen2.5-coder-0.5b",
) -> None:
    """Compare a generator in this process with one in a worker: what the transport adds to each request."""
    path = locate(model).converted / "tokenizer.json"
    tokenizer = Tokenizer.load_quickly(path)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "w.sock"
        process = subprocess.Popen([sys.executable, "-m", "bench.worker", str(place), str(path)])
        try:
            front = WorkerGenerator(lambda: _connect(place), Settings())
            front.begin(lambda *_: None)
            ways = {"in-process": Way(LocalGenerator(EvenEngine(tokenizer), tokenizer)), "worker": Way(front)}
            _type(ways, requests)
        finally:
            process.terminate()
            process.wait()
    for way in ways.values():
        way.generator.close()
    found = {name: way.summary() for name, way in ways.items()}
    here, there = ways["in-process"], ways["worker"]
    added = {
        "first_ms": _added(here.first_ms, there.first_ms),
        "done_ms": _added(here.done_ms, there.done_ms),
    }
    o.finish({**provenance(), "requests": requests, "ways": found, "added": added})


def _type(ways: dict[str, Way], n: int) -> None:
    """Ask each way for the same growing prompts, with the same texts for drafts."""
    numbers = random.Random(1)
    texts = tuple(tuple(numbers.randrange(1000, 50_000) for _ in range(TEXT_TOKENS)) for _ in range(N_TEXTS))
    prompt = [numbers.randrange(1000, 50_000) for _ in range(PROMPT_TOKENS)]
    for i in range(n):
        prompt.append(numbers.randrange(1000, 50_000))
        if len(prompt) > PROMPT_TOKENS + 100:
            del prompt[PROMPT_TOKENS:]
        asked = Prompt(tuple(prompt), n_fixed=PROMPT_TOKENS)
        for way in ways.values():
            way.ask(Request(i + 1, "a.py", asked, StopRule(max_tokens=ANSWER_TOKENS, single_line=False), corpus_ids=texts))


def _added(here: list[float], there: list[float]) -> dict[str, float]:
    return {"p50": statistics.median(there) - statistics.median(here), "p95": _p95(there) - _p95(here)}


def _p95(values: list[float]) -> float:
    return float(np.percentile(values, 95))


def _connect(place: Path) -> socket.socket:
    end = time.monotonic() + START_S
    while True:
        connected = socket.socket(socket.AF_UNIX)
        try:
            connected.connect(str(place))
        except OSError:
            connected.close()
            if time.monotonic() > end:
                raise
            time.sleep(0.05)
        else:
            return connected


def _serve(place: Path, vocabulary: Path) -> None:
    """Be the worker."""
    import asyncio

    sys.setswitchinterval(0.001)  # as in `completer worker run`

    def load(settings: Settings, progress: Progress) -> Even:
        return Even(Tokenizer.load_quickly(vocabulary))

    async def serve() -> None:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(place))
            listening.listen()
            await Server(listening, load).serve()

    asyncio.run(serve())


if __name__ == "__main__":
    _serve(Path(sys.argv[1]), Path(sys.argv[2]))
