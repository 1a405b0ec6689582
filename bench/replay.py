"""Runs: one trace after the other, one tool or several in turn, and what came of it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter

from bench.client import Json
from bench.drive import Tool, Typist
from bench.figures import Summary, figures
from bench.resources import Meter
from bench.screen import Frame, Record
from bench.trace import Trace

Progress = Callable[[str, int], None]
"""Called with the tool's name and the number of events that have been played since the last call."""


@dataclass(slots=True)
class Run:
    """All that one tool did over all traces."""

    tool: Tool
    meter: Meter
    records: list[Record] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)

    def summary(self, *, closed: bool, redacted: bool = False) -> Summary:
        """Return the figures of this run, with the server's own particulars and cost."""
        return {
            "tool": self.tool.name,
            "info": self.tool.info,
            **figures(self.records, self.frames, closed=closed, redacted=redacted),
            "cpu_s": round(self.meter.cpu_s, 2),
            "cpu_ms_per_key": round(1e3 * self.meter.cpu_s / max(1, sum(r.kind == "key" for r in self.records)), 2),
            "peak_mb": round(self.meter.peak_mb, 1),
        }


REST_S = 2.0
"""In the closed loop: the pause of a person who moved the cursor, the same for all tools; the traces' clock has its own."""


async def replay(
    tools: Sequence[Tool],
    traces: Sequence[Trace],
    *,
    closed: bool = False,
    timeout_s: float = 30.0,
    budget_s: float = math.inf,
    progress: Progress = lambda name, n: None,
) -> list[Run]:
    """Play all traces into all tools and return a Run for each.

    Several tools take turns segment by segment (a b, b a, …), those at rest suspended, so that a machine that
    grows slower or faster does so for all of them. Servers are started before and always ended.
    budget_s: once this has passed since the first key, no further trace is begun (the same for all tools).
    """
    origin_s = perf_counter()
    runs: list[Run] = []
    try:
        for tool in tools:
            await tool.start(origin_s)
            run = Run(tool, Meter(tool.pid, suspends=len(tools) > 1))
            runs.append(run)
            run.meter.resume()
            run.meter.pause()
            run.meter.cpu_s = 0.0
        begun = perf_counter()
        for number, trace in enumerate(traces):
            if perf_counter() - begun > budget_s:
                break
            await _play(runs, trace, f"{number}/", origin_s, closed=closed, timeout_s=timeout_s, progress=progress)
    finally:
        for run in runs:
            run.meter.release()
        await asyncio.gather(*(tool.stop() for tool in tools), return_exceptions=True)
    return runs


async def _play(
    runs: Sequence[Run],
    trace: Trace,
    prefix: str,
    origin_s: float,
    *,
    closed: bool,
    timeout_s: float,
    progress: Progress,
) -> None:
    rest_s = REST_S if closed else 0.0
    typists = {
        id(run): Typist(run.tool, trace, origin_s, closed=closed, timeout_s=timeout_s, rest_s=rest_s, prefix=prefix)
        for run in runs
    }
    for turn, segment in enumerate(trace.segments()):
        for run in runs if turn % 2 == 0 else list(reversed(runs)):
            run.meter.resume()
            records = await typists[id(run)].play(segment)
            join_stages(records, await run.tool.stages())
            run.meter.pause()
            progress(run.tool.name, len(segment.events))
    for run in runs:
        run.meter.resume()
        typists[id(run)].finish()
        run.meter.pause()
        collect(run, typists[id(run)].records)


def collect(run: Run, records: Sequence[Record]) -> None:
    """Move the records of one trace, and the frames shown meanwhile, into `run`, numbered on."""
    base = len(run.records)
    frames = run.tool.screen.frames
    run.frames.extend(Frame(f.t_ms, f.record + base, f.text, f.why) for f in frames)
    frames.clear()
    for record in records:
        record.index += base
    run.records.extend(records)


def join_stages(records: Sequence[Record], traces: Sequence[Json]) -> None:
    """Give each record the server's trace of the same document version, the last of several.

    Mutates: stages and answered_by of the records.
    """
    by_version = {(str(trace.get("uri", "")), int(trace.get("version") or 0)): trace for trace in traces}
    for record in records:
        found = by_version.get((record.uri, record.version))
        if found is not None and record.asked_ms is not None:
            record.stages = found
            if found.get("answered_by") and not record.answered_by:
                record.answered_by = str(found["answered_by"])
