"""Figures of the history."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from completer.errors import HistoryError
from completer.history.database import Database
from completer.history.events import Accepted, Event, Shown, Unit
from completer.history.summary import ALL, Acceptance, Latency, summarise

HOUR = int(time.time() // 3600)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "history.sqlite"


Note = Callable[..., None]


@pytest.fixture
def note(path: Path) -> Note:
    """`note(*events)` writes events."""

    def write(*events: Event) -> None:
        with contextlib.closing(Database(path)) as database:
            database.add(events)

    return write


def shown(key: int, offer: int = 0, hour: int = HOUR, **fields: Any) -> Shown:
    values = {"language": "python", "answered_by": "cold", "latency_ms": 12.5, "n_chars": 20, "remote": False} | fields
    return Shown(key, offer or key, hour, **values)  # type: ignore[arg-type]


def test_without_a_history_all_figures_are_zero_and_none_is_made(path: Path) -> None:
    summary = summarise(path, 7)
    assert (summary.n_answers, summary.latency, summary.languages, summary.total.rate) == (0, {}, {}, None)
    assert not path.exists()


def test_percentiles_of_the_latency_are_by_how_the_answer_came_about(path: Path, note: Note) -> None:
    note(*(shown(key, latency_ms=float(key)) for key in range(1, 101)))
    note(shown(1, answered_by="typed-through", latency_ms=1.0), shown(2, answered_by="background", latency_ms=None))
    latency = summarise(path, 7).latency
    assert latency["cold"] == Latency(100, 50.5, 95.0, 99.0)
    assert latency["typed-through"] == Latency(1, 1.0, 1.0, 1.0)
    assert "background" not in latency  # nobody had asked
    assert latency[ALL].n == 101


def test_a_suggestion_counts_once_with_the_largest_unit_that_was_accepted_of_it(path: Path, note: Note) -> None:
    note(
        *(shown(1), shown(2, offer=1, answered_by="typed-through"), Accepted(1, 4, Unit.WORD), Accepted(1, 16, Unit.WHOLE)),
        *(shown(3), Accepted(3, 5, Unit.WORD)),
        *(shown(4), Accepted(4, 9, Unit.LINE)),
        shown(5),
        *(shown(6, language="go", n_chars=8), Accepted(6, 8, Unit.WHOLE)),
    )
    summary = summarise(path, 7)
    assert summary.languages == {"python": Acceptance(4, 3, 1, 1, 1, 80, 34), "go": Acceptance(1, 1, 1, 0, 0, 8, 8)}
    assert summary.total == Acceptance(5, 4, 2, 1, 1, 88, 42)
    assert summary.total.rate == 0.8
    assert summary.n_answers == 6


def test_only_the_last_days_count(path: Path, note: Note) -> None:
    note(shown(1), shown(2, hour=HOUR - 24), shown(3, hour=HOUR - 24 * 6))
    assert [summarise(path, n).n_answers for n in (1, 2, 7)] == [1, 2, 3]


def test_each_day_is_there_with_what_was_shown_and_accepted_on_it(path: Path, note: Note) -> None:
    note(shown(1), Accepted(1, 5, Unit.WHOLE), shown(2), shown(3, hour=HOUR - 48))
    days = summarise(path, 3).by_day
    assert (days[-1].day, days[-1].shown, days[-1].accepted) == (date.today(), 2, 1)
    assert (days[1].shown, days[1].accepted) == (1, 0)
    assert len(days) == 4


def test_answers_of_a_server_are_told_apart(path: Path, note: Note) -> None:
    note(shown(1), shown(2, remote=True))
    assert summarise(path, 7).n_remote == 1


def test_figures_can_be_read_while_a_server_writes(path: Path) -> None:
    with contextlib.closing(Database(path)) as database:
        database.add([shown(1)])
        assert summarise(path, 7).n_answers == 1
        database.add([shown(2)])
        assert summarise(path, 7).n_answers == 2


def test_a_damaged_history_is_an_error_that_names_the_mend(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"no database" * 100)
    with pytest.raises(HistoryError, match="completer stats --clear"):
        summarise(path, 7)
