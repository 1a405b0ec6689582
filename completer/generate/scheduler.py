"""The seam between the front and an engine: plain data in, a stream of token chunks out, cancel by id.

One thread owns the engine and its slots. Jobs are generators that yield between forwards; after each step the most
urgent job goes on, so a key never waits for more than one piece of work:

    key ──submit──> [foreground] ─┐
    idle ─submit──> [continuation]├──> pick the most urgent ──> one step ──> pick ...
                    [prefill]    ─┘
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from cachetools import LRUCache

from completer.engines.base import StepEngine
from completer.errors import CompleterError
from completer.generate.decode import SlotState, Steps, decode, guarded, prefill, prefill_end, truncate
from completer.generate.drafts.draft_model import DraftModel
from completer.generate.drafts.ngrams import AcceptanceRates, Drafter, NgramIndex
from completer.generate.known_rows import KnownRows
from completer.tokens.prefix import common_length
from completer.tokens.tokenizer import Tokenizer
from completer.types import FinishReason, GenerateRequest, GenerateStats, Token

log = logging.getLogger(__name__)

MAX_OVERWRITTEN = 64
"""A slot is taken over in place when at most so many of its tokens, and no more than it keeps, are lost; otherwise the prefix
that it shares with the prompt is copied to another."""

MAX_RETYPED = 8
"""Tokens at the end of a prefill that may be other ones in the prompt that goes on with it."""
_FIRST, _LAST = -1, 9

OnTokens = Callable[[list[Token]], None]
OnDone = Callable[[FinishReason, GenerateStats], None]


class Generator(Protocol):
    """What the front knows of engines. All methods return at once and may be called from any thread.

    message: what the user should know of the engine's state now; "" when all is well.
    avoids: whether it honours `GenerateRequest.avoid`.
    """

    message: str
    avoids: bool

    def submit(self, request: GenerateRequest, on_tokens: OnTokens, on_done: OnDone) -> GenerateStats:
        """Queue `request`; return its counts, which grow while it runs.

        on_tokens and on_done are called from another thread; on_done exactly once, and last.
        """
        ...

    def cancel(self, request_id: int) -> None:
        """End a request before its next forward; its on_done gets "cancelled". Unknown ids are ignored."""
        ...

    def n_cached(self, ids: Sequence[int]) -> int:
        """Return how many tokens of a prompt some slot holds already. A hint: it may be outdated when the request runs."""
        ...

    def close(self) -> None:
        """Cancel everything, stop the thread, free the engine."""
        ...


@dataclass(slots=True, eq=False)
class _Job:
    request: GenerateRequest
    on_tokens: OnTokens
    on_done: OnDone
    submitted: float
    stats: GenerateStats = field(default_factory=GenerateStats)
    steps: Steps | None = None  # None until the job first runs
    slot: SlotState | None = None
    filling: Steps | None = None  # the prefill, while it runs
    cancelled: bool = False
    reported: bool = False

    @property
    def urgency(self) -> tuple[int, int]:
        """Cancelled jobs first, to be done with them; but a prefill that goes on for its successor's sake last."""
        if self.cancelled:
            return (_LAST if self.filling is not None else _FIRST), 0
        return self.request.priority, -self.request.id


class LocalGenerator:
    """Runs a StepEngine in a thread of this process. draft: a smaller model of the same vocabulary, which drafts for it."""

    message = ""
    avoids = True

    def __init__(
        self,
        engine: StepEngine,
        tokenizer: Tokenizer,
        draft: StepEngine | None = None,
    ) -> None:
        self._engine = engine
        self._draft_model = DraftModel(draft, tokenizer) if draft is not None else None
        self._tokenizer = tokenizer
        self._slots = [SlotState(i) for i in range(engine.n_slots)]
        self._rates = AcceptanceRates()
        self._rows = KnownRows(engine.vocab_size)
        self._indexes: LRUCache[tuple[int, ...], NgramIndex] = LRUCache(maxsize=16)
        self._jobs: list[_Job] = []
        self._changed = threading.Condition()
        self._closed = False
        self._clock = 0
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    def submit(self, request: GenerateRequest, on_tokens: OnTokens, on_done: OnDone) -> GenerateStats:
        job = _Job(request, on_tokens, on_done, time.perf_counter())
        with self._changed:
            accepted = not self._closed
            if accepted:
                self._jobs.append(job)
                self._changed.notify_all()
        if not accepted:
            _report(job, "cancelled")
        return job.stats

    def cancel(self, request_id: int) -> None:
        with self._changed:
            for job in self._jobs:
                if job.request.id == request_id:
                    job.cancelled = True
            self._changed.notify_all()

    @property
    def is_busy(self) -> bool:
        """Whether any request is under way, in the foreground or not. A hint: it may be outdated at once."""
        return bool(self._jobs)

    def n_cached(self, ids: Sequence[int]) -> int:
        # Read from another thread without a lock: a slot list in motion gives a number that is a little off.
        return max(common_length(slot.ids, ids) for slot in self._slots)

    def forget(self, n_kept: int) -> None:
        """Drop all rows, and what the slots hold behind `n_kept` tokens: for measurements, and only while nothing runs."""
        self._rows = KnownRows(self._engine.vocab_size)
        for slot in self._slots:
            truncate(self._engine, slot, n_kept)

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(timeout=10)

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._closed and not self._jobs:
                    self._changed.wait()
                if self._closed:
                    break
                job = self._most_urgent()
            self._step(job)
        for job in list(self._jobs):
            self._finish(job, "cancelled")
        self._engine.close()
        if self._draft_model is not None:
            self._draft_model.close()

    def _most_urgent(self) -> _Job:
        """Return the job to work on: the most urgent of those that run already or find a slot. One always does."""
        return min((job for job in self._jobs if job.slot or job.cancelled or self._free_slots(job)), key=lambda job: job.urgency)

    def _free_slots(self, job: _Job) -> list[SlotState]:
        """Return the slots that `job` may take: no other document's job of its urgency, or a higher one, works in them."""
        request = job.request
        taken = {
            other.slot.index
            for other in self._jobs
            if other.slot
            and not other.cancelled
            and other.request.priority <= request.priority
            and other.request.session != request.session
        }
        return [slot for slot in self._slots if slot.index not in taken]

    def _step(self, job: _Job) -> None:
        """Run one piece of `job`. Mutates: the job, its slot, the list of jobs when it ends."""
        try:
            if job.cancelled:
                self._step_cancelled(job)
                return
            if job.steps is None:
                job.steps = self._start(job)
            next(job.steps)
        except StopIteration as end:
            self._finish(job, end.value)
        except CompleterError as error:
            log.warning("request %d: %s", job.request.id, error)
            self._finish(job, "error")
        except Exception:
            # The engine thread must survive whatever a library throws: the slot was emptied, the next request starts cold.
            log.exception("request %d failed in the engine", job.request.id)
            self._finish(job, "error")

    def _step_cancelled(self, job: _Job) -> None:
        """End a cancelled job, but let the prefill of a key go on: the next key needs the same prompt, but for its end."""
        if job.filling is None or job.request.priority > 0:
            self._finish(job, "cancelled")
            return
        if not job.reported:
            for other in [j for j in self._jobs if j.reported]:
                self._finish(other, "cancelled")
            _report(job, "cancelled")
        next(job.filling)

    def _start(self, job: _Job) -> Steps:
        job.stats.queue_ms = (time.perf_counter() - job.submitted) * 1e3
        request = job.request
        donor = self._donor(job)
        if donor is not None:
            job.slot, job.filling = donor.slot, donor.filling
            assert job.slot is not None
            job.stats.n_keep = common_length(job.slot.ids, request.prompt.ids)
            job.stats.n_feed = len(request.prompt.ids) - job.stats.n_keep
            donor.filling = None
            self._finish(donor, "cancelled")
        else:
            job.slot = self._choose_slot(job)
            job.filling = guarded(self._engine, job.slot, prefill(self._engine, job.slot, request, job.stats))
        return self._steps(job, job.slot)

    def _steps(self, job: _Job, slot: SlotState) -> Steps:
        started = time.perf_counter()
        while job.filling is not None:
            try:
                next(job.filling)
            except StopIteration:
                job.filling = None
            else:
                yield
        request = job.request
        job.stats.prefill_ms = (time.perf_counter() - started) * 1e3
        corpora = [self._index(ids) for ids in (request.prompt.ids[: request.prompt.n_fixed], *request.corpus_ids) if ids]
        drafter = Drafter(request.drafts, corpora, self._rates, self._engine.costs, self._draft_model)
        # A key does not wait for the draft model to read a new prompt; the idle prefill in front of it usually did that.
        if (draft := self._draft_model) is not None:
            front = request.prompt.ids[: prefill_end(request)]
            if request.priority > 0 or draft.missing_ms(front) <= self._engine.costs.cost(1):
                yield from draft.catch_up(front)
        return (yield from decode(self._engine, slot, request, self._tokenizer, drafter, self._rows, job.stats, job.on_tokens))

    def _donor(self, job: _Job) -> _Job | None:
        """Return a job whose prefill this one can go on with: cancelled or less urgent, and to the same tokens but for a few."""
        ids = job.request.prompt.ids
        for other in self._jobs:
            if other is job or other.filling is None:
                continue
            target = other.request.prompt.ids[: prefill_end(other.request)]
            agrees = common_length(target, ids) >= max(len(target) - MAX_RETYPED, 1)
            if agrees and (other.cancelled or other.request.priority > job.request.priority):
                return other
        return None

    def _choose_slot(self, job: _Job) -> SlotState:
        """Return the slot that holds the longest prefix of the prompt, or a copy of it in the free slot used least recently.

        Mutates: the slot returned (a copied prefix), and jobs of lesser urgency that hold it: they are cancelled.
        """
        self._clock += 1
        request, free = job.request, self._free_slots(job)
        ids = request.prompt.ids
        shared = {slot.index: common_length(slot.ids, ids) for slot in self._slots}
        best = max(self._slots, key=lambda slot: (shared[slot.index], slot.used))
        n_shared = shared[best.index]
        held = {other.slot.index for other in self._jobs if other.slot is not None}
        cheap = len(best.ids) - n_shared <= min(MAX_OVERWRITTEN, n_shared)
        if best in free and cheap and not (best.index in held and request.priority > 0):
            chosen = best
        else:
            others = [slot for slot in free if slot is not best]
            chosen = min(others, key=lambda slot: (slot.index in held, slot.used), default=best)
        self._evict(chosen)
        if chosen is not best:
            chosen.ids.clear()
            self._engine.copy(best.index, chosen.index, n_shared)
            chosen.ids.extend(best.ids[:n_shared])
        chosen.session, chosen.used = request.session, self._clock
        return chosen

    def _evict(self, slot: SlotState) -> None:
        for holder in [job for job in self._jobs if job.slot is slot]:
            self._finish(holder, "cancelled")

    def _finish(self, job: _Job, reason: FinishReason) -> None:
        for steps in (job.steps, job.filling):
            if steps is not None:
                steps.close()
        job.slot = job.filling = None
        with self._changed:
            self._jobs.remove(job)
        _report(job, reason)

    def _index(self, ids: tuple[int, ...]) -> NgramIndex:
        index = self._indexes.get(ids)
        if index is None:
            index = self._indexes[ids] = NgramIndex(ids)
        return index


def _report(job: _Job, reason: FinishReason) -> None:
    """Tell the front, once, how a job ended; the engine thread outlives a front that fails (an event loop that was closed)."""
    if job.reported:
        return
    job.reported = True
    try:
        job.on_done(reason, job.stats)
    except Exception:
        log.exception("request %d: the receiver of its end failed", job.request.id)
