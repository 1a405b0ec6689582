"""Measures what a forward costs, when an engine is loaded: the decoder chooses widths and window sizes from it."""

from __future__ import annotations

import json
import math
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from completer.engines.base import ChoosingEngine, CostCurve, StepEngine
from completer.system.cachefile import read_json, write_cache

WIDTHS = (1, 2, 4, 8, 16)
CONTEXT_TOKENS = 128
PREFILL_TOKENS = 96
NOISE_TOKENS = 8
LIKELY = 3.0
"""Logits below the best: only the noise of tokens that might be chosen matters."""
_MEASURED = "with noise of 8"
"""Changes when more is measured: what an older version kept is then not read."""
KEPT_FOR_S = 7 * 24 * 3600.0
"""How long a measured curve is believed; `completer doctor` measures anew at any time."""


def measure_costs(engine: StepEngine, repeats: int = 2) -> CostCurve:
    """Return the engine's cost curve, measured in its slot 0 (about 0.7 seconds on two cores; it also warms the engine up).

    An engine that chooses on its device keeps its logits there: its noise is not measured, near-ties fall as they fall.

    Mutates: slot 0, which is empty afterwards.
    """
    ids = [(i * 7919) % min(engine.vocab_size, 50_000) for i in range(CONTEXT_TOKENS + PREFILL_TOKENS)]
    engine.truncate(0, 0)
    for _ in engine.prefill(0, ids[:CONTEXT_TOKENS]):
        pass
    prefill_ms = min(_prefill_ms(engine, ids[CONTEXT_TOKENS:]) for _ in range(repeats))
    forward_ms = {n: min(_forward_ms(engine, ids[:n]) for _ in range(repeats)) for n in WIDTHS}
    engine.truncate(0, 0)
    noise = 0.0 if isinstance(engine, ChoosingEngine) else measure_noise(engine)
    return CostCurve(forward_ms, prefill_ms / PREFILL_TOKENS, noise)


class KeptCosts:
    """A cost curve on disk, so that a start need not measure. key: all that it depends on besides the machine's name.

    A file that is damaged or cannot be written costs the measurement and nothing else.
    """

    def __init__(self, file: Path, key: str) -> None:
        self._file = file
        self._key = f"{key}; {platform.node()}; {_MEASURED}"

    def read(self, measure: Callable[[], CostCurve], again: bool = False) -> CostCurve:
        """Return the curve that is kept, or measure one and keep it. again: measure in any case.  Mutates: the file."""
        kept = None if again else _curve_of(read_json(self._file).get(self._key))
        if kept is not None:
            return kept
        costs = measure()
        self.write(costs)
        return costs

    def write(self, costs: CostCurve) -> None:
        """Keep `costs` for the next start. Mutates: the file."""
        known = read_json(self._file) | {self._key: {"measured": time.time(), **asdict(costs)}}
        write_cache(self._file, json.dumps(known).encode())


def _curve_of(entry: Any) -> CostCurve | None:
    """Return the curve of an entry of the file; None if it is too old or damaged."""
    try:
        age_s = time.time() - float(entry["measured"])
        forward_ms = {int(n): float(ms) for n, ms in entry["forward_ms"].items()}
        curve = CostCurve(forward_ms, float(entry["prefill_ms_per_token"]), float(entry["logit_noise"]))
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    prices = (*forward_ms.values(), curve.prefill_ms_per_token)
    plausible = bool(forward_ms) and all(0 < ms < math.inf for ms in prices) and 0 <= curve.logit_noise < math.inf
    return curve if plausible and 0 <= age_s < KEPT_FOR_S else None


def _prefill_ms(engine: StepEngine, ids: list[int]) -> float:
    engine.truncate(0, CONTEXT_TOKENS)
    start = time.perf_counter()
    for _ in engine.prefill(0, ids):
        pass
    return (time.perf_counter() - start) * 1e3


def _forward_ms(engine: StepEngine, ids: list[int]) -> float:
    engine.truncate(0, CONTEXT_TOKENS)
    start = time.perf_counter()
    if isinstance(engine, ChoosingEngine):  # as the decoder asks it: all rows chosen, no logits copied back
        engine.forward_choices(0, ids, [None] * len(ids))
    else:
        engine.forward(0, ids, len(ids))
    return (time.perf_counter() - start) * 1e3


def measure_noise(engine: StepEngine) -> float:
    """Return how far the likely logits of a token lie apart when it is forwarded with others and alone: `CostCurve.logit_noise`.

    Mutates: slot 0, which is empty afterwards.
    """
    ids = [(i * 7919) % min(engine.vocab_size, 50_000) for i in range(CONTEXT_TOKENS + NOISE_TOKENS)]
    engine.truncate(0, 0)
    for _ in engine.prefill(0, ids[:CONTEXT_TOKENS]):
        pass
    together = engine.forward(0, ids[CONTEXT_TOKENS:], NOISE_TOKENS).copy()
    engine.truncate(0, CONTEXT_TOKENS)
    noise = 0.0
    for id_, row in zip(ids[CONTEXT_TOKENS:], together, strict=True):
        alone = engine.forward(0, [id_], 1)[0]
        likely = alone >= alone.max() - LIKELY
        noise = max(noise, float(np.abs(alone - row)[likely].max()))
    engine.truncate(0, 0)
    return noise


@dataclass(frozen=True, slots=True)
class MachineLimits:
    """What this machine can do at most: memory_gb_s read by all threads; product_gflop_s of a bf16 matrix product."""

    memory_gb_s: float
    product_gflop_s: float


def measure_limits(repeats: int = 5, device: str = "cpu") -> MachineLimits:
    """Return the limits of the CPU, on torch's current number of threads, or of a graphics card (about a second)."""
    import torch

    numbers = torch.zeros(64 * 2**20, device=device)  # 256 MB: far more than any cache
    a, b = (torch.randn(rows, 4096, device=device).bfloat16() for rows in (1024, 4096))

    def best_s(run: Callable[[], object]) -> float:
        times = []
        for _ in range(repeats):
            start = time.perf_counter()
            run()
            if device != "cpu":
                torch.cuda.synchronize()
            times.append(time.perf_counter() - start)
        return min(times)

    read_s = best_s(lambda: torch.dot(numbers, numbers))
    product_s = best_s(lambda: a @ b.t())
    return MachineLimits(numbers.nbytes / read_s / 1e9, 2 * 1024 * 4096 * 4096 / product_s / 1e9)
