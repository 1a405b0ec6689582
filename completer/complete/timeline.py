"""When each step of one request began and ended, and how that becomes a file for a trace viewer. Never text of a document.

A step is noted by one call at its end, which takes less than a microsecond: every key has a timeline.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from completer.complete.trace import Trace
from completer.types import Stats

_FRONT, _ENGINE = 1, 2
_TRACKS = {_FRONT: "request", _ENGINE: "engine"}
_PROCESS = 1


class Step(NamedTuple):
    """Times on the clock of `time.perf_counter`."""

    name: str
    began_s: float
    ended_s: float


class Event(NamedTuple):
    """What an event of the generator said, and when it arrived."""

    arrived_s: float
    stats: Stats


@dataclass(slots=True)
class Timeline:
    """The steps of a request, without gaps, and the events of the generation that was started for it.

    events: grows after the answer, too.  submitted_s: when the generation was submitted; None without one.
    """

    began_s: float = field(default_factory=time.perf_counter)
    steps: list[Step] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    submitted_s: float | None = None

    def ended(self, name: str) -> None:
        """Note that a step ends now, which began when the one before it ended. Mutates: the steps."""
        began_s = self.steps[-1].ended_s if self.steps else self.began_s
        self.steps.append(Step(name, began_s, time.perf_counter()))

    def arrived(self, stats: Stats) -> None:
        """Note an event of the generator. Mutates: the events."""
        self.events.append(Event(time.perf_counter(), stats))


def chrome_trace(timeline: Timeline, trace: Trace) -> dict[str, Any]:
    """Return both in the Trace Event Format, as JSON values: what Perfetto and chrome://tracing open.

    Times are microseconds from the request. `trace` becomes the arguments of the whole request, without the document's URI.
    """
    end_s = timeline.steps[-1].ended_s if timeline.steps else timeline.began_s
    about = {name: value for name, value in asdict(trace).items() if name != "uri"}
    named = [("process_name", _FRONT, "completer"), *(("thread_name", track, name) for track, name in _TRACKS.items())]
    events = [{"ph": "M", "name": kind, "pid": _PROCESS, "tid": track, "args": {"name": name}} for kind, track, name in named]
    events.append(_slice(timeline, Step("request", timeline.began_s, end_s), _FRONT, about))
    events += [_slice(timeline, step, _FRONT, {}) for step in timeline.steps]
    events += [_slice(timeline, step, _ENGINE, numbers) for step, numbers in _engine_steps(timeline)]
    sent = {"ph": "i", "name": "sent", "s": "p", "ts": _us(end_s - timeline.began_s), "pid": _PROCESS, "tid": _FRONT}
    return {"traceEvents": [*events, sent], "displayTimeUnit": "ms"}


def _slice(timeline: Timeline, step: Step, track: int, numbers: dict[str, Any]) -> dict[str, Any]:
    began, ended = (_us(at_s - timeline.began_s) for at_s in (step.began_s, step.ended_s))
    return {"ph": "X", "name": step.name, "ts": began, "dur": ended - began, "pid": _PROCESS, "tid": track, "args": numbers}


def _us(seconds: float) -> int:
    """Return whole microseconds: viewers drop a step that begins before the one before it ends, by rounding too."""
    return round(seconds * 1e6)


def _engine_steps(timeline: Timeline) -> Iterator[tuple[Step, dict[str, int]]]:
    """Yield what the engine did, by its own clock, and numbers of each step."""
    began_s = timeline.submitted_s
    for run in _runs(timeline.events):
        if began_s is not None:
            yield from _steps_of(run, began_s)
        began_s = run[-1].arrived_s


def _runs(events: Sequence[Event]) -> Iterator[list[Event]]:
    """Yield the events of each generation: one whose text was a placeholder is begun anew, and counts from 0 again."""
    run: list[Event] = []
    for event in events:
        if run and event.stats.n_forwards < run[-1].stats.n_forwards:
            yield run
            run = []
        run.append(event)
    if run:
        yield run


def _steps_of(run: Sequence[Event], submitted_s: float) -> Iterator[tuple[Step, dict[str, int]]]:
    last = run[-1].stats
    at_s = submitted_s + last.queue_ms / 1e3
    yield Step("queue", submitted_s, at_s), {}
    yield Step("prefill", at_s, at_s := at_s + last.prefill_ms / 1e3), {"n_keep": last.n_keep, "n_feed": last.n_feed}
    before = Stats()
    for _, stats in run:
        if stats.decode_ms > before.decode_ms:
            n_tokens = stats.n_generated - before.n_generated
            name = "forward" if stats.n_forwards > before.n_forwards else "known row"
            step = Step(name, at_s + before.decode_ms / 1e3, at_s + stats.decode_ms / 1e3)
            yield step, {"n_tokens": n_tokens, "n_forwards": stats.n_forwards, "n_generated": stats.n_generated}
            before = stats
