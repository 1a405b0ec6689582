"""When to start a process again after it crashed: at once, then later and later, and in the end only if it is needed."""

from __future__ import annotations

from dataclasses import dataclass

MANY = 4
"""Failures in a row from which on it is started only for a request, and the user is told to look."""
LONGEST_S = 60.0
LIVED_S = 30.0
"""A process that has served for so long is no part of a row."""


@dataclass(slots=True)
class Backoff:
    """n: failures in a row."""

    n: int = 0

    def failed(self, lived_s: float) -> None:
        """Take down that the process could not be started, or crashed after `lived_s` seconds. Mutates: n."""
        self.n = 1 if lived_s >= LIVED_S else self.n + 1

    @property
    def is_hopeless(self) -> bool:
        return self.n >= MANY

    @property
    def delay_s(self) -> float:
        """Seconds until the next attempt: 0, 1, 2, 4, … LONGEST_S."""
        return 0.0 if self.n <= 1 else min(LONGEST_S, 2.0 ** (self.n - 2))
