"""One question of the editor: where it was asked, how long it may wait, and what of an answer can be shown there.

asked ────── SOFT_SHARE of the budget ────── budget
  whole suggestion: shown at once    │
                                     first clean piece: shown, the rest follows
                                                           │
                                                           what is clean by now, or nothing
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from completer.complete.generations import Live
from completer.complete.trace import Trace
from completer.config import Settings
from completer.suggest.entries import Hit
from completer.suggest.trim import Selected, Trimmed
from completer.suggest.visible import answered_by, is_complete, visible
from completer.syntax.cursor import Place
from completer.types import Snapshot, Suggestion

SOFT_SHARE = 0.55
"""Share of the budget after which the first clean piece is shown at once, and the rest when it is ready."""
EXPLICIT_MS = 1500.0
"""Who asks explicitly waits: the budget of such a request, at the least."""
MARGIN_MS = 4.0
"""Kept back from the budget for trimming and the way to the editor."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Owned by the event loop. trace: of this question; it is filled on the way.

    explicit: the user asked for it.  selected: what the suggestion must begin with.  alternatives: others are wanted beside it.
    given: what the client has before it there already.
    """

    snapshot: Snapshot
    where: Place
    settings: Settings
    trace: Trace
    explicit: bool = False
    selected: Selected | None = None
    alternatives: bool = False
    given: Suggestion | None = None
    started_s: float = field(default_factory=time.perf_counter)

    @property
    def elapsed_ms(self) -> float:
        return (time.perf_counter() - self.started_s) * 1e3

    @property
    def budget_ms(self) -> float:
        return max(self.settings.budget_ms, EXPLICIT_MS) if self.explicit else self.settings.budget_ms

    @property
    def until_s(self) -> float:
        """When the answer must go out, on the clock of `time.perf_counter`."""
        return self.started_s + (self.budget_ms - MARGIN_MS) / 1e3

    def see(self, hit: Hit) -> Trimmed | None:
        """Return what of `hit`, as far as it is, can be shown here."""
        return visible(hit, self.settings.confidence, self.snapshot, self.where, selected=self.selected, explicit=self.explicit)

    def is_complete(self, hit: Hit) -> bool:
        """Whether no more of `hit` will be shown than can be now."""
        return is_complete(hit, self.settings.confidence)

    async def wait(self, live: Live, hit: Hit, fresh: bool) -> None:
        """Return when enough of `hit` is there to be shown, or when the time is up. fresh: it was begun for this question."""

        def worth_showing() -> bool:
            late = self.elapsed_ms > SOFT_SHARE * self.budget_ms
            return self.is_complete(hit) or ((late or not fresh) and self.see(hit) is not None)

        if worth_showing():
            return
        # Wake once at the soft deadline, too: the first piece may have been ready before it.
        await live.wait(lambda: self.is_complete(hit), (SOFT_SHARE * self.budget_ms - self.elapsed_ms) / 1e3)
        await live.wait(worth_showing, self.until_s - time.perf_counter())

    def show(self, hit: Hit, fresh: bool) -> Trimmed | None:
        """Return what is shown of `hit` in the answer. Mutates: the trace."""
        trim_started = time.perf_counter()
        shown = self.see(hit)
        self.trace.trim_ms = (time.perf_counter() - trim_started) * 1e3
        if fresh:
            self.trace.at_answer(hit.entry.stats)
        self.trace.complete = self.is_complete(hit)
        self.trace.answered_by = answered_by(hit, fresh)
        self.trace.n_chars = len(shown.text) if shown is not None else 0
        return shown
