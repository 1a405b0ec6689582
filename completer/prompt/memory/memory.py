"""The memory of one client: indices of its workspace and of its open documents, made in a thread of their own.

Nothing is kept on disk. What may be read, `completer.prompt.context.workspace` decides, as for the context.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from completer.document.secrets import find_secret
from completer.prompt.memory.former import former_lines, is_one_of, next_line
from completer.prompt.memory.index import MAX_PLACES, Index, Place, before_cursor
from completer.prompt.memory.reading import Files, of_document, of_workspace, rules_of
from completer.prompt.memory.recall import Line, recall
from completer.types import Evidence, Snapshot

log = logging.getLogger(__name__)

MAX_AGE_S = 300.0
"""An index of the workspace is made anew after that, as soon as a document rests."""
REFRESH_S = 2.0
"""A document is not indexed again sooner than this."""
REFRESH_PAUSE = 20
"""Nor before so many times what that took: 5,000 lines take 30 ms, 25,000 take 160 ms."""
MAX_DOCUMENTS = 32
"""Open documents that count as they are in the editor: those that were used last. Others count as they are on disk."""
MAX_DOCUMENTS_BYTES = 64_000_000
"""Memory of their indices, but for the last one's."""


@dataclass(slots=True)
class _Document:
    """An open document: its real path, and the index of one version of it. due_s: it is not indexed again before that.

    path: None for no file, and until it is indexed.  shared: it may be evidence in other documents.
    """

    path: Path | None = None
    index: Index = field(default_factory=lambda: Index(()))
    shared: bool = False
    indexed: Snapshot | None = None
    due_s: float = 0.0

    def is_due(self, snapshot: Snapshot) -> bool:
        return time.monotonic() >= self.due_s and (self.indexed is None or self.indexed.version != snapshot.version)


class Memory:
    """Owned by the event loop. Its thread gets texts and folders and gives indices; it shares nothing else with the loop."""

    def __init__(self, *, on: bool) -> None:
        self._on = on
        self._folders: tuple[Path, ...] = ()
        self._files: Files | None = None
        self._made_s: float | None = None
        self._documents: dict[str, _Document] = {}
        self._stop = threading.Event()
        self._thread: ThreadPoolExecutor | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def set_folders(self, folders: Sequence[Path]) -> None:
        """Take the workspace folders; nothing outside them is ever read. Mutates: all is forgotten."""
        self._folders = tuple(folders)
        self._forget()

    def switch(self, on: bool) -> None:
        """Remember from now on, or forget all. Mutates: nothing where it is so already."""
        if on != self._on:
            self._on = on
            self._forget()

    def closed(self, uri: str) -> None:
        """Forget a document."""
        self._documents.pop(uri, None)

    @property
    def busy(self) -> bool:
        """Whether something is being indexed."""
        return bool(self._tasks)

    @property
    def n_bytes(self) -> int:
        """What the indices take."""
        indices = [document.index for document in self._documents.values()]
        return sum(index.n_bytes for index in indices) + (self._files.index.n_bytes if self._files else 0)

    def refresh(self, snapshot: Snapshot) -> None:
        """Begin to bring a document's index up to date, and that of the workspace if it is old; to be called often.

        Mutates: the indices, later.
        """
        if not self._on or self._tasks:
            return
        document = self._document(snapshot)
        old = self._made_s is None or time.monotonic() - self._made_s > MAX_AGE_S
        if not document.is_due(snapshot) and not old:
            return
        if old:
            self._made_s = time.monotonic()
        task = asyncio.get_running_loop().create_task(self._index(document, snapshot, old))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def recall(self, snapshot: Snapshot) -> Evidence | None:
        """Return how the cursor's line goes on elsewhere, if those places agree; None without such a place.

        Mutates: what is known of the open documents.
        """
        if not self._on:
            return None
        before = before_cursor(snapshot.text[max(0, snapshot.cursor_cp - 4_000) : snapshot.cursor_cp])
        own = self._document(snapshot)
        former = former_lines(own.indexed, snapshot) if own.indexed is not None else []
        follows = [next_line(snapshot)]
        own_places = (place for place in own.index.places(before) if not is_one_of(place, before, former + follows))
        others = (place for place in self._elsewhere(own, before) if not is_one_of(place, before, follows))
        evidence = recall(own_places, others, Line(snapshot.line_prefix, snapshot.line_suffix))
        if evidence is None or _is_secret(snapshot, evidence):
            return None
        return evidence

    async def close(self) -> None:
        """Stop indexing."""
        self._stop.set()
        for task in list(self._tasks):
            task.cancel()
        if self._thread is not None:
            self._thread.shutdown(wait=False, cancel_futures=True)

    def _document(self, snapshot: Snapshot) -> _Document:
        """Return what is known of an open document. Mutates: the documents; those that were used longest ago are forgotten."""
        document = self._documents.pop(snapshot.uri, None)
        if document is None:
            document = _Document()
        self._documents[snapshot.uri] = document
        n_bytes = sum(other.index.n_bytes for other in self._documents.values())
        while len(self._documents) > 1 and (len(self._documents) > MAX_DOCUMENTS or n_bytes > MAX_DOCUMENTS_BYTES):
            n_bytes -= self._documents.pop(next(iter(self._documents))).index.n_bytes
        return document

    def _elsewhere(self, own: _Document, before: bytes) -> Iterator[Place]:
        """Yield the places in other documents, and in the files that are not open.

        A file that is open, but not indexed yet, counts as it is on disk. As long as the cursor's own is not, no file counts:
        which of them is its own, is not known before.
        """
        others = [document for document in self._documents.values() if document is not own and document.shared]
        for document in others:
            yield from document.index.places(before, max(MAX_PLACES // len(others), 1))
        if (files := self._files) is None or own.indexed is None:
            return
        opened = {document.path for document in self._documents.values()}
        for place in files.index.places(before):
            if files.paths[place.file] not in opened:
                yield place

    def _forget(self) -> None:
        self._stop.set()
        self._stop = threading.Event()
        self._files = self._made_s = None
        self._documents.clear()

    async def _index(self, document: _Document, snapshot: Snapshot, workspace: bool) -> None:
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="memory")
        loop, stop, started = asyncio.get_running_loop(), self._stop, time.monotonic()
        document.due_s = started + REFRESH_S  # also if it fails
        try:
            written = await loop.run_in_executor(self._thread, of_document, snapshot, self._folders)
            document.path, document.index, document.shared = written.path, written.index, written.shared
            document.indexed, ended = snapshot, time.monotonic()
            document.due_s = ended + max(REFRESH_S, REFRESH_PAUSE * (ended - started))
            if self._files is not None and self._files.rules != await loop.run_in_executor(self._thread, rules_of, self._folders):
                self._files, workspace = None, True  # what it holds may be ignored by now
            if workspace:
                files = await loop.run_in_executor(self._thread, of_workspace, self._folders, stop)
                if not stop.is_set():
                    self._files = files
        except Exception:
            # Reading strangers' files can fail in more ways than one can list; without memory we still complete.
            log.exception("no memory of the workspace")


def _is_secret(snapshot: Snapshot, evidence: Evidence) -> bool:
    line = snapshot.line_prefix + evidence.text.decode(errors="replace").rstrip("\n") + snapshot.line_suffix
    return find_secret(line) is not None
