"""Where the engine of a language server runs: in the user's worker, or in this process."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from completer.complete.api import Completer, Report
from completer.config import Settings
from completer.engines.registry import leaves_machine
from completer.errors import ConfigError, DeadlineOver, DiskFull, OutOfMemory, ServerUnreachable, WorkerLost
from completer.worker import start

if TYPE_CHECKING:
    from completer.assemble import Engines

log = logging.getLogger(__name__)

RETRY_S = 5.0
"""How long to leave a server or a worker alone that did not answer when the engine was loaded."""
LONGEST_RETRY_S = 60.0
"""The same for a worker that keeps crashing, and while memory or disk space is short: each attempt is work."""


class Makers:
    """Makes the completers of all clients of one language server; see `completer.complete.api.MakeCompleter`."""

    def __init__(self, in_process: bool = False) -> None:
        """in_process: no engine runs in a worker."""
        self._in_process = in_process
        self._lock = threading.Lock()
        self._engines: Engines | None = None

    def make(self, settings: Settings, report: Report) -> Completer:
        """Return the completer of one client. Blocks; waits for a server or a worker that does not answer yet,
        and for memory or disk space.

        Raises: CompleterError; DownloadCancelled, through `report`, when nobody waits any more.
        """
        place = self._place(settings)
        wait_s = RETRY_S
        while True:
            try:
                return self._make(place, settings, report)
            except (ServerUnreachable, DeadlineOver) as error:  # a network that is not up yet, a server that is being restarted
                _wait(f"{error}; tried again every {RETRY_S:.0f} s", RETRY_S, report)
            except (WorkerLost, OutOfMemory, DiskFull) as error:
                log.warning("%s", error)
                _wait(f"{error}; tried again after {wait_s:.0f} s", wait_s, report)
                wait_s = min(2 * wait_s, LONGEST_RETRY_S)

    def close(self) -> None:
        """Free the engines of this process. The worker goes on."""
        if self._engines is not None:
            self._engines.close()

    def _make(self, place: start.Place | None, settings: Settings, report: Report) -> Completer:
        if place is not None:
            from completer.worker.front import make_completer

            return make_completer(place, settings, report)
        return self._own_engines().make_completer(settings, report)

    def _own_engines(self) -> Engines:
        from completer.assemble import Engines

        with self._lock:
            self._engines = self._engines or Engines()
            return self._engines

    def _place(self, settings: Settings) -> start.Place | None:
        """Return where the worker is for these settings; None if the engine runs here, or elsewhere."""
        elsewhere = settings.engine != "auto" and leaves_machine(settings.engine)
        if self._in_process or elsewhere or not start.is_possible():
            return None
        try:
            return start.place_of(settings.worker_python)
        except (ConfigError, OSError) as error:
            log.warning("the engine runs in the language server: %s", error)
            return None


def _wait(why: str, for_s: float, report: Report) -> None:
    """Sleep, and report why. Raises: DownloadCancelled when nobody waits any more."""
    end = time.monotonic() + for_s
    while time.monotonic() < end:
        report(why, None)
        time.sleep(0.2)
