"""What each request cost, stage by stage. Numbers and names only, never text of a document."""

from __future__ import annotations

from collections import deque
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np

from completer.types import AnsweredBy, Snapshot, Stats

MAX_TRACES = 1000
N_RECENT = 100
"""Answers while typing that tell whether the machine is fast enough now."""
MIN_RECENT = 20
"""Fewer tell nothing: the first ones come from a cold cache."""


@dataclass(slots=True)
class Trace:
    """One request. Times in milliseconds; n_* count tokens, except n_forwards.

    n_context: of the context block at the start of the prompt.
    answered_by: "suppressed" if no suggestion was wanted, so the model was not asked.
    reason: the rule that kept it from being asked (`Quiet.reason`), or "".  n_chars 0: nothing was shown.
    complete: decoding was over when the answer went out.
    alternatives_ms: spent on the alternatives of an explicit request; a part of total_ms.
    queue_ms to decode_ms, n_keep to n_generated: of the generation that the answer came from, as far as it was by then.
    n_forwards_in_all to accepted: of the same, as far as it came at all: it goes on in the background.
    """

    id: int
    uri: str
    version: int
    answered_by: AnsweredBy | Literal["suppressed"] = "suppressed"
    reason: str = ""
    place: str = ""
    complete: bool = True
    n_chars: int = 0
    tokenise_ms: float = 0.0
    queue_ms: float = 0.0
    prefill_ms: float = 0.0
    ttft_ms: float = 0.0
    decode_ms: float = 0.0
    trim_ms: float = 0.0
    alternatives_ms: float = 0.0
    total_ms: float = 0.0
    n_context: int = 0
    n_keep: int = 0
    n_feed: int = 0
    n_forwards: int = 0
    n_generated: int = 0
    n_forwards_in_all: int = 0
    n_generated_in_all: int = 0
    drafted: dict[str, int] = field(default_factory=dict)
    accepted: dict[str, int] = field(default_factory=dict)

    def at_answer(self, stats: Stats) -> None:
        """Take what a generation has cost by the time of the answer. Mutates: the trace."""
        for name in ("queue_ms", "prefill_ms", "ttft_ms", "decode_ms", "n_keep", "n_feed", "n_forwards", "n_generated"):
            setattr(self, name, getattr(stats, name))
        self.in_all(stats)

    def in_all(self, stats: Stats) -> None:
        """Take what a generation has cost so far, the background included. Mutates: the trace."""
        self.n_forwards_in_all, self.n_generated_in_all = stats.n_forwards, stats.n_generated
        self.drafted, self.accepted = dict(stats.drafted), dict(stats.accepted)


class TraceLog:
    """The traces of the last MAX_TRACES requests."""

    def __init__(self) -> None:
        self._traces: deque[Trace] = deque(maxlen=MAX_TRACES)
        self._typing_ms: deque[float] = deque(maxlen=N_RECENT)
        self._n_begun = 0

    def new(self, snapshot: Snapshot, place: str) -> Trace:
        """Return a trace with the next id, for the caller to fill and `add`. Mutates: the number of those begun."""
        self._n_begun += 1
        return Trace(self._n_begun, snapshot.uri, snapshot.version, place=place)

    def add(self, trace: Trace, *, explicit: bool = False) -> None:
        """Keep `trace`. Mutates: the log."""
        self._traces.append(trace)
        if not explicit and trace.answered_by != "suppressed":
            self._typing_ms.append(trace.total_ms)

    def p95_above_ms(self, budget_ms: float) -> float | None:
        """Return the 95th percentile of the recent answers while typing if it is above the budget; None if not, or unknown."""
        if len(self._typing_ms) < MIN_RECENT:
            return None
        p95_ms = float(np.percentile(self._typing_ms, 95))
        return p95_ms if p95_ms > budget_ms else None

    def as_dicts(self) -> list[dict[str, Any]]:
        """Return the traces, oldest first, as plain data."""
        return [asdict(trace) for trace in self._traces]

    def latency_ms(self, percentile: float) -> float | None:
        """Return a percentile of the answer time over the kept requests; None when there are none."""
        totals = [trace.total_ms for trace in self._traces]
        return round(float(np.percentile(totals, percentile)), 1) if totals else None
