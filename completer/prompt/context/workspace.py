"""The files of the workspace folders that may be used as context, and no others.

Never given out: what git or `.completerignore` ignores, files that hold secrets by their name, anything outside the
folders (a link that leads out is outside), large files and binary ones. An open document's text counts before the disk's.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from completer.document.secrets import is_secret_file
from completer.prompt.context.ignore import IgnoreRules
from completer.syntax.languages import language_of_file

MAX_FILE_BYTES = 256_000
MAX_INDEXED = 20_000
INDEX_S = 1.5
"""Time and number of files after which the index stays as far as it is."""
INDEX_AGE_S = 300.0
_NOT_WALKED = frozenset(("node_modules", "__pycache__", "site-packages"))


class Workspace:
    """What may be read below the folders. Owned by one thread; reads files, writes none.

    open_texts: texts of open documents by real path; set before each use.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        """folders: those of the client; what is no folder is left out. Reads nothing yet."""
        real = {folder.resolve() for folder in folders if folder.is_dir()}
        self.folders = tuple(sorted(real, key=lambda folder: -len(folder.parts)))  # the innermost first
        self.open_texts: Mapping[Path, str] = {}
        self._rules = {folder: IgnoreRules(folder) for folder in self.folders}
        self._index: dict[str, list[Path]] = {}
        self._indexed_at: float | None = None

    def refresh(self) -> None:
        """Read the ignore rules anew when they are next needed. Mutates: the rules."""
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

    def locate(self, path: Path) -> Path | None:
        """Return the real path of an existing file that may be used, or None."""
        try:
            real = path.resolve()
            if not real.is_file() and real not in self.open_texts:
                return None
        except OSError:
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
            if real.stat().st_size > MAX_FILE_BYTES:
                return None
            data = real.read_bytes()
            return None if b"\0" in data else data.decode("utf-8").replace("\r\n", "\n")
        except (OSError, UnicodeDecodeError):
            return None

    def with_suffix(self, tail: str) -> list[Path]:
        """Return the source files whose path ends with `tail` ("a/b.h"), from an index made at the first call."""
        if self._indexed_at is None or time.monotonic() - self._indexed_at > INDEX_AGE_S:
            self._make_index()
        wanted = tuple(part for part in tail.split("/") if part)
        if not wanted:
            return []
        return [path for path in self._index.get(wanted[-1], ()) if path.parts[-len(wanted) :] == wanted]

    def files_in(self, folder: Path) -> list[Path]:
        """Return the files right in a folder that may be used, sorted."""
        try:
            found = sorted(entry.path for entry in os.scandir(folder) if entry.is_file())
        except OSError:
            return []
        return [real for path in found if (real := self.locate(Path(path))) is not None]

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
            for path in self._walk(folder, end):
                self._index.setdefault(path.name, []).append(path)
                n += 1
                if n >= MAX_INDEXED:
                    break
        self._indexed_at = time.monotonic()

    def _walk(self, folder: Path, end: float) -> Iterator[Path]:
        """Yield the source files below a folder, level by level, so that what the time leaves out lies deep."""
        rules, level = self._rules[folder], [folder]
        while level and time.monotonic() < end:
            below: list[Path] = []
            for current in level:
                if time.monotonic() > end:
                    return
                try:
                    entries = sorted(os.scandir(current), key=lambda entry: entry.name)
                except OSError:
                    continue
                for entry in entries:
                    path = Path(entry.path)
                    if entry.is_dir(follow_symlinks=False):
                        walked = not entry.name.startswith(".") and entry.name not in _NOT_WALKED
                        if walked and not rules.ignores(path, is_folder=True):
                            below.append(path)
                    elif entry.is_file(follow_symlinks=False) and language_of_file(entry.name) != "plaintext":
                        yield path
            level = below
