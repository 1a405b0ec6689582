"""Which files git or a `.completerignore` leaves out. The reference is `git check-ignore`. Source: gitignore(5).

In doubt a file is left out: if a rule file is too large, if there are too many of them, or if a path is too deep.
"""

from __future__ import annotations

import os
from pathlib import Path

from completer.prompt.context.git_folder import exclude_file, global_excludes, is_repository
from completer.prompt.context.ignore_file import FOLD, IgnoreFile, TooMuchWork, Work
from completer.prompt.context.read_file import TooLarge, read_regular

MAX_RULES_BYTES = 256_000
"""A larger rule file ignores all that lies below it."""
MAX_TOTAL_BYTES = 2_000_000
"""Rule files that are read when this is used up ignore everything, too."""
MAX_DEPTH = 64
"""What lies deeper below the repository, or below the folder, is left out."""

_EVERYTHING = IgnoreFile(b"", fold=FOLD, everything=True)


_Sources = tuple[tuple[IgnoreFile, int], ...]
"""Rule files, the first to speak is right, each with the length of the path that it counts from."""


class IgnoreRules:
    """The rules of one folder, of the repository around it, and of those inside.

    Rule files are read when they are first needed, and kept.
    """

    def __init__(self, folder: Path, fold: bool = FOLD) -> None:
        """folder: a real path (no links in it).  fold: names that differ in ASCII case only are one."""
        self._fold = fold
        around = _repositories_around(folder)
        self._top = around[-1] if around else folder
        self._tops = frozenset((*around, self._top))
        self._ignored_folders: dict[Path, bool] = {}
        self._sources: dict[Path, tuple[_Sources, ...]] = {}
        self._global = global_excludes()
        self._bytes_left = MAX_TOTAL_BYTES

    def ignores(self, path: Path, is_folder: bool = False) -> bool:
        """Return whether `path`, or a folder that it lies in, is ignored. path: absolute, below the folder.

        Costs at most `MAX_WORK` steps and the reading of rule files; mutates what is remembered of folders.
        """
        steps = [path, *path.parents]
        below = steps[: steps.index(self._top)] if self._top in steps else steps[:1]
        if len(below) > MAX_DEPTH:
            return True
        work = Work()
        try:
            # From the top: what lies in an ignored folder cannot be taken back by a rule further down.
            return any(self._folder_ignored(step, work) for step in reversed(below[1:])) or self._ignored(path, is_folder, work)
        except TooMuchWork:
            return True

    def _folder_ignored(self, folder: Path, work: Work) -> bool:
        if folder not in self._ignored_folders:
            self._ignored_folders[folder] = self._ignored(folder, True, work)
        return self._ignored_folders[folder]

    def _ignored(self, path: Path, is_folder: bool, work: Work) -> bool:
        if path.name.lower() == ".git":
            return True
        written = os.fsencode(path.as_posix())
        # A `!` in one kind of file takes nothing back that the other kind leaves out, nor does one of an inner
        # repository what the outer one leaves out.
        return any(_first_said(sources, written, is_folder, work) for sources in self._sources_in(path.parent))

    def _sources_in(self, folder: Path) -> tuple[_Sources, ...]:
        """Return the rules for what lies right in a folder: `.completerignore`, then each repository around it."""
        found = self._sources.get(folder)
        if found is None:
            outer = self._sources_in(folder.parent) if folder != self._top and folder != folder.parent else ((),)
            n = len(os.fsencode(folder.as_posix()).rstrip(b"/")) + 1
            own, git = (self._read(folder / name, n) for name in (".completerignore", ".gitignore"))
            found = (own + outer[0], *(git + rules for rules in outer[1:]))
            if folder in self._tops or os.path.lexists(folder / ".git"):
                found = (*found, git + self._of_repository(folder, n))
            self._sources[folder] = found
        return found

    def _of_repository(self, top: Path, n: int) -> _Sources:
        exclude = exclude_file(top)
        return (*(self._read(exclude, n) if exclude else ()), *(self._read(self._global, n) if self._global else ()))

    def _read(self, file: Path, n: int) -> _Sources:
        try:
            # The user's own file may well be a link to somewhere else; git follows none in a working tree.
            data = read_regular(file, min(MAX_RULES_BYTES, self._bytes_left), follow=file == self._global)
        except TooLarge:
            return ((_EVERYTHING, n),)
        self._bytes_left -= len(data or b"")
        return ((IgnoreFile(data, fold=self._fold), n),) if data else ()


def _first_said(sources: _Sources, path: bytes, is_folder: bool, work: Work) -> bool:
    for rules, n in sources:
        said = rules.ignores(path[n:], is_folder, work)
        if said is not None:
            return said
    return False


def _repositories_around(folder: Path) -> list[Path]:
    """Return the working trees around a folder, innermost first, up to the first one that git accepts."""
    found = []
    for around in (folder, *folder.parents):
        if os.path.lexists(around / ".git"):
            found.append(around)
            if is_repository(around):
                break
    return found
