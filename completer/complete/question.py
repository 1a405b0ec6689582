"""One request of the editor: where it was asked, how long it may wait, and what of an answer can be shown there.

automatic   asked ────── SOFT_SHARE of the budget ────── budget
              whole suggestion: shown at once    │
                                                 first clean piece: shown, the rest follows
                                                                       │
                                                                       what is clean by now, or nothing

explicit    asked ────────────────────────────────────── explicit budget
              whole suggestion: shown at once                          what is clean by now, or nothing
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from completer.complete.generations import Generations
from completer.complete.timeline import Timeline
from completer.complete.trace import Trace
from completer.config import Settings
from completer.suggest.entries import Hit
from completer.suggest.trim import Note, Showing
from completer.suggest.visible import answered_by, is_complete, visible
from completer.syntax.cursor import CursorContext
from completer.types import Replacement, Snapshot, Suggestion

SOFT_SHARE = 0.55
"""Share of an automatic request's budget after which the first clean piece is shown; the rest follows when it is ready."""
MARGIN_MS = 4.0
"""Kept back from the budget for trimming and for the way to the editor."""


@dataclass(frozen=True, slots=True)
class Question:
    """Owned by the event loop. trace, timeline: of this request; they are filled on the way.

    explicit: the user asked for a suggestion with a key.  selected: what the suggestion must begin with.
    given: what the client was given at this place before.
    """

    snapshot: Snapshot
    cursor: CursorContext
    settings: Settings
    trace: Trace
    explicit: bool = False
    selected: Replacement | None = None
    given: Suggestion | None = None
    timeline: Timeline = field(default_factory=Timeline)

    @property
    def started_s(self) -> float:
        """When the request was handled, on the clock of `time.perf_counter`."""
        return self.timeline.began_s

    @property
    def elapsed_ms(self) -> float:
        return (time.perf_counter() - self.started_s) * 1e3

    @property
    def budget_ms(self) -> float:
        """An explicit request waits for the whole line; the next key cancels it."""
        automatic = self.settings.budget_ms
        return max(automatic, self.settings.explicit_budget_ms) if self.explicit else automatic

    @property
    def until_s(self) -> float:
        """When the answer must go out, on the clock of `time.perf_counter`."""
        return self.started_s + (self.budget_ms - MARGIN_MS) / 1e3

    @property
    def soft_ms(self) -> float:
        """When the first clean piece is enough, in milliseconds after the request."""
        return self.budget_ms * (1.0 if self.explicit else SOFT_SHARE)

    def see(self, hit: Hit, note: Note = lambda *_: None) -> Replacement | None:
        """Return what of `hit`, as far as it has been generated, can be shown here. note: see `completer.suggest.trim`."""
        showing = Showing(selected=self.selected, explicit=self.explicit)
        return visible(hit, self.settings.confidence, self.snapshot, self.cursor, showing, note)

    def is_complete(self, hit: Hit) -> bool:
        """Whether no more of `hit` will be shown than can be now."""
        return is_complete(hit, self.settings.confidence)

    async def wait(self, generations: Generations, hit: Hit, fresh: bool) -> None:
        """Return when enough of `hit` can be shown, or when the time is up.

        fresh: the generation was started for this request; otherwise whatever can be shown of it is enough, unless the
        user asked explicitly.
        """

        def worth_showing() -> bool:
            enough = self.elapsed_ms > self.soft_ms or not (fresh or self.explicit)
            return self.is_complete(hit) or (enough and self.see(hit) is not None)

        if worth_showing():
            return
        # Wake once at the soft deadline, too: the first piece may have been ready before it.
        await generations.wait(lambda: self.is_complete(hit), (self.soft_ms - self.elapsed_ms) / 1e3)
        await generations.wait(worth_showing, self.until_s - time.perf_counter())

    def show(self, hit: Hit, fresh: bool) -> Replacement | None:
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
