"""What every source of model bytes needs: progress, cancelling, hashing, room on the disk."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import threading
import time
from pathlib import Path

from completer.errors import DiskFull, DownloadCancelled
from completer.types import Progress

CHUNK_BYTES = 1 << 20
# An editor redraws its progress no faster than this, and a terminal need not.
_REPORT_EVERY_S = 0.1
# Room that a pull leaves free, so that it never fills a disk to the brim.
_SPARE_BYTES = 64 << 20
_SHORT_WRITE = re.compile(r"\d+ requested and \d+ written")


class Transfer:
    """One stretch of work over a known number of bytes. `done_bytes` grows; `check` ends it when cancelled.

    progress: called in the thread that pulls, at most ten times a second and once at the end of each label.
    """

    def __init__(
        self, label: str, total_bytes: int, progress: Progress | None = None, cancel: threading.Event | None = None
    ) -> None:
        self.label = label
        self.total_bytes = total_bytes
        self.done_bytes = 0
        self._progress = progress
        self._cancel = cancel or threading.Event()
        self._reported_s = 0.0

    def advance(self, n_bytes: int) -> None:
        """Count bytes as done, report them. Raises: DownloadCancelled."""
        self.move_to(self.done_bytes + n_bytes)

    def move_to(self, done_bytes: int) -> None:
        """Set the bytes done (resuming starts above zero), report them. Raises: DownloadCancelled."""
        self.check()
        self.done_bytes = min(done_bytes, self.total_bytes)
        now_s = time.monotonic()
        if self._progress and (self.done_bytes == self.total_bytes or now_s - self._reported_s >= _REPORT_EVERY_S):
            self._reported_s = now_s
            self._progress(self.label, self.done_bytes, self.total_bytes)

    def check(self) -> None:
        if self._cancel.is_set():
            raise DownloadCancelled(f"{self.label}: cancelled; the next pull goes on from here")

    def pause(self, seconds: float) -> None:
        """Wait, but not longer than until cancelled. Raises: DownloadCancelled."""
        self._cancel.wait(seconds)
        self.check()

    def next(self, label: str, total_bytes: int) -> Transfer:
        """Return a fresh transfer with the same listener and the same cancel switch."""
        return Transfer(label, total_bytes, self._progress, self._cancel)


def sha256_of(path: Path, transfer: Transfer) -> str:
    """Return the SHA-256 of a file as hex digits; advances `transfer` by its size."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
            transfer.advance(len(chunk))
    return digest.hexdigest()


def ensure_space(folder: Path, need_bytes: int) -> None:
    """Raise DiskFull unless the disk of `folder` (which exists) has room for `need_bytes` and some to spare."""
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes < need_bytes + _SPARE_BYTES:
        raise no_space(folder, f"{gigabytes(need_bytes + _SPARE_BYTES)} needed, {gigabytes(free_bytes)} free")


def no_space(folder: Path, detail: str) -> DiskFull:
    return DiskFull(f"no space in {folder} ({detail}): free some, or set COMPLETER_CACHE to a folder on another disk")


def is_disk_full(error: BaseException) -> bool:
    """Return whether a disk or a quota is full. Of some libraries only the text tells, and numpy only counts bytes."""
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    return full or os.strerror(errno.ENOSPC) in str(error) or bool(_SHORT_WRITE.fullmatch(str(error)))


def gigabytes(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:.2f} GB"
