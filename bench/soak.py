"""A long session: does memory stay flat while somebody types, and does the server rest when nobody does?"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter

from bench.drive import Typist
from bench.editor import Editor
from bench.figures import Summary
from bench.resources import Meter, resident_mb
from bench.trace import Trace

SAMPLE_KEYS = 100
SETTLE_S = 3.0
"""Work begun by the last key (prefetch, idle prefill) may still go on for so long."""


@dataclass(slots=True)
class Soak:
    """resident_mb: of the server's process tree, after each SAMPLE_KEYS keys.  idle_cpu_s: used in `idle_s` without a key.

    warm_keys: typed first, while slots, caches and the libraries' buffers fill up to their bounds.
    """

    warm_keys: int = 0
    keys: int = 0
    resident_mb: list[float] = field(default_factory=list)
    idle_s: float = 0.0
    idle_cpu_s: float = 0.0

    def summary(self) -> Summary:
        """Return the figures; growth: of all keys behind the warm ones, and of the warm ones."""
        mb, n_warm = self.resident_mb, self.warm_keys // SAMPLE_KEYS
        return {
            "keys": self.keys,
            "resident_mb": [round(one, 1) for one in mb],
            "growth_warm_mb": _growth(mb[:n_warm]),
            "growth_mb": _growth(mb[max(0, n_warm - 1) :]),
            "idle_s": round(self.idle_s, 1),
            "idle_cpu_percent": round(100 * self.idle_cpu_s / self.idle_s, 3) if self.idle_s else None,
        }


def _growth(samples: Sequence[float]) -> float | None:
    return round(samples[-1] - samples[0], 1) if len(samples) > 1 else None


async def soak(
    tool: Editor, traces: Sequence[Trace], *, n_warm: int, n_keys: int, idle_s: float, progress: Callable[[int], None]
) -> Soak:
    """Type `traces` again and again in a closed loop for `n_warm + n_keys` keys, then do nothing for `idle_s` and watch.

    progress: called with the number of keys typed since the last call.
    """
    result = Soak(warm_keys=n_warm)
    origin_s = perf_counter()
    try:
        await tool.start(origin_s)
        await _type(tool, traces, n_warm + n_keys, origin_s, result, progress)
        await asyncio.sleep(SETTLE_S)
        meter = Meter(tool.pid)
        meter.resume()
        begun = perf_counter()
        await asyncio.sleep(idle_s)
        result.idle_s = perf_counter() - begun
        meter.pause()
        result.idle_cpu_s = meter.cpu_s
    finally:
        await tool.stop()
    return result


async def _type(
    tool: Editor, traces: Sequence[Trace], n_keys: int, origin_s: float, result: Soak, progress: Callable[[int], None]
) -> None:
    for turn, trace in enumerate(itertools.cycle(traces)):
        typist = Typist(tool, trace, origin_s, closed=True, prefix=f"{turn}/")
        for segment in trace.segments():
            records = await typist.play(segment)
            before = result.keys
            result.keys += sum(record.kind == "key" for record in records)
            progress(result.keys - before)
            if result.keys // SAMPLE_KEYS > before // SAMPLE_KEYS:
                result.resident_mb.append(resident_mb(tool.pid))
            if result.keys >= n_keys:
                break
        typist.finish()
        tool.screen.frames.clear()
        if result.keys >= n_keys:
            return
