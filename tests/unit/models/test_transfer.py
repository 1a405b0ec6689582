"""A transfer counts bytes, reports them at a bearable rate, and ends when it is cancelled."""

from __future__ import annotations

import hashlib
import shutil
import threading
import time
from collections import namedtuple
from pathlib import Path

import pytest

from completer.errors import DownloadCancelled, DownloadError
from completer.models import transfer as module
from completer.models.transfer import CHUNK_BYTES, Transfer, ensure_space, gigabytes, sha256_of

Reports = list[tuple[str, int, int]]
Usage = namedtuple("Usage", "total used free")


class Clock:
    now_s = 100.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


def reporting(reports: Reports, total: int = 100) -> Transfer:
    return Transfer("model", total, lambda *report: reports.append(report))


def test_progress_is_reported_ten_times_a_second_at_most_and_at_the_end(clock: Clock) -> None:
    reports: Reports = []
    transfer = reporting(reports)
    for _ in range(10):
        transfer.advance(9)
        clock.now_s += 0.03
    transfer.advance(10)
    assert [done for _, done, _ in reports] == [9, 45, 81, 100]
    assert {(label, total) for label, _, total in reports} == {("model", 100)}


def test_the_bytes_done_never_exceed_the_total(clock: Clock) -> None:
    reports: Reports = []
    transfer = reporting(reports)
    transfer.advance(150)
    assert (transfer.done_bytes, reports) == (100, [("model", 100, 100)])


def test_a_resumed_transfer_starts_above_zero() -> None:
    transfer = Transfer("model", 100)
    transfer.move_to(60)
    transfer.advance(10)
    assert transfer.done_bytes == 70


def test_a_cancelled_transfer_does_no_more_and_neither_does_the_next_one() -> None:
    cancel = threading.Event()
    transfer = Transfer("model", 100, cancel=cancel)
    transfer.advance(10)
    cancel.set()
    with pytest.raises(DownloadCancelled, match="model: cancelled"):
        transfer.advance(10)
    assert transfer.done_bytes == 10
    with pytest.raises(DownloadCancelled, match="tokenizer"):
        transfer.next("tokenizer", 5).check()


def test_the_next_transfer_reports_to_the_same_listener_from_zero(clock: Clock) -> None:
    reports: Reports = []
    transfer = reporting(reports)
    transfer.advance(100)
    transfer.next("tokenizer", 5).advance(5)
    assert reports == [("model", 100, 100), ("tokenizer", 5, 5)]


def test_a_pause_ends_when_the_transfer_is_cancelled() -> None:
    cancel = threading.Event()
    cancel.set()
    started = time.monotonic()
    with pytest.raises(DownloadCancelled):
        Transfer("model", 1, cancel=cancel).pause(60)
    assert time.monotonic() - started < 30


def test_a_pause_that_nothing_interrupts_ends_by_itself() -> None:
    Transfer("model", 1).pause(0.001)


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES, CHUNK_BYTES + 1])
def test_a_file_is_hashed_whole_and_counted(tmp_path: Path, size: int) -> None:
    data = bytes(range(256)) * (size // 256 + 1)
    file = tmp_path / "model"
    file.write_bytes(data[:size])
    transfer = Transfer("checking", size)
    assert sha256_of(file, transfer) == hashlib.sha256(data[:size]).hexdigest()
    assert transfer.done_bytes == size


def test_hashing_ends_when_it_is_cancelled(tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(b"x")
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(DownloadCancelled):
        sha256_of(tmp_path / "model", Transfer("checking", 1, cancel=cancel))


def test_a_disk_needs_room_for_the_bytes_and_some_to_spare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(0, 0, 2_000_000_000))
    ensure_space(tmp_path, 1_900_000_000)
    with pytest.raises(DownloadError, match=r"no space in .*2\.05 GB needed, 2\.00 GB free.*COMPLETER_CACHE"):
        ensure_space(tmp_path, 1_980_000_000)


def test_sizes_are_decimal_gigabytes() -> None:
    assert gigabytes(1_234_567_890) == "1.23 GB"
