"""The engine `llama.cpp`: a StreamEngine over a server of our own, which is started again after a crash."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from completer.engines.base import CostCurve, StreamPiece, StreamRequest
from completer.engines.llama_cpp.server import Server
from completer.engines.remote.engine import RemoteEngine
from completer.errors import ContextOverflow, EngineClosed, EngineUnavailable
from completer.system.backoff import Backoff

log = logging.getLogger(__name__)

_LONG_PROMPT = 64
"""Tokens to be read, and tokens generated, from which on a request tells what they cost."""
_LONG_ANSWER = 8

Start = Callable[[Callable[[], None]], Server]
"""Starts the server. Blocks until its model is loaded; calls its argument meanwhile, and passes on what that raises."""


class LlamaCppEngine:
    """See `completer.engines.base.StreamEngine`. Owns the server: it ends with `close`.

    A crash is found by the next request, which starts the server anew and waits for it; so do those that follow. After
    several crashes in a row there are pauses, in which requests fail at once.
    """

    name = "llama.cpp"

    def __init__(self, start: Start, server: Server, remote: RemoteEngine) -> None:
        """remote: over `server`; its costs are this engine's."""
        self.max_len = remote.max_len
        self.costs: CostCurve = remote.costs
        self.constrains = remote.constrains
        self._start = start
        self._server = server
        self._remote = remote
        self._began_s = time.monotonic()
        self._backoff = Backoff()
        self._trouble = ""
        self._not_before_s = 0.0
        self._starting: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def pid(self) -> int:
        """Return the id of the server's process."""
        return self._server.process.pid

    async def stream(self, request: StreamRequest) -> AsyncGenerator[StreamPiece, None]:
        """Raises: ContextOverflow, EngineClosed; EngineUnavailable while the server cannot be started; ServerError."""
        if len(request.ids) + request.n_predict > self.max_len:
            raise ContextOverflow(
                f"{len(request.ids)} tokens and {request.n_predict} more exceed the context of {self.max_len}: "
                "use a smaller context"
            )
        await self._revive()
        began_s, n_generated = time.perf_counter(), 0
        async with aclosing(self._remote.stream(request)) as pieces:
            async for piece in pieces:
                if piece.ids:
                    n_generated += len(piece.ids)
                    self._learn(request, piece, n_generated, (time.perf_counter() - began_s) * 1e3)
                yield piece

    async def close(self) -> None:
        self._closed = True
        if self._starting is not None:
            await asyncio.wait((self._starting,))
        await self._remote.close()
        await asyncio.to_thread(self._server.stop)

    def _learn(self, request: StreamRequest, piece: StreamPiece, n_generated: int, ms: float) -> None:
        """Lower the costs, which were measured when the machine may have been busy. ms: since the request began.

        All of that time is charged to the prompt at the first token, and to the tokens later: costs seem higher than they
        are, never lower.  Mutates: costs.
        """
        n_fed = len(request.ids) - (piece.n_cached or 0)
        if n_generated == len(piece.ids) and n_fed >= _LONG_PROMPT:
            self.costs = self.costs.seen_prefill(ms / n_fed)
        elif n_generated >= _LONG_ANSWER:
            step_ms = ms / n_generated
            self.costs = self.costs.seen(1, step_ms).seen(2, step_ms + self.costs.prefill_ms_per_token)

    async def _revive(self) -> None:
        """Return when the server runs. Raises: EngineClosed, EngineUnavailable, whatever starting it raises."""
        self._check_open()
        if self._starting is None:
            if self._server.is_alive:
                return
            if not self._trouble:
                self._failed(time.monotonic() - self._began_s, self._server.last_words())
            if (wait_s := self._not_before_s - time.monotonic()) > 0.0:
                raise EngineUnavailable(f"{self._trouble}; it is started again in {wait_s:.0f} s")
            self._starting = asyncio.create_task(self._start_again())
            self._starting.add_done_callback(_take_note)
        await asyncio.shield(self._starting)  # the next key cancels this request, and needs the server, too

    async def _start_again(self) -> None:
        """Mutates: the server, or what the trouble is."""
        log.warning("%s; it is started again", self._trouble)
        try:
            await asyncio.to_thread(self._server.stop)
            server = await asyncio.to_thread(self._start, self._check_open)
            await self._remote.move_to(server.link())
            self._server, self._began_s, self._trouble = server, time.monotonic(), ""
        except EngineClosed:
            raise
        except Exception as error:
            self._failed(0.0, str(error))
            raise
        finally:
            self._starting = None

    def _failed(self, lived_s: float, why: str) -> None:
        """Mutates: what the trouble is, and when to try again."""
        self._trouble = f"llama.cpp's server crashed: {why}"
        self._backoff.failed(lived_s)
        self._not_before_s = time.monotonic() + self._backoff.delay_s

    def _check_open(self) -> None:
        if self._closed:
            raise EngineClosed("the engine was closed")


def _take_note(task: asyncio.Task[None]) -> None:
    """Look at how starting ended: every request that waited for it may have been cancelled."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.warning("%s", error)
