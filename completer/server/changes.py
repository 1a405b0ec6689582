"""When a client hears of a status: at its changes, soon, and only a few times a second. Knows nothing of the protocol."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Set
from typing import Any

Status = dict[str, Any]

EVERY_S = 0.25
"""Between two looks: progress and keys come more often."""
FIGURES_EVERY_S = 3.0
"""Between two messages that differ in figures alone."""


class Changes:
    """Compares a status with the one told last. Owned by the event loop; costs a call of `look` next to nothing."""

    def __init__(
        self,
        read: Callable[[], Status],
        tell: Callable[[Status], None],
        again_s: Callable[[Status], float | None] = lambda _: None,
        figures: Set[str] = frozenset(),
    ) -> None:
        """read: returns the status now.  tell: sends one that is new.

        again_s: in how many seconds a status may change without a call of `look`, None: it does not.  figures: fields that
        change all the time.
        """
        self._read = read
        self._tell = tell
        self._again_s = again_s
        self._figures = figures
        self._told: Status = {}
        self._told_s = self._looked_s = float("-inf")
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    def look(self) -> None:
        """Compare soon: at once if that was not done a moment ago. Something may have changed."""
        self._look_at(self._looked_s + EVERY_S)

    def close(self) -> None:
        """Tell nothing any more."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()

    def _look_at(self, when_s: float) -> None:
        loop = asyncio.get_running_loop()
        if self._closed or (self._timer is not None and self._timer.when() <= max(when_s, loop.time())):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = loop.call_at(max(when_s, loop.time()), self._look)

    def _look(self) -> None:
        now_s = asyncio.get_running_loop().time()
        self._timer, self._looked_s = None, now_s
        status = self._read()
        figures_due_s = self._told_s + FIGURES_EVERY_S
        if self._without_figures(status) != self._without_figures(self._told) or (
            status != self._told and now_s >= figures_due_s
        ):
            self._told, self._told_s = status, now_s
            self._tell(status)
        elif status != self._told:
            self._look_at(figures_due_s)
        if (again_s := self._again_s(status)) is not None:
            self._look_at(now_s + max(again_s, EVERY_S))

    def _without_figures(self, status: Status) -> Status:
        return {name: value for name, value in status.items() if name not in self._figures}
