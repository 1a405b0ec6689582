"""The writer of the history: off the event loop, in batches, bounded; what goes wrong costs one line of the log."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from completer.errors import ConfigError
from completer.history import writer as module
from completer.history.database import Database
from completer.history.events import Event
from completer.history.offers import Offers
from completer.history.writer import HistoryWriter
from completer.types import Suggestion


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "history.sqlite"


@pytest.fixture
def writer(path: Path) -> Iterator[HistoryWriter]:
    made = HistoryWriter(lambda: path)
    yield made
    made.close()


def note(writer: HistoryWriter, n: int = 1) -> None:
    offers = Offers(writer.put)
    for i in range(n):
        offers.shown([str(i)], Suggestion("a", 1, "turn left", 9 * i, 9 * i, "cold"), "python", 1.0)


def n_rows(path: Path) -> int:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("SELECT count(*) FROM suggestion").fetchone()[0])


def test_what_waits_is_written_when_the_server_ends(writer: HistoryWriter, path: Path) -> None:
    note(writer, 3)
    writer.close()
    assert n_rows(path) == 3


def test_nothing_is_made_until_something_is_noted(writer: HistoryWriter, path: Path) -> None:
    writer.close()
    assert not path.parent.exists()
    assert not [thread for thread in threading.enumerate() if thread.name == "completer-history"]


def test_events_of_some_seconds_are_one_batch(writer: HistoryWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    batches: list[int] = []
    monkeypatch.setattr(Database, "add", lambda _self, events: batches.append(len(events)))
    note(writer, 50)
    writer.close()
    assert batches == [50]


def test_a_file_that_takes_long_holds_up_no_key_and_more_than_a_bound_is_dropped(
    writer: HistoryWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = threading.Event(), threading.Event()
    written: list[Event] = []

    def add(_self: Database, events: list[Event]) -> None:
        begun.set()
        go_on.wait(10)
        written.extend(events)

    monkeypatch.setattr(module, "BATCH_S", 0.0)
    monkeypatch.setattr(Database, "add", add)
    note(writer)
    assert begun.wait(10)
    began_s = time.perf_counter()
    note(writer, 3 * module.MAX_WAITING)
    assert time.perf_counter() - began_s < 1.0
    go_on.set()
    writer.close()
    assert 1 < len(written) <= 1 + module.MAX_WAITING


def test_a_folder_that_cannot_be_used_is_one_line_of_the_log(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "BATCH_S", 0.0)
    tried = threading.Semaphore(0)

    def place() -> Path:
        tried.release()
        raise ConfigError("there is no home folder")

    writer = HistoryWriter(place)
    for _ in range(3):
        note(writer)
        assert tried.acquire(timeout=10)
    writer.close()
    assert [record.getMessage() for record in caplog.records] == [
        "there is no home folder; only the figures of `completer stats` are lost"
    ]


def test_a_file_that_could_not_be_used_is_tried_again(writer: HistoryWriter, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BATCH_S", 0.0)
    path.parent.mkdir(mode=0o700)
    path.mkdir()  # no file can be made there
    note(writer)
    end = time.monotonic() + 10
    while not writer._said and time.monotonic() < end:
        time.sleep(0.005)
    path.rmdir()
    note(writer)
    writer.close()
    assert n_rows(path) == 1


def test_what_comes_after_the_end_is_dropped(writer: HistoryWriter, path: Path) -> None:
    writer.close()
    note(writer)
    writer.close()
    assert not path.exists()


@pytest.mark.slow
def test_noting_a_suggestion_takes_less_than_50_microseconds_of_a_key(writer: HistoryWriter) -> None:
    times_s = []
    for _ in range(9):  # fewer in all than may wait; other programs may take the processor during one of them
        began_s = time.perf_counter()
        note(writer, 100)
        times_s.append((time.perf_counter() - began_s) / 100)
    assert min(times_s) < 50e-6
