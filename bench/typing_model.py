"""When people press keys: a lognormal model of the gap between two keystrokes, fitted to recordings."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Iterable
from dataclasses import dataclass

LONGEST_GAP_MS = 2000.0
"""Longer gaps are pauses for thought, not typing; the fit leaves them out and sampling never gives them."""


@dataclass(frozen=True, slots=True)
class TypingModel:
    """Gap between contiguous keys: ln(gap / 1 ms) is normal(mu, sigma), cut at LONGEST_GAP_MS.

    The defaults are the fit to the two recordings with millisecond stamps in josephg/editing-traces.
    `jump_ms`: the pause before work goes on at another place; `homing_ms`: the part of it after the cursor is there, in which the
    hand goes back from the mouse to the keyboard (0.4 s in the keystroke-level model of Card, Moran and Newell, 1980).
    """

    mu: float = 4.94
    sigma: float = 0.78
    jump_ms: float = 1200.0
    homing_ms: float = 400.0

    def gap_ms(self, rng: random.Random) -> float:
        """Return one gap in milliseconds; advances `rng`."""
        while True:
            gap = rng.lognormvariate(self.mu, self.sigma)
            if gap < LONGEST_GAP_MS:
                return gap

    def survival(self, t_ms: float) -> float:
        """Return the share of keys after which nothing else happens for `t_ms`: an answer is still relevant."""
        if t_ms <= 0:
            return 1.0
        reach = self._cdf(LONGEST_GAP_MS)
        return max(0.0, 1.0 - self._cdf(t_ms) / reach)

    def _cdf(self, t_ms: float) -> float:
        return 0.5 * (1 + math.erf((math.log(t_ms) - self.mu) / (self.sigma * math.sqrt(2))))


def fit(gaps_ms: Iterable[float]) -> TypingModel:
    """Return the model that fits the gaps (those above zero and below LONGEST_GAP_MS).

    Raises: ValueError with fewer than two usable gaps.
    """
    logs = [math.log(gap) for gap in gaps_ms if 0 < gap < LONGEST_GAP_MS]
    if len(logs) < 2:
        raise ValueError("at least two gaps between 0 and 2000 ms are needed for a fit")
    return TypingModel(mu=statistics.fmean(logs), sigma=statistics.stdev(logs))
