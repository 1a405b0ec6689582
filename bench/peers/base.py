"""What the adapters of HTTP peers share: the process, the clock, and records filled from an answer."""

from __future__ import annotations

import asyncio
from time import perf_counter

from bench.client import Json
from bench.document import Document
from bench.peers.http import LlamaServer
from bench.screen import Record, Screen


class HttpPeer:
    """Base of the adapters; a subclass gives `event`, and starts its requests with `_begin`."""

    def __init__(self, name: str, server: LlamaServer) -> None:
        self.name = name
        self.server = server
        self.screen = Screen()
        self.info: Json = {}
        self._origin_s = 0.0
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def pid(self) -> int | None:
        return self.server.pid

    async def start(self, origin_s: float) -> None:
        """Start the server and load its model. Raises: PeerError."""
        self._origin_s = origin_s
        begun = perf_counter()
        self.info = await self.server.start()
        self.info["start_ms"] = round((perf_counter() - begun) * 1e3, 1)

    async def stop(self) -> None:
        """End what is under way, then the server."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.server.stop()

    def open(self, document: Document) -> None:
        """Nothing to tell a server that gets its context with each request."""

    def close(self, document: Document) -> None:
        """Nothing to tell a server that gets its context with each request."""

    async def settle(self, timeout_s: float) -> bool:
        """Wait until no request is under way; False when the time was not enough."""
        deadline = perf_counter() + timeout_s
        while self._busy():
            if perf_counter() > deadline:
                return False
            await asyncio.sleep(0.001)
        return True

    async def stages(self) -> list[Json]:
        """Always empty: the records are filled from the answers themselves."""
        return []

    def _busy(self) -> bool:
        return bool(self._tasks)

    def _now_ms(self) -> float:
        return (perf_counter() - self._origin_s) * 1e3

    def _begin(self, work: asyncio.Task[None]) -> None:
        self._tasks.add(work)
        work.add_done_callback(self._tasks.discard)


def fill_stages(record: Record, answer: Json) -> None:
    """Put the counts and times of a llama.cpp answer into `record`, under the names of our own stage traces.

    `timings` may be an object, or flattened to "timings/..." by `response_fields`.
    """
    timings = answer.get("timings") or {k.removeprefix("timings/"): v for k, v in answer.items()}
    fed, generated = int(timings.get("prompt_n") or 0), int(timings.get("predicted_n") or 0)
    prefill, decode = float(timings.get("prompt_ms") or 0.0), float(timings.get("predicted_ms") or 0.0)
    kept = max(0, int(answer.get("tokens_cached") or 0) - fed - generated)
    by = "extended" if kept else "cold"
    if record.answered_ms is None:  # otherwise a hint was there before, and this request only refreshed it
        record.answered_by = by
    record.stages = {
        "answered_by": by,
        "prefill_ms": prefill,
        "ttft_ms": prefill,
        "decode_ms": decode,
        "total_ms": prefill + decode,
        "n_keep": kept,
        "n_feed": fed,
        "n_forwards": generated,
        "n_generated": generated,
    }
