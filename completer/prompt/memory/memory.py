"""The memory of one client: indices of its workspace and of its open documents, made in a thread of their own.

Nothing is kept on disk. What may be read, `completer.prompt.context.workspace` decides, as for the context.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from completer.document.secrets import find_secret
from completer.document.uri import path_of
from completer.prompt.context.workspace import Workspace, real_path
from completer.prompt.memory.index import Index, Place, before_cursor, normalised
from completer.prompt.memory.recall import recall
from completer.types import Evidence, Snapshot

log = logging.getLogger(__name__)

MAX_TEXT_BYTES = 12_000_000
"""Text of the workspace that is indexed; the index takes nine times that, for a moment twice as much again."""
MAX_DOCUMENT_CP = 1_000_000
BUILD_S = 20.0
"""Time after which the index of the workspace stays as far as it is."""
MAX_AGE_S = 300.0
"""An index of the workspace is made anew after that, as soon as a document rests."""
PAUSE_S = 0.002
"""After each file, so that a key that comes meanwhile finds the interpreter free."""


@dataclass(frozen=True, slots=True)
class _Files:
    """An index, with the real paths of its files in order."""

    index: Index
    paths: tuple[Path, ...] = ()


@dataclass(slots=True)
class _Document:
    """An open document: its real path, and the index of one version of it without the line that was being written."""

    path: Path | None
    version: int | None = None
    index: Index = field(default_factory=lambda: Index(()))


class Memory:
    """Owned by the event loop. Its thread gets texts and folders and gives indices; it shares nothing else with the loop."""

    def __init__(self, *, on: bool) -> None:
        self._on = on
        self._folders: tuple[Path, ...] = ()
        self._files: _Files | None = None
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
        """Remember from now on, or forget all."""
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
        """Begin to bring a document's index up to date, and that of the workspace if it is old. Mutates: the indices, later."""
        if not self._on or self._tasks:
            return
        document = self._documents.get(snapshot.uri)
        if document is None:
            path = path_of(snapshot.uri)
            document = self._documents[snapshot.uri] = _Document(real_path(path) if path is not None else None)
        old = self._made_s is None or time.monotonic() - self._made_s > MAX_AGE_S
        if document.version == snapshot.version and not old:
            return
        document.version = snapshot.version
        if old:
            self._made_s = time.monotonic()
        task = asyncio.get_running_loop().create_task(self._index(document, snapshot, old))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def recall(self, snapshot: Snapshot) -> Evidence | None:
        """Return how the cursor's line goes on elsewhere, if those places agree; None without such a place."""
        if not self._on:
            return None
        before = before_cursor(snapshot.text[max(0, snapshot.cursor_cp - 4_000) : snapshot.cursor_cp])
        own = self._documents.get(snapshot.uri)
        evidence = recall(own.index.places(before) if own else (), self._elsewhere(snapshot.uri, before), snapshot.line_suffix)
        if evidence is None or find_secret(snapshot.line_prefix + evidence.text.decode(errors="replace")) is not None:
            return None
        return evidence

    async def close(self) -> None:
        """Stop indexing."""
        self._stop.set()
        for task in list(self._tasks):
            task.cancel()
        if self._thread is not None:
            self._thread.shutdown(wait=False, cancel_futures=True)

    def _elsewhere(self, uri: str, before: bytes) -> Iterator[Place]:
        """Yield the places in other documents, and in the files that are not open."""
        for other, document in self._documents.items():
            if other != uri:
                yield from document.index.places(before)
        if (files := self._files) is None:
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
        loop, stop = asyncio.get_running_loop(), self._stop
        try:
            document.index = await loop.run_in_executor(self._thread, _of_document, snapshot)
            if workspace:
                files = await loop.run_in_executor(self._thread, _of_workspace, self._folders, stop)
                if not stop.is_set():
                    self._files = files
        except Exception:
            # Reading strangers' files can fail in more ways than one can list; without memory we still complete.
            log.exception("no memory of the workspace")


def _of_document(snapshot: Snapshot) -> Index:
    """Runs in the memory's thread. The cursor's line is left out: what the user has just deleted from it is no evidence."""
    if len(snapshot.text) > MAX_DOCUMENT_CP:
        return Index(())
    return Index((normalised(snapshot.text[: snapshot.line_start_cp]), normalised(snapshot.text[snapshot.line_end_cp :])))


def _of_workspace(folders: Sequence[Path], stop: threading.Event) -> _Files:
    """Runs in the memory's thread."""
    end = time.monotonic() + BUILD_S

    def late() -> bool:
        return stop.is_set() or time.monotonic() > end

    workspace = Workspace(folders)
    workspace.refresh(late)
    texts: dict[Path, bytes] = {}  # a folder inside another one is walked twice
    n_left = MAX_TEXT_BYTES
    for n, path in enumerate(itertools.chain.from_iterable(workspace.source_files(folder, late) for folder in workspace.folders)):
        if n % 50 == 0:
            workspace.refresh(late)
        if path in texts:
            continue
        text = normalised(workspace.read(path) or "")
        n_left -= len(text)
        if n_left < 0 or stop.is_set():
            break
        if text:
            texts[path] = text
        time.sleep(PAUSE_S)
    return _Files(Index(() if stop.is_set() else texts.values()), tuple(texts))
