"""The generator over a StepEngine: one thread owns the engine and works on the most urgent request.

Each request is a job, a Python generator that yields between forwards. The next job is chosen after each
piece of work, so a keystroke never waits for more than one piece of other work:

    keystroke ──submit──> [foreground] ─┐
    idle      ──submit──> [continuation]├──> schedule ──> run one piece ──> finish, if it ended ──> ...
                          [prefill]    ─┘
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cachetools import LRUCache

from completer.engines.base import StepEngine
from completer.errors import CompleterError, in_words
from completer.generate.decode import Decoding, Filling, Steps, prefill_end
from completer.generate.drafts.draft_model import DraftModel
from completer.generate.drafts.ngrams import AcceptanceRates, Drafter, NgramIndex
from completer.generate.generator import OnEvent
from completer.generate.known_rows import KnownRows
from completer.generate.slots import Slot, Slots
from completer.generate.turns import Turns
from completer.tokens.prefix import common_length
from completer.tokens.tokenizer import Tokenizer
from completer.types import Done, FinishReason, Request, Stats

log = logging.getLogger(__name__)

MAX_OVERWRITTEN = 64
"""Most tokens that a slot loses when it is taken over in place; otherwise the prefix that it shares with the
prompt is copied to another one."""
MAX_RETYPED = 8
"""Tokens at the end of a prefill that may differ from the prompt that goes on with it."""
N_INDEXES = 16
"""N-gram indexes that are kept, one for each text."""
CLOSE_S = 10.0
_FIRST, _LAST = -1, 9


@dataclass(slots=True, eq=False)
class _Job:
    request: Request
    on_event: OnEvent
    submitted: float
    decoding: Decoding | None = None  # None until the job first runs
    steps: Steps | None = None
    cancelled: bool = False
    reported: bool = False

    @property
    def slot(self) -> Slot | None:
        return self.decoding.slot if self.decoding else None

    @property
    def filling(self) -> Filling | None:
        return self.decoding.filling if self.decoding else None

    @property
    def stats(self) -> Stats:
        return self.decoding.stats if self.decoding else Stats()

    @property
    def priority(self) -> int:
        """Cancelled jobs first, to be done with them; a prefill that goes on for the next keystroke last."""
        if self.cancelled:
            return _LAST if self.filling is not None else _FIRST
        return self.request.priority


class LocalGenerator:
    """Runs a StepEngine in a thread of this process. draft: a smaller model of the same vocabulary.

    message: what went wrong in the engine at the last request; "" once a request went well.
    """

    avoids = True

    def __init__(self, engine: StepEngine, tokenizer: Tokenizer, draft: StepEngine | None = None) -> None:
        self.message = ""
        self._engine = engine
        self._draft_model = DraftModel(draft, tokenizer) if draft is not None else None
        self._tokenizer = tokenizer
        self._slots = Slots(engine, MAX_OVERWRITTEN)
        self._rates = AcceptanceRates()
        self._rows = KnownRows(engine.vocab_size)
        self._indexes: LRUCache[tuple[int, ...], NgramIndex] = LRUCache(maxsize=N_INDEXES)
        self._jobs: list[_Job] = []
        self._turns = Turns()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    def submit(self, request: Request, on_event: OnEvent) -> None:
        job = _Job(request, on_event, time.perf_counter())
        with self._changed:
            accepted = not self._closed
            if accepted:
                self._jobs.append(job)
                self._changed.notify_all()
        if not accepted:
            _report(job, "cancelled")

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
        return self._slots.n_cached(ids)

    def held(self) -> list[list[int]]:
        """Return the tokens of each slot: what `n_cached` compares with. From any thread; not to be changed."""
        return [slot.ids for slot in self._slots]

    def forget(self, n_kept: int) -> None:
        """Drop all rows, and all but `n_kept` tokens of each slot: for measurements, while nothing runs."""
        self._rows = KnownRows(self._engine.vocab_size)
        for slot in self._slots:
            slot.truncate(n_kept)

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(timeout=CLOSE_S)

    # On the engine's thread.

    def _run(self) -> None:
        while (job := self._schedule()) is not None:
            began = time.perf_counter()
            reason = self._run_piece(job)
            self._turns.ran(job.request.client, (time.perf_counter() - began) * 1e3)
            if reason is not None:
                self._finish(job, reason)
        for job in list(self._jobs):
            self._finish(job, "cancelled")
        self._engine.close()
        if self._draft_model is not None:
            self._draft_model.close()

    def _schedule(self) -> _Job | None:
        """Wait for work; return the most urgent job that has or finds a slot, None when closed."""
        with self._changed:
            while not self._closed and not self._jobs:
                self._changed.wait()
            if self._closed:
                return None
            self._turns.update({job.request.client for job in self._jobs})
            ready = (job for job in self._jobs if job.decoding or job.cancelled or self._free_slots(job))
            return min(ready, key=self._urgency)  # one is always ready

    def _urgency(self, job: _Job) -> tuple[int, float, int]:
        """The least goes first: by priority, then the client whose turn it is, then its newest request."""
        return job.priority, self._turns.rank(job.request.client), -job.request.id

    def _run_piece(self, job: _Job) -> FinishReason | None:
        """Run one piece of a job; return why it ended, None if it goes on. Mutates: the job, its slot."""
        try:
            if job.cancelled:
                return self._run_cancelled(job)
            if job.steps is None:
                job.steps = self._start(job)
            next(job.steps)
        except StopIteration as end:
            self.message = ""
            return end.value or "length"  # a prefill has no value
        except CompleterError as error:
            self.message = str(error)
            log.warning("request %d: %s", job.request.id, error)
            return "error"
        except BaseException as error:
            # The engine thread must survive whatever a library throws, SystemExit too; the slot was emptied.
            self.message = in_words(error)
            log.exception("request %d failed in the engine", job.request.id)
            return "error"
        return None

    def _run_cancelled(self, job: _Job) -> FinishReason | None:
        """End a cancelled job; but a keystroke's prefill goes on, because the next one needs most of it."""
        if job.filling is None or job.request.priority > 0:
            return "cancelled"
        if not job.reported:
            for other in [j for j in self._jobs if j.reported]:
                self._finish(other, "cancelled")
            _report(job, "cancelled")
        next(job.filling)
        return None

    def _start(self, job: _Job) -> Steps:
        """Give the job a slot, or a prefill under way that serves it. Mutates: the job, slots, other jobs."""
        waited = Stats(queue_ms=(time.perf_counter() - job.submitted) * 1e3)
        donor = self._donor(job)
        slot, filling = self._take_over(donor) if donor is not None else (self._take_slot(job), None)
        request = job.request
        job.decoding = Decoding(slot, request, self._tokenizer, self._drafter(request), self._rows, job.on_event, waited, filling)
        return self._steps(job.decoding)

    def _steps(self, decoding: Decoding) -> Steps:
        """The work of one request, piece by piece."""
        yield from decoding.prefill()
        yield from self._catch_up(decoding.request)
        return (yield from decoding.generate())

    def _catch_up(self, request: Request) -> Iterator[None]:
        """Let the draft model read the prompt; a keystroke does not wait for more than a forward's time."""
        draft, front = self._draft_model, request.prompt.ids[: prefill_end(request)]
        if draft is not None and (request.priority > 0 or draft.missing_ms(front) <= self._engine.costs.cost(1)):
            yield from draft.catch_up(front)

    def _drafter(self, request: Request) -> Drafter:
        texts = (request.prompt.ids[: request.prompt.n_fixed], *request.corpus_ids)
        corpora = [self._index(ids) for ids in texts if ids]
        return Drafter(request.drafts, corpora, self._rates, self._engine.costs, self._draft_model)

    def _index(self, ids: tuple[int, ...]) -> NgramIndex:
        index = self._indexes.get(ids)
        if index is None:
            index = self._indexes[ids] = NgramIndex(ids)
        return index

    # Slots.

    def _free_slots(self, job: _Job) -> list[Slot]:
        """Return the slots without another document's job that is as urgent as `job`, or more."""
        request = job.request
        taken = {
            other.slot
            for other in self._jobs
            if other.slot
            and not other.cancelled
            and other.request.priority <= request.priority
            and other.request.session != request.session
        }
        return [slot for slot in self._slots if slot not in taken]

    def _take_slot(self, job: _Job) -> Slot:
        """Return the slot in which the job will run. Mutates: that slot; jobs in it are cancelled."""
        request = job.request
        busy = {other.slot for other in self._jobs if other.slot is not None}
        claim = self._slots.choose(request.prompt.ids, self._free_slots(job), busy, spare_busy=request.priority > 0)
        for holder in [other for other in self._jobs if other.slot is claim.slot]:
            self._finish(holder, "cancelled")
        return self._slots.take(claim)

    def _donor(self, job: _Job) -> _Job | None:
        """Return a cancelled or less urgent job whose prefill, but for a few tokens, serves this one too."""
        ids = job.request.prompt.ids
        for other in self._jobs:
            if other is job or other.filling is None:
                continue
            target = other.request.prompt.ids[: prefill_end(other.request)]
            agrees = common_length(target, ids) >= max(len(target) - MAX_RETYPED, 1)
            if agrees and (other.cancelled or other.request.priority > job.request.priority):
                return other
        return None

    def _take_over(self, donor: _Job) -> tuple[Slot, Filling | None]:
        """Return a job's slot and the prefill under way in it. Mutates: the job, which ends."""
        assert donor.decoding is not None
        slot, filling = donor.decoding.slot, donor.decoding.filling
        donor.decoding.filling = None  # so that it stays open
        self._finish(donor, "cancelled")
        return slot, filling

    def _finish(self, job: _Job, reason: FinishReason) -> None:
        try:
            if job.steps is not None:
                job.steps.close()
            if job.decoding is not None:
                job.decoding.abandon()
        except BaseException:  # an engine that fails while it is broken off; its request is over all the same
            log.exception("request %d could not be broken off", job.request.id)
        with self._changed:
            self._jobs.remove(job)
        _report(job, reason)


def _report(job: _Job, reason: FinishReason) -> None:
    """Tell, once, how a job ended; a receiver that fails (a closed event loop) does no harm."""
    if job.reported:
        return
    job.reported = True
    try:
        job.on_event(Done(job.request.id, reason, job.stats))
    except BaseException:
        log.exception("request %d: the receiver of its end failed", job.request.id)
