"""Compares the hashes of a converted model now and then, while the model runs, without disturbing who types."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from completer.engines.weights.converted import Damage, find_damage, is_due

FIRST_AFTER_S = 60.0
"""A start is over by then."""
EVERY_S = 600.0
"""How often is looked whether a check is due: six file states."""
PAUSE_S = 0.01
"""After each chunk of 256 KiB, which takes a millisecond: a tenth of one core."""
_BUSY_PAUSE_S = 0.1
_NICENESS = 19


class BackgroundCheck:
    """A thread of low priority over one folder. It ends at the first damage, or when it is closed."""

    def __init__(
        self,
        folder: Path,
        on_damage: Callable[[Damage], None],
        is_busy: Callable[[], bool],
        first_after_s: float = FIRST_AFTER_S,
    ) -> None:
        """on_damage: called at most once, in the thread.  is_busy: whether the engine works; the check waits meanwhile."""
        self._folder = folder
        self._on_damage = on_damage
        self._is_busy = is_busy
        self._first_after_s = first_after_s
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="completer-check", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop, in the middle of a file if need be."""
        self._closed.set()
        self._thread.join(timeout=1)

    def _run(self) -> None:
        if sys.platform == "linux":
            with contextlib.suppress(OSError):  # Linux gives each thread a niceness of its own
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
        delay_s = self._first_after_s
        while not self._closed.wait(delay_s):
            delay_s = EVERY_S
            if not is_due(self._folder):
                continue
            try:
                damage = find_damage(self._folder, every_hash=True, progress=self._pause)
            except _Closed:
                return
            if damage is not None:
                self._on_damage(damage)
                return

    def _pause(self, _done: int, _total: int) -> None:
        self._closed.wait(PAUSE_S)
        while self._is_busy() and not self._closed.wait(_BUSY_PAUSE_S):
            pass
        if self._closed.is_set():
            raise _Closed


class _Closed(Exception):
    """The check is no longer wanted."""
