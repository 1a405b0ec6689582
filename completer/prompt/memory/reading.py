"""What the memory's thread does: reads the workspace, and makes indices of it and of open documents."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from completer.prompt.context.workspace import Workspace
from completer.prompt.memory.index import Index, normalised
from completer.types import Snapshot

MAX_TEXT_BYTES = 12_000_000
"""Text of the workspace that is indexed; the index takes nine times that, for a moment twice as much again."""
MAX_DOCUMENT_CP = 1_000_000
BUILD_S = 20.0
"""Time after which the index of the workspace stays as far as it is."""
PAUSE_S = 0.002
"""After each file, so that a key that comes meanwhile finds the interpreter free."""


@dataclass(frozen=True, slots=True)
class Files:
    """An index, with the real paths of its files in order."""

    index: Index
    paths: tuple[Path, ...] = ()


def of_document(snapshot: Snapshot) -> Index:
    """Return the index of a document. The cursor's line is left out: what the user has just deleted from it is no evidence."""
    if len(snapshot.text) > MAX_DOCUMENT_CP:
        return Index(())
    return Index((normalised(snapshot.text[: snapshot.line_start_cp]), normalised(snapshot.text[snapshot.line_end_cp :])))


def of_workspace(folders: Sequence[Path], stop: threading.Event) -> Files:
    """Return the index of the source files below the folders; `stop` may be set by any thread, and then it is of no use."""
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
    return Files(Index(() if stop.is_set() else texts.values()), tuple(texts))
