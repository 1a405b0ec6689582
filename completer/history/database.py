"""The file of the history: SQLite, readable by its owner only, bounded in size and age, begun anew when it is damaged."""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from pathlib import Path

from completer.errors import ConfigError, HistoryError
from completer.history.events import Accepted, Event, Grew, Shown
from completer.system.private import ensure_private
from completer.system.replace import replace_file

log = logging.getLogger(__name__)

MAX_DAYS = 90
MAX_ROWS = 200_000
_PRUNE_EVERY = 1_000
_BUSY_S = 5.0
_MAX_KEYS = 1_024
_DAMAGE = (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
"""A table that is missing or has other columns (SQLITE_ERROR) is damage, too: nothing else writes there."""

_FORM = """
CREATE TABLE IF NOT EXISTS suggestion (
    id INTEGER PRIMARY KEY AUTOINCREMENT, offer INTEGER, hour INTEGER NOT NULL, language TEXT NOT NULL, answered_by TEXT NOT NULL,
    latency_ms REAL, n_shown INTEGER NOT NULL, n_accepted INTEGER NOT NULL DEFAULT 0, unit INTEGER NOT NULL DEFAULT 0,
    remote INTEGER NOT NULL
)
"""
"""One row for each answer. offer: id of the row that it goes on with, null if it begins one.  unit: see `events.Unit`.

AUTOINCREMENT, because ids that were used before `clear` are still known to servers that run.
"""
_INSERT = "INSERT INTO suggestion (offer, hour, language, answered_by, latency_ms, n_shown, remote) VALUES (?, ?, ?, ?, ?, ?, ?)"


class Database:
    """The file, open for writing. Owned by one thread."""

    def __init__(self, path: Path) -> None:
        """Open the file, which is made if it is not there; a damaged one is moved aside. Raises: HistoryError."""
        self._path = path
        self._rows: OrderedDict[int, int] = OrderedDict()  # key of an answer -> id of its row
        self._n_since_pruned = 0
        with _as_history_error(path):
            self._connection = _opened(path)

    def add(self, events: Iterable[Event]) -> None:
        """Write events, all or none. A file that turns out to be damaged is begun anew. Raises: HistoryError."""
        batch = list(events)
        with _as_history_error(self._path):
            try:
                self._add(batch)
            except sqlite3.DatabaseError as error:
                if not is_damage(error):
                    raise
                self._connection.close()
                self._rows.clear()
                self._connection = _opened(self._path)
                self._add(batch)

    def close(self) -> None:
        self._connection.close()

    def _add(self, batch: list[Event]) -> None:
        with self._connection as connection:
            for event in batch:
                match event:
                    case Shown():
                        self._insert(event)
                    case Grew(offer, n_chars) if offer in self._rows:
                        grown = (n_chars, self._rows[offer])
                        connection.execute("UPDATE suggestion SET n_shown = max(n_shown, ?) WHERE id = ?", grown)
                    case Accepted(offer, n_chars, unit) if offer in self._rows:
                        taken = (n_chars, int(unit), self._rows[offer])
                        update = "UPDATE suggestion SET n_accepted = n_accepted + ?, unit = max(unit, ?) WHERE id = ?"
                        connection.execute(update, taken)
            if self._n_since_pruned >= _PRUNE_EVERY:
                self._n_since_pruned = 0
                prune(connection)

    def _insert(self, shown: Shown) -> None:
        """Mutates: the table, and what is known of the rows written last."""
        offer = None if shown.offer == shown.key else self._rows.get(shown.offer)
        values = (offer, shown.hour, shown.language, shown.answered_by, shown.latency_ms, shown.n_chars, int(shown.remote))
        row = self._connection.execute(_INSERT, values).lastrowid
        if row is not None and offer is None:
            self._rows[shown.offer] = row
        if len(self._rows) > _MAX_KEYS:
            self._rows.popitem(last=False)
        self._n_since_pruned += 1


def prune(connection: sqlite3.Connection) -> None:
    """Delete rows older than MAX_DAYS and, of the others, all but the last MAX_ROWS. Mutates: the table."""
    connection.execute("DELETE FROM suggestion WHERE hour < ?", (int(time.time() // 3600) - 24 * MAX_DAYS,))
    connection.execute("DELETE FROM suggestion WHERE id <= (SELECT max(id) FROM suggestion) - ?", (MAX_ROWS,))


def clear(path: Path) -> bool:
    """Delete the history; return whether there was one. What language servers write later goes to a new one.

    Raises: HistoryError.
    """
    with _as_history_error(path):
        if not path.exists():
            return False
        try:
            with contextlib.closing(_connected(path)) as connection:
                connection.execute("DELETE FROM suggestion")
                connection.commit()
                connection.execute("VACUUM")
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            _set_aside(path)
        _aside(path).unlink(missing_ok=True)
        return True


def is_damage(error: sqlite3.Error) -> bool:
    """Return whether an error means that the file is no history, or no longer whole."""
    return (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF in _DAMAGE


def _opened(path: Path) -> sqlite3.Connection:
    """Return a connection to the file; a damaged one is moved aside. Raises: sqlite3.Error, OSError, ConfigError."""
    ensure_private(path.parent)
    try:
        return _prepared(path)
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
    _set_aside(path)
    log.warning("the history was damaged and is begun anew; the old one is %s", _aside(path))
    return _prepared(path)


def _prepared(path: Path) -> sqlite3.Connection:
    connection = _connected(path)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        with connection:
            connection.execute(_FORM)
            prune(connection)
        damage = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if damage != "ok":
            raise _Damaged(damage)
    except BaseException:
        connection.close()
        raise
    return connection


class _Damaged(sqlite3.DatabaseError):
    sqlite_errorcode = sqlite3.SQLITE_CORRUPT


def _connected(path: Path) -> sqlite3.Connection:
    """Return a connection to a file of mode 0600, which SQLite gives to the files beside it, too."""
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
    handle = os.open(path, flags, 0o600)
    os.close(handle)
    path.chmod(0o600)
    return sqlite3.connect(path, timeout=_BUSY_S)


def _aside(path: Path) -> Path:
    return path.with_name(f"{path.name}.damaged")


def _set_aside(path: Path) -> None:
    replace_file(path, _aside(path))
    for ending in ("-wal", "-shm"):
        path.with_name(path.name + ending).unlink(missing_ok=True)


@contextlib.contextmanager
def _as_history_error(path: Path) -> Iterator[None]:
    """Raises: HistoryError, instead of what SQLite and the system raise."""
    try:
        yield
    except (sqlite3.Error, OSError, ConfigError) as error:
        raise HistoryError(f"the history {path} cannot be used: {error}") from error
