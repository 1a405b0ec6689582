"""Which files git or a `.completerignore` leaves out. Source: gitignore(5)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pathspec import GitIgnoreSpec

_MAX_RULES_BYTES = 256_000


class IgnoreRules:
    """The rules of one folder and of the repository around it. Rule files are read when first needed, and kept."""

    def __init__(self, folder: Path) -> None:
        """folder: a real path (no links in it)."""
        self._top = next((f for f in (folder, *folder.parents) if (f / ".git").exists()), folder)
        self._specs: dict[Path, GitIgnoreSpec | None] = {}

    def ignores(self, path: Path, is_folder: bool = False) -> bool:
        """Return whether `path`, or a folder that it lies in, is ignored. path: absolute, below the folder."""
        steps = [path, *path.parents]
        below = steps[: steps.index(self._top)] if self._top in steps else steps[:1]
        if any(step.name == ".git" for step in below):
            return True
        # From the top: what lies in an ignored folder cannot be taken back by a rule further down.
        return any(self._ignored(step, is_folder or step is not path) for step in reversed(below))

    def _ignored(self, path: Path, is_folder: bool) -> bool:
        # A `!` in one kind of file takes nothing back that the other kind leaves out.
        return any(self._matches(path, is_folder, name) for name in (".gitignore", ".completerignore"))

    def _matches(self, path: Path, is_folder: bool, name: str) -> bool:
        for file, base in self._rule_files(path, name):
            spec = self._spec(file)
            if spec is None:
                continue
            relative = path.relative_to(base).as_posix() + ("/" if is_folder else "")
            if (include := spec.check_file(relative).include) is not None:
                return include
        return False

    def _rule_files(self, path: Path, name: str) -> Iterator[tuple[Path, Path]]:
        """Yield the rule files that may speak of `path` with the folder they count from; the first to speak is right."""
        for folder in path.parents:
            yield folder / name, folder
            if folder == self._top:
                break
        if name == ".gitignore":
            yield self._top / ".git" / "info" / "exclude", self._top

    def _spec(self, file: Path) -> GitIgnoreSpec | None:
        if file not in self._specs:
            self._specs[file] = _read(file)
        return self._specs[file]


def _read(file: Path) -> GitIgnoreSpec | None:
    try:
        if not file.is_file() or file.stat().st_size > _MAX_RULES_BYTES:
            return None
        return GitIgnoreSpec.from_lines(file.read_text(encoding="utf-8", errors="replace").splitlines())
    except (OSError, ValueError):  # ValueError: a pattern that git would not understand either
        return None
