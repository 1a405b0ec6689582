"""Pull a model: try its sources in order, check the hashes, put it in place at once."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import Timeout

from completer.errors import DownloadCancelled, DownloadError, HashMismatch, ModelError
from completer.models import hub as pull_hub
from completer.models import index as pull_index
from completer.models import store
from completer.models.manifest import ModelEntry
from completer.models.store import Receipt
from completer.models.transfer import Transfer, ensure_space, is_disk_full, no_space
from completer.types import Progress

Fetch = Callable[[ModelEntry, Transfer, Path], Receipt]


def pull(entry: ModelEntry, progress: Progress | None = None, *, cancel: threading.Event | None = None) -> Path:
    """Return the path of the model's GGUF file or folder, after fetching it if it is not there.

    Blocks; run it in a thread. A pull that broke off or was cancelled is continued by the next one. Two processes
    that pull the same model wait for each other. Nothing is visible in the store before every hash is right.
    Raises: DownloadError (its message names the mend), DownloadCancelled, HashMismatch.
    """
    transfer = Transfer(f"pulling {entry.id}", 0, progress, cancel)
    if not store.is_pulled(entry.id):
        try:
            with _locked(entry, transfer):
                if not store.is_pulled(entry.id):
                    _fetch_and_place(entry, transfer)
        except OSError as error:
            detail = error.strerror or str(error)
            if is_disk_full(error):
                raise no_space(store.models_dir(), detail) from error
            raise DownloadError(
                f"cannot write to {store.models_dir()} ({detail}): mend its permissions, or set COMPLETER_CACHE to another folder"
            ) from error
    return store.locate(entry.id).path


@contextmanager
def _locked(entry: ModelEntry, transfer: Transfer) -> Iterator[None]:
    """Hold the model's lock; while another process pulls, wait for it, but not longer than until cancelled."""
    lock = store.lock_of(entry.id)
    waiting = transfer.next(f"waiting for another process that pulls {entry.id}", 1)
    while True:
        try:
            lock.acquire(timeout=0)
            break
        except Timeout:
            waiting.move_to(0)
            waiting.pause(0.2)
    try:
        yield
    finally:
        lock.release()


def _fetch_and_place(entry: ModelEntry, transfer: Transfer) -> None:
    partial = store.partial_dir(entry.id)
    partial.mkdir(parents=True, exist_ok=True)
    if entry.file:
        ensure_space(partial, entry.file.bytes - store.folder_bytes(partial))
    failures: list[tuple[str, ModelError]] = []
    for name, fetch in _sources(entry):
        folder = partial / name
        folder.mkdir(exist_ok=True)
        try:
            receipt = fetch(entry, transfer, folder)
        except DownloadCancelled:
            raise
        except (DownloadError, HashMismatch) as error:
            failures.append((name, error))
            continue
        store.place(entry.id, folder, receipt)
        return
    if not any(path.is_file() for path in partial.rglob("*")):
        shutil.rmtree(partial)
    raise _no_source_left(entry, failures)


def _sources(entry: ModelEntry) -> list[tuple[str, Fetch]]:
    """Return the sources in the order in which they are tried, with the name of each one's partial folder."""
    sources: list[tuple[str, Fetch]] = [("hub", pull_hub.fetch)]
    if entry.index:
        sources.append(("index", pull_index.fetch))
    return sources


def _no_source_left(entry: ModelEntry, failures: list[tuple[str, ModelError]]) -> ModelError:
    what = "; ".join(f"{name}: {error}" for name, error in failures)
    if all(isinstance(error, HashMismatch) for _, error in failures):
        return HashMismatch(f"cannot pull {entry.id}: {what}. Nothing was kept; pull again, or update completer")
    return DownloadError(
        f"cannot pull {entry.id} ({what}). Check the network (HTTPS_PROXY, SSL_CERT_FILE) and pull again, "
        "or fetch the model elsewhere and give its path instead of the id"
    )
