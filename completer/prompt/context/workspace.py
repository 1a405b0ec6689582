"""The files of the workspace folders that may be used as context, and no others.

Never given out: what git or `.completerignore` ignores, files that hold secrets by their name, anything outside the
folders (a link that leads out is outside), large files and binary ones, pipes and devices. An open document's text counts
before the disk's. Nothing outside the folders is even looked at, and nothing after the time is up.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

from completer.document.secrets import is_secret_file
from completer.prompt.context.ignore import IgnoreRules
from completer.prompt.context.read_file import TooLarge, read_regular
from completer.syntax.endings import language_of_file

MAX_FILE_BYTES = 256_000
MAX_INDEXED = 20_000
INDEX_S = 1.5
"""Time and number of files after which the index stays as far as it is."""
INDEX_AGE_S = 300.0
MAX_ENTRIES = 50_000
"""Entries of one folder that are looked at."""
MAX_LISTED = 500
"""Files right in one folder that are given out."""
MAX_READ_BYTES = 16_000_000
"""Bytes that are read between two calls of `refresh`."""
MAX_PATH_CP = 4_000
_NOT_WALKED = frozenset(("node_modules", "__pycache__", "site-packages"))


class Workspace:
    """What may be read below the folders. Owned by one thread; reads files, writes none.

    open_texts: texts of open documents by real path; set before each use.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        """folders: those of the client; what is no folder is left out. Reads nothing yet."""
        real = {found for folder in folders if os.path.isdir(folder) and (found := real_path(folder)) is not None}
        self.folders = tuple(sorted(real, key=lambda folder: -len(folder.parts)))  # the innermost first
        self.open_texts: Mapping[Path, str] = {}
        self._late: Callable[[], bool] = lambda: False
        self._bytes_left = MAX_READ_BYTES
        self._rules = {folder: IgnoreRules(folder) for folder in self.folders}
        self._index: dict[str, list[Path]] = {}
        self._indexed_at: float | None = None

    def refresh(self, late: Callable[[], bool] = lambda: False) -> None:
        """Read the ignore rules anew when they are next needed. Mutates: the rules, what may still be read.

        late: from when on it returns True, no file is found any more.
        """
        self._late, self._bytes_left = late, MAX_READ_BYTES
        self._rules = {folder: IgnoreRules(folder) for folder in self.folders}

    def folder_of(self, path: Path) -> Path | None:
        """Return the innermost workspace folder around a real path."""
        return next((folder for folder in self.folders if path.is_relative_to(folder)), None)

    def name_of(self, path: Path) -> str:
        """Return the path as the model sees it: below its folder, led by that one's name where there are several."""
        folder = self.folder_of(path)
        if folder is None:
            return path.name
        relative = path.relative_to(folder).as_posix()
        return relative if len(self.folders) == 1 else f"{folder.name}/{relative}"

    def is_file(self, path: Path) -> bool:
        """Whether there is a file inside the folders, as it is written; whether it may be read, `locate` knows."""
        return self._is_inside(path) and os.path.isfile(path)

    def is_folder(self, path: Path) -> bool:
        """Whether there is a folder inside the folders, as it is written."""
        return self._is_inside(path) and os.path.isdir(path)

    def locate(self, path: Path) -> Path | None:
        """Return the real path of an existing file that may be used, or None."""
        if not self._is_inside(path):
            return None
        real = real_path(path)
        if real is None or not (os.path.isfile(real) or real in self.open_texts):
            return None
        return real if self._allowed(real) and self._allowed_link(path, real) else None

    def read(self, path: Path) -> str | None:
        """Return the text of a file that may be used, as it is open or on disk; None for all others."""
        real = self.locate(path)
        if real is None:
            return None
        text = self.open_texts.get(real)
        if text is not None:
            return text if len(text) <= MAX_FILE_BYTES else None
        try:
            data = read_regular(real, min(MAX_FILE_BYTES, self._bytes_left))
        except TooLarge:
            return None
        self._bytes_left -= len(data or b"")
        if data is None or b"\0" in data or real_path(real) != real:  # a folder on the way may have become a link meanwhile
            return None
        try:
            return data.decode("utf-8").replace("\r\n", "\n")
        except UnicodeDecodeError:
            return None

    def with_suffix(self, tail: str) -> list[Path]:
        """Return the source files whose path ends with `tail` ("a/b.h"), from an index made at the first call."""
        if self._late():
            return []
        if self._indexed_at is None or time.monotonic() - self._indexed_at > INDEX_AGE_S:
            self._make_index()
        wanted = tuple(part for part in tail.split("/") if part)
        if not wanted:
            return []
        return [path for path in self._index.get(wanted[-1], ()) if path.parts[-len(wanted) :] == wanted]

    def files_in(self, folder: Path) -> list[Path]:
        """Return the files right in a folder that may be used, sorted, MAX_LISTED at most."""
        if not self._is_inside(folder):
            return []
        found = [entry.path for entry in _entries(folder) if entry.is_file()]
        located = (self.locate(Path(path)) for path in found)
        return list(islice((real for real in located if real is not None), MAX_LISTED))

    def _is_inside(self, path: Path) -> bool:
        """Whether a path, as it is written, lies in a folder: nothing else is looked at, be it a network's or a device."""
        written = os.fspath(path)
        if self._late() or len(written) > MAX_PATH_CP or "\0" in written:
            return False
        return self.folder_of(Path(os.path.normpath(written))) is not None

    def _allowed(self, real: Path) -> bool:
        folder = self.folder_of(real)
        return folder is not None and not is_secret_file(real) and not self._rules[folder].ignores(real)

    def _allowed_link(self, path: Path, real: Path) -> bool:
        """The place of a link counts as well as what it leads to."""
        place = Path(os.path.realpath(path.parent)) / path.name
        return place == real or self._allowed(place)

    def _make_index(self) -> None:
        """Mutates: the index, from file name to paths. Ends after INDEX_S and MAX_INDEXED files."""
        end = time.monotonic() + INDEX_S
        self._index = {}
        n = 0
        for folder in self.folders:
            for path in self.source_files(folder, lambda: time.monotonic() > end):
                self._index.setdefault(path.name, []).append(path)
                n += 1
                if n >= MAX_INDEXED:
                    break
        self._indexed_at = time.monotonic()

    def source_files(self, folder: Path, late: Callable[[], bool]) -> Iterator[Path]:
        """Yield the source files below a workspace folder, level by level, so that what the time leaves out lies deep.

        late: asked at each entry; once it returns True, no more is yielded.
        What is ignored is left out; whether a file may be read, `read` decides.
        """
        rules, level = self._rules[folder], [folder]
        while level and not late():
            below: list[Path] = []
            for current in level:
                for entry in _entries(current):
                    if late():
                        return
                    path = Path(entry.path)
                    if entry.is_dir(follow_symlinks=False):
                        walked = not entry.name.startswith(".") and entry.name not in _NOT_WALKED
                        if walked and not rules.ignores(path, is_folder=True):
                            below.append(path)
                    elif entry.is_file(follow_symlinks=False) and language_of_file(entry.name) != "plaintext":
                        yield path
            level = below


def real_path(path: Path) -> Path | None:
    """Return the path without links; None where there is no such path. A loop of links is left as it is."""
    try:
        return Path(os.path.realpath(path))
    except (OSError, ValueError):  # ValueError: a NUL in the path
        return None


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """Return what lies right in a folder, sorted by name; of very many some."""
    try:
        with os.scandir(folder) as found:
            return sorted(islice(found, MAX_ENTRIES), key=lambda entry: entry.name)
    except OSError:
        return []
