"""Figures of the history over some days. Reads the file and nothing else; language servers may write to it meanwhile."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from completer.errors import HistoryError
from completer.history.database import is_damage

ALL = "all"
_BUSY_S = 5.0


@dataclass(frozen=True, slots=True)
class Latency:
    """From request to answer, over `n` answers with a suggestion."""

    n: int
    p50_ms: float
    p95_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class Acceptance:
    """What became of suggestions, each counted once however often it was answered while it was typed along.

    shown: suggestions.  accepted: those of which anything was, whole + line + word.  shown_chars, accepted_chars: characters.
    """

    shown: int = 0
    accepted: int = 0
    whole: int = 0
    line: int = 0
    word: int = 0
    shown_chars: int = 0
    accepted_chars: int = 0

    @property
    def rate(self) -> float | None:
        """Share of the suggestions that were accepted; None without any."""
        return self.accepted / self.shown if self.shown else None


@dataclass(frozen=True, slots=True)
class Day:
    """Suggestions of one day of local time."""

    day: date
    shown: int = 0
    accepted: int = 0


@dataclass(frozen=True, slots=True)
class Summary:
    """The history of the last `n_days` days.

    n_answers: answers with a suggestion; n_remote of them came from a server.  latency: by how they came about, and ALL.
    languages: by LSP language id, most suggestions first.  by_day: each day, oldest first.
    """

    n_days: int
    n_answers: int = 0
    n_remote: int = 0
    latency: Mapping[str, Latency] = field(default_factory=dict)
    languages: Mapping[str, Acceptance] = field(default_factory=dict)
    total: Acceptance = field(default_factory=Acceptance)
    by_day: tuple[Day, ...] = ()


_COUNTS = """
    count(*), count(nullif(n_accepted, 0)), count(nullif(unit = 3, 0)), count(nullif(unit = 2, 0)), count(nullif(unit = 1, 0)),
    coalesce(sum(n_shown), 0), coalesce(sum(n_accepted), 0)
"""
_OFFERS = "FROM suggestion WHERE offer IS NULL AND hour > ?"


def summarise(path: Path, n_days: int) -> Summary:
    """Return the figures of the last 24 * n_days hours; those of an empty history if there is no file. Raises: HistoryError."""
    if not path.exists():
        return Summary(n_days, by_day=_days(n_days, ()))
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=_BUSY_S)) as connection:
            connection.execute("PRAGMA query_only = 1")
            return _summary(connection, n_days)
    except sqlite3.Error as error:
        mend = ": 'completer stats --clear' begins a new one" if is_damage(error) else ""
        raise HistoryError(f"the history {path} cannot be read ({error}){mend}") from error


def _summary(connection: sqlite3.Connection, n_days: int) -> Summary:
    since = (int(time.time() // 3600) - 24 * n_days,)
    answers = connection.execute("SELECT count(*), coalesce(sum(remote), 0) FROM suggestion WHERE hour > ?", since).fetchone()
    by_language = connection.execute(f"SELECT language, {_COUNTS} {_OFFERS} GROUP BY language ORDER BY 2 DESC, 1", since)
    total = connection.execute(f"SELECT {_COUNTS} {_OFFERS}", since).fetchone()
    by_hour = connection.execute(f"SELECT hour, count(*), count(nullif(n_accepted, 0)) {_OFFERS} GROUP BY hour", since)
    times = connection.execute(
        "SELECT answered_by, latency_ms FROM suggestion WHERE latency_ms IS NOT NULL AND hour > ? ORDER BY answered_by", since
    )
    return Summary(
        n_days,
        n_answers=answers[0],
        n_remote=answers[1],
        latency=_latencies(times),
        languages={language: Acceptance(*counts) for language, *counts in by_language},
        total=Acceptance(*total),
        by_day=_days(n_days, by_hour),
    )


def _latencies(rows: Iterable[tuple[str, float]]) -> dict[str, Latency]:
    times: dict[str, list[float]] = {}
    for answered_by, ms in rows:
        times.setdefault(answered_by, []).append(ms)
    if times:
        times[ALL] = [ms for group in times.values() for ms in group]
    return {
        name: Latency(len(group), *(round(float(ms), 1) for ms in np.percentile(group, (50, 95, 99))))
        for name, group in times.items()
    }


def _days(n_days: int, rows: Iterable[tuple[int, int, int]]) -> tuple[Day, ...]:
    """Return the local days on which the last 24 * n_days hours lie. rows: hour, suggestions, accepted ones."""
    today = date.today()
    counts = {today - timedelta(days=n): [0, 0] for n in range(n_days, -1, -1)}
    for hour, shown, accepted in rows:
        day = counts.get(date.fromtimestamp(hour * 3600))
        if day is not None:  # the clock may have been wrong
            day[0] += shown
            day[1] += accepted
    return tuple(Day(day, *found) for day, found in counts.items())
