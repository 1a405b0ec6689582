"""The file of the history: what is in it, who may read it, how old and large it gets, what becomes of a damaged one."""

from __future__ import annotations

import contextlib
import sqlite3
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from completer.errors import HistoryError
from completer.history import database
from completer.history.database import Database, clear
from completer.history.events import Accepted, Grew, Shown, Unit

HOUR = int(time.time() // 3600)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "history.sqlite"


@pytest.fixture
def opened(path: Path) -> Iterator[Database]:
    with contextlib.closing(Database(path)) as made:
        yield made


def shown(key: int, offer: int = 0, hour: int = HOUR, **fields: Any) -> Shown:
    values = {"language": "python", "answered_by": "cold", "latency_ms": 12.5, "n_chars": 20, "remote": False} | fields
    return Shown(key, offer or key, hour, **values)  # type: ignore[arg-type]


def rows(path: Path, columns: str = "*") -> list[tuple[Any, ...]]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return connection.execute(f"SELECT {columns} FROM suggestion ORDER BY id").fetchall()


def test_each_answer_is_a_row_and_acceptance_is_added_to_the_row_of_the_offer(opened: Database, path: Path) -> None:
    opened.add([shown(7), shown(8, offer=7), Grew(7, 30), Grew(7, 25), Accepted(7, 4, Unit.WORD)])
    opened.add([Accepted(7, 16, Unit.WHOLE), Accepted(7, 1, Unit.WORD), Accepted(99, 5, Unit.WHOLE)])
    assert rows(path, "id, offer, n_shown, n_accepted, unit") == [(1, None, 30, 21, 3), (2, 1, 20, 0, 0)]


def test_no_column_can_hold_text_of_a_document_or_its_name(opened: Database, path: Path) -> None:
    opened.add([shown(1)])
    with contextlib.closing(sqlite3.connect(path)) as connection:
        columns = {name: kind for _, name, kind, *_ in connection.execute("PRAGMA table_info(suggestion)")}
    assert {name for name, kind in columns.items() if kind == "TEXT"} == {"language", "answered_by"}
    assert not {name for name in columns if "uri" in name or "doc" in name or "text" in name}


@pytest.mark.skipif(sys.platform == "win32", reason="there are no modes")
def test_only_the_owner_can_read_the_file_and_those_beside_it(opened: Database, path: Path) -> None:
    opened.add([shown(1)])
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert len(modes) == 3  # with the log and the index of SQLite
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.skipif(sys.platform == "win32", reason="there are no modes")
def test_a_folder_that_others_may_write_to_is_not_used(path: Path) -> None:
    path.parent.mkdir(mode=0o700)
    path.parent.chmod(0o777)
    with pytest.raises(HistoryError, match="others may write"):
        Database(path)


def test_what_is_older_than_90_days_is_deleted_at_the_next_start(opened: Database, path: Path) -> None:
    opened.add([shown(1, hour=HOUR - 24 * 91), shown(2, hour=HOUR - 24 * 89)])
    Database(path).close()
    assert rows(path, "hour") == [(HOUR - 24 * 89,)]


def test_the_oldest_rows_beyond_the_limit_are_deleted_while_it_grows(
    opened: Database, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "MAX_ROWS", 30)
    monkeypatch.setattr(database, "_PRUNE_EVERY", 10)
    for start in range(1, 101, 10):
        opened.add([shown(key) for key in range(start, start + 10)])
    assert rows(path, "id") == [(n,) for n in range(71, 101)]


def test_several_language_servers_write_to_one_file(opened: Database, path: Path) -> None:
    with contextlib.closing(Database(path)) as other:
        opened.add([shown(1, language="go")])
        other.add([shown(1, language="rust")])  # keys are those of a process
        opened.add([Accepted(1, 5, Unit.WHOLE)])
    assert rows(path, "language, n_accepted") == [("go", 5), ("rust", 0)]


@pytest.mark.parametrize("garbage", [b"this is no database" * 100, b"SQLite format 3\0" + b"\xff" * 4096])
def test_a_damaged_file_is_moved_aside_and_a_new_one_begun(path: Path, garbage: bytes, caplog: pytest.LogCaptureFixture) -> None:
    path.parent.mkdir(mode=0o700)
    path.write_bytes(garbage)
    with contextlib.closing(Database(path)) as made:
        made.add([shown(1)])
    assert len(rows(path)) == 1
    assert path.with_name(f"{path.name}.damaged").read_bytes() == garbage
    assert len(caplog.records) == 1


def test_a_file_that_is_damaged_while_it_is_open_costs_no_event(opened: Database, path: Path) -> None:
    opened.add([shown(1)])
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE suggestion")
    opened.add([shown(2), Accepted(2, 3, Unit.WORD)])
    assert rows(path, "n_accepted") == [(3,)]


def test_clear_deletes_the_rows_even_while_a_server_writes(opened: Database, path: Path) -> None:
    opened.add([shown(1)])
    assert clear(path)
    assert rows(path) == []
    opened.add([Accepted(1, 5, Unit.WHOLE), shown(2)])  # what was forgotten stays so
    assert rows(path, "n_accepted") == [(0,)]


def test_clear_removes_a_damaged_file_and_one_that_was_moved_aside(path: Path) -> None:
    path.parent.mkdir(mode=0o700)
    path.write_bytes(b"no database" * 100)
    path.with_name(f"{path.name}.damaged").write_bytes(b"older")
    assert clear(path)
    assert list(path.parent.iterdir()) == []


def test_clear_without_a_history_makes_none(path: Path) -> None:
    assert not clear(path)
    assert not path.exists()
