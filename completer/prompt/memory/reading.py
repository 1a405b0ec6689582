"""What the memory's thread does: reads the workspace, and makes indices of it and of open documents."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from completer.document.secrets import is_secret_uri, without_private_keys
from completer.document.uri import path_of
from completer.prompt.context.workspace import Workspace, real_path
from completer.prompt.memory.index import Index, normalised
from completer.types import Snapshot

MAX_TEXT_BYTES = 12_000_000
"""Text of the workspace that is indexed; the index takes nine times that, for a moment twice as much again."""
MAX_DOCUMENT_CP = 1_000_000
BUILD_S = 20.0
"""Time after which the index of the workspace stays as far as it is."""
PAUSE_S = 0.002
"""After each file, so that a key that comes meanwhile finds the interpreter free."""


_RULE_FILES = (".gitignore", ".completerignore")


@dataclass(frozen=True, slots=True)
class Files:
    """An index, with the real paths of its files in order. rules: see `rules_of`."""

    index: Index
    paths: tuple[Path, ...] = ()
    rules: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Written:
    """An open document's real path, None without one, and its index. shared: whether it may be evidence in other documents."""

    path: Path | None
    index: Index
    shared: bool


def of_document(snapshot: Snapshot, folders: Sequence[Path]) -> Written:
    """Return the index of a document.

    The cursor's line is left out: what is being typed there is no evidence. Secret files are left out as a whole. What is
    ignored in its folder is evidence for itself only.
    """
    written = path_of(snapshot.uri)
    real = real_path(written) if written is not None else None
    if len(snapshot.text) > MAX_DOCUMENT_CP or is_secret_uri(snapshot.uri):
        return Written(real, Index(()), shared=False)
    text = without_private_keys(snapshot.text)
    around = normalised(text[: snapshot.line_start_cp]), normalised(text[snapshot.line_end_cp :])
    shared = written is None or real is None or _may_be_shared(written, real, folders)
    return Written(real, Index(around), shared)


def rules_of(folders: Sequence[Path]) -> tuple[int, ...]:
    """Return when the rule files right in the folders were changed, in nanoseconds; 0 for those that aren't there."""
    return tuple(_changed_ns(folder / name) for folder in folders for name in _RULE_FILES)


def of_workspace(folders: Sequence[Path], stop: threading.Event) -> Files:
    """Return the index of the source files below the folders; `stop` may be set by any thread, and then it is of no use."""
    rules = rules_of(folders)
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
        text = normalised(without_private_keys(workspace.read(path) or ""))
        n_left -= len(text)
        if n_left < 0 or stop.is_set():
            break
        if text:
            texts[path] = text
        time.sleep(PAUSE_S)
    return Files(Index(() if stop.is_set() else texts.values()), tuple(texts), rules)


def _may_be_shared(written: Path, real: Path, folders: Sequence[Path]) -> bool:
    """What lies in a folder must be allowed there, as for the context; what was opened from elsewhere is shared."""
    workspace = Workspace(folders)
    workspace.open_texts = {real: ""}
    return all(workspace.locate(path) is not None for path in (written, real) if workspace.folder_of(path) is not None)


def _changed_ns(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
