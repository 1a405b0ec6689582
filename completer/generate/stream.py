"""The generator over an engine that decodes for itself (`StreamEngine`): a server, a library.

Each request is a task on one event loop in a thread of its own. A keystroke goes first: while its request
runs, those made ahead of need wait, and those without tokens so far are broken off and begin again later.
Healing, the confidence cut and the stop rules are the same as on a local engine; they act on what arrives,
and end it by closing the stream.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from completer.engines.base import StreamEngine, StreamPiece, StreamRequest
from completer.errors import CompleterError, in_words
from completer.generate.generator import OnEvent
from completer.generate.stop import Stopper
from completer.generate.stream_heal import healed
from completer.tokens.prefix import common_length
from completer.tokens.tokenizer import Tokenizer
from completer.types import Done, FinishReason, Request, Stats, Token, Tokens

log = logging.getLogger(__name__)

DEADLINE_S = 15.0
"""An older suggestion is of no use: the text has moved on."""
WARM_DEADLINE_S = 30.0
N_REMEMBERED = 8
"""Prompts of which we believe that the engine still has them in its prefix cache."""
CLOSE_S = 5.0
MAX_MISSED = 64
"""Prefix caches work in blocks of tokens: so many fewer than we believed may be found without our belief
being wrong."""


@dataclass(slots=True, eq=False)
class _StreamJob:
    request: Request
    on_event: OnEvent
    submitted: float
    stats: Stats = field(default_factory=Stats)
    task: asyncio.Task[FinishReason] | None = None
    answered: bool = False  # tokens went out: it cannot begin again
    streaming: bool = False
    preempted: bool = False

    @property
    def urgent(self) -> bool:
        return self.request.priority == 0

    @property
    def can_begin_again(self) -> bool:
        return self.streaming and not self.urgent and not self.answered and not self.preempted


class StreamGenerator:
    """Runs the requests of all clients over one StreamEngine. See `completer.generate.generator.Generator`.

    message: what the user should know of the engine's state, "" when all is well.
    """

    avoids = False  # no protocol of servers lets us forbid the first token and nothing else

    def __init__(self, engine: StreamEngine, tokenizer: Tokenizer) -> None:
        self.message = ""
        self._engine = engine
        self._tokenizer = tokenizer
        self._jobs: dict[int, _StreamJob] = {}
        self._warm: list[tuple[int, ...]] = []  # latest first; replaced as a whole, so that any thread may read it
        self._loop = asyncio.new_event_loop()
        self._quiet = asyncio.Event()  # set while no urgent job runs
        self._quiet.set()
        self._thread = threading.Thread(target=self._run_loop, name="stream-engine", daemon=True)
        self._thread.start()

    def submit(self, request: Request, on_event: OnEvent) -> None:
        job = _StreamJob(request, on_event, time.perf_counter())
        try:
            self._loop.call_soon_threadsafe(self._start, job)
        except RuntimeError:  # closed
            _tell(job, Done(request.id, "cancelled", job.stats))

    def cancel(self, request_id: int) -> None:
        def cancel() -> None:
            job = self._jobs.get(request_id)
            if job is not None and job.task is not None:
                job.preempted = False  # also when it was about to begin again
                job.task.cancel()

        try:
            self._loop.call_soon_threadsafe(cancel)
        except RuntimeError:
            return  # closed: everything was cancelled

    def n_cached(self, ids: Sequence[int]) -> int:
        return max((common_length(held, ids) for held in self._warm), default=0)

    @property
    def is_busy(self) -> bool:
        """Whether any request is under way. A hint: it may be outdated at once."""
        return bool(self._jobs)

    def held(self) -> list[tuple[int, ...]]:
        """Return what `n_cached` compares with. From any thread."""
        return self._warm

    def close(self) -> None:
        if self._loop.is_closed():
            return
        ending = asyncio.run_coroutine_threadsafe(self._shut_down(), self._loop)
        try:
            ending.result(CLOSE_S)
        except TimeoutError:
            log.warning("the engine %s did not close within %.0f s", self._engine.name, CLOSE_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CLOSE_S)

    # On the loop.

    def _run_loop(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        self._loop.close()

    async def _shut_down(self) -> None:
        jobs = list(self._jobs.values())
        for job in jobs:
            job.preempted = False
            if job.task is not None:
                job.task.cancel()
        await asyncio.gather(*(job.task for job in jobs if job.task is not None), return_exceptions=True)
        await self._engine.close()

    def _start(self, job: _StreamJob) -> None:
        """Begin a job, and break off what can wait. Mutates: the jobs."""
        if job.urgent:
            self._quiet.clear()
            for other in self._jobs.values():
                if other.can_begin_again and other.task is not None:
                    other.preempted = True
                    other.task.cancel()
        self._jobs[job.request.id] = job
        job.task = self._loop.create_task(self._run(job))
        job.task.add_done_callback(lambda task: self._finish(job, task))

    async def _run(self, job: _StreamJob) -> FinishReason:
        try:
            return await self._run_until_done(job)
        except CompleterError as error:
            self.message = str(error)
            log.warning("request %d: %s", job.request.id, error)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            # The loop must survive whatever a library throws, SystemExit too.
            self.message = in_words(error)
            log.exception("request %d failed in the engine", job.request.id)
        return "error"

    def _finish(self, job: _StreamJob, task: asyncio.Task[FinishReason]) -> None:
        """Report a job whose task is done; one that was cancelled may never have run. Mutates: the jobs."""
        del self._jobs[job.request.id]
        if not any(other.urgent for other in self._jobs.values()):
            self._quiet.set()
        _tell(job, Done(job.request.id, "cancelled" if task.cancelled() else task.result(), job.stats))

    async def _run_until_done(self, job: _StreamJob) -> FinishReason:
        """Generate; a job that was broken off for an urgent one begins again when that is done."""
        while True:
            try:
                if not job.urgent:
                    await self._quiet.wait()
                job.streaming = True
                reason = await self._generate(job)
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if not job.preempted or task is None:
                    raise
                job.preempted = False
                task.uncancel()
            else:
                self.message = ""
                return reason
            finally:
                job.streaming = False

    async def _generate(self, job: _StreamJob) -> FinishReason:
        request = job.request
        warm_only = request.stop.max_tokens == 0
        deadline_s = WARM_DEADLINE_S if warm_only else DEADLINE_S
        started = time.perf_counter()
        self._begin(job)
        if warm_only:
            ask = StreamRequest(request.prompt.ids, 0, session=request.session, deadline_s=deadline_s)
            async with aclosing(self._engine.stream(ask)) as pieces:
                async for piece in pieces:
                    self._count(job, piece, started)
            self._remember(request.prompt.ids)
            return "length"
        stopper = Stopper(request.stop, self._tokenizer, len(request.prompt.heal_bytes))
        async with aclosing(healed(self._engine, self._tokenizer, request, deadline_s)) as pieces:
            async for piece in pieces:
                self._count(job, piece, started)
                reason = self._take(job, piece, stopper)
                if reason is not None:
                    return reason
        return "length"

    def _take(self, job: _StreamJob, piece: StreamPiece, stopper: Stopper) -> FinishReason | None:
        """Pass the tokens of a piece on; return why the generation ends with it, or None.

        Mutates: the job, the stopper.
        """
        tokens: list[Token] = []
        reason: FinishReason | None = None
        for n, id_ in enumerate(piece.ids):
            token = Token(id_, piece.prob if n == 0 else 1.0)  # its probability is that of the whole piece
            reason = stopper.before(token)
            if reason is None:
                tokens.append(token)
                reason = stopper.after(token)
            if reason is not None:
                break
        job.stats = replace(job.stats, n_generated=job.stats.n_generated + len(tokens))
        if tokens:
            job.answered = True
            _tell(job, Tokens(job.request.id, tuple(tokens), job.stats))
        return reason or piece.end

    def _begin(self, job: _StreamJob) -> None:
        """Count what we believe to be warm, and tell that the job began. Mutates: the job's stats."""
        n_keep = self.n_cached(job.request.prompt.ids)
        job.stats = replace(job.stats, queue_ms=_ms_since(job.submitted), n_keep=n_keep, n_feed=_n_feed(job.request, n_keep))
        _tell(job, Tokens(job.request.id, (), job.stats))

    def _count(self, job: _StreamJob, piece: StreamPiece, started: float) -> None:
        """Mutates: the job's stats, and what we believe to be warm."""
        stats, prompt = job.stats, job.request.prompt
        if stats.ttft_ms == 0.0:
            stats = replace(stats, ttft_ms=_ms_since(job.submitted), prefill_ms=_ms_since(started))
            self._remember(prompt.ids[: len(prompt.ids) - prompt.n_heal])
        n_keep = stats.n_keep
        if piece.n_cached is not None:
            if piece.n_cached < n_keep - MAX_MISSED:  # another server, or one that was restarted or has no room
                self._warm = self._warm[:1]
            n_keep = piece.n_cached
        job.stats = replace(
            stats,
            n_keep=n_keep,
            n_feed=_n_feed(job.request, n_keep),
            n_forwards=stats.n_forwards + 1,
            decode_ms=_ms_since(started) - stats.prefill_ms,
        )

    def _remember(self, ids: tuple[int, ...]) -> None:
        others = [held for held in self._warm if common_length(held, ids) < len(held)]
        self._warm = [ids, *others][:N_REMEMBERED]


def _n_feed(request: Request, n_keep: int) -> int:
    """Return how many of the prompt's tokens the engine must read, if it has `n_keep` of them."""
    return max(0, len(request.prompt.ids) - request.prompt.n_heal - n_keep)


def _tell(job: _StreamJob, event: Tokens | Done) -> None:
    """Pass an event on; the engine outlives a receiver that fails (an event loop that was closed)."""
    try:
        job.on_event(event)
    except Exception:
        log.exception("a client failed to take its tokens")


def _ms_since(start: float) -> float:
    return (time.perf_counter() - start) * 1e3
