"""Takes events of the history from event loops and writes them in batches, in a thread of its own. Never blocks a key."""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from completer.errors import ConfigError, HistoryError
from completer.history.events import Event
from completer.system.private import state_folder

if TYPE_CHECKING:
    from completer.history.database import Database

log = logging.getLogger(__name__)

NAME = "history-1.sqlite"
"""With the version of the form: another form has another file."""
MAX_WAITING = 1_024
"""Events that may wait for the file; more are dropped."""
BATCH_S = 2.0
CLOSE_S = 1.0
"""How long the end of the process may wait for the last batch."""


def history_path() -> Path:
    """Return where the history of this user is, or would be. Raises: ConfigError."""
    return state_folder() / NAME


class HistoryWriter:
    """One for each process. `put` may be called from any thread."""

    def __init__(self, path: Callable[[], Path] = history_path) -> None:
        """path: gives where the file is; called in the thread of the writer, which starts with the first event."""
        self._path = path
        self._waiting: queue.Queue[Event | None] = queue.Queue(MAX_WAITING)  # None: the end
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()
        self._database: Database | None = None
        self._said = False

    def put(self, event: Event) -> None:
        """Take an event, or drop it when too many wait. Returns at once. Mutates: what waits."""
        with contextlib.suppress(queue.Full):
            self._waiting.put_nowait(event)
        if self._thread is None:
            self._start()

    def close(self) -> None:
        """Write what waits, and end. Blocks for CLOSE_S at most."""
        with self._lock:
            self._closing.set()
        with contextlib.suppress(queue.Full):  # then the thread is not waiting for anything
            self._waiting.put_nowait(None)
        if self._thread is not None:
            self._thread.join(CLOSE_S)

    def _start(self) -> None:
        with self._lock:
            if self._thread is None and not self._closing.is_set():
                self._thread = threading.Thread(target=self._run, name="completer-history", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while not self._closing.is_set():
            first = self._waiting.get()
            self._closing.wait(BATCH_S)  # so that a batch is written once, not a row at each key
            self._write([first, *self._taken()])
        self._write(self._taken())
        self._forget_database()

    def _taken(self) -> list[Event | None]:
        batch = []
        with contextlib.suppress(queue.Empty):
            while True:
                batch.append(self._waiting.get_nowait())
        return batch

    def _write(self, taken: list[Event | None]) -> None:
        batch = [event for event in taken if event is not None]
        if not batch:
            return
        try:
            if self._database is None:
                from completer.history.database import Database  # some Pythons lack sqlite3

                self._database = Database(self._path())
            self._database.add(batch)
        except (HistoryError, ConfigError, ImportError) as error:
            self._forget_database()
            if not self._said:
                self._said = True
                log.warning("%s; only the figures of `completer stats` are lost", error)

    def _forget_database(self) -> None:
        database, self._database = self._database, None
        if database is not None:
            database.close()
