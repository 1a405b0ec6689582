"""Cases with a workspace: a half-written line, and the files as they were before anybody wrote it.

added    a line that a commit added, cut at a random column. The document is the commit's, without the rest of the line and
         without what the same hunk added below it; all other files are those before the commit, so that nothing of the
         answer is in them.
random   a line of the newest commit, cut in the same way, among the other files of that commit.
"""

from __future__ import annotations

import random
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from bench.places.pick import is_written_by_people
from completer.syntax.endings import language_of_file

MAX_BYTES = 200_000
MAX_DIFF_BYTES = 400_000
PER_COMMIT = 5
MIN_LINE = 10
NO_PROGRAMS = frozenset(("json", "markdown", "yaml", "toml", "html", "plaintext", "css"))
LEFT_OUT = re.compile(r"(?:#|//|/\*|\*|--|import\b|from\b|use\b|using\b|package\b)")
"""Comments are prose, and imports have a measure of their own."""
HUNK = re.compile(r"@@ -\d+(?:,\d+)? \+(\d+)(?:,(\d+))? @@", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Case:
    """prefix + want is the line; `tree` is the commit whose files are the workspace. path: of the document in it."""

    repository: str
    tree: str
    path: str
    language: str
    prefix: str
    want: str
    suffix: str

    @property
    def name(self) -> str:
        return f"{self.repository}/{self.tree[:12]}/{self.path}:{len(self.prefix)}"

    @property
    def text(self) -> str:
        return self.prefix + self.suffix


def name_of(repository: Path) -> str:
    """Return what a git directory is called in the results: its last two folders."""
    return "/".join(repository.resolve().parts[-2:])


def git(repository: Path, *args: str) -> str:
    """Return what git prints. Raises: CalledProcessError."""
    done = subprocess.run(["git", "-C", repository, *args], check=True, capture_output=True)
    return done.stdout.decode("utf-8", "replace")


def added(repository: Path, since: str, n: int, seed: int) -> Iterator[Case]:
    """Yield up to `n` lines that commits since a date added, PER_COMMIT of each at most, in random order."""
    rng = random.Random(f"{seed} {name_of(repository)}")
    commits = git(repository, "log", "--no-merges", f"--since={since}", "--format=%H", "--min-parents=1").split()
    rng.shuffle(commits)
    for commit in commits:
        diff = git(repository, "diff", "-U0", "--no-renames", f"{commit}~1", commit)
        if not diff or len(diff) > MAX_DIFF_BYTES:
            continue
        places = [
            (path, row, end)
            for path, part in _files(diff)
            for start, count in HUNK.findall(part)
            for end in [int(start) - 1 + int(count or 1)]
            for row in range(int(start) - 1, end)
        ]
        rng.shuffle(places)
        taken = 0
        for path, row, end in places:
            if taken == PER_COMMIT or n == 0:
                break
            lines = git(repository, "show", f"{commit}:{path}").split("\n")
            if (case := _cut(name_of(repository), f"{commit}~1", path, lines, (row, end), rng)) is not None:
                taken, n = taken + 1, n - 1
                yield case
        if n == 0:
            return


def at_random(repository: Path, n: int, seed: int) -> Iterator[Case]:
    """Yield up to `n` lines of the newest commit."""
    rng = random.Random(f"{seed} {name_of(repository)}")
    paths = [path for path in git(repository, "ls-tree", "-r", "--name-only", "HEAD").splitlines() if _is_code(path)]
    rng.shuffle(paths)
    head = git(repository, "rev-parse", "HEAD").strip()
    for path in paths:
        lines = git(repository, "show", f"HEAD:{path}").split("\n")
        row = rng.randrange(len(lines))
        if n and (case := _cut(name_of(repository), head, path, lines, (row, row + 1), rng)) is not None:
            n -= 1
            yield case


def _files(diff: str) -> Iterator[tuple[str, str]]:
    for part in diff.split("\ndiff --git ")[0:]:
        if (name := re.search(r"^\+\+\+ b/(.+)$", part, re.MULTILINE)) and _is_code(name[1]):
            yield name[1], part


def _is_code(path: str) -> bool:
    return language_of_file(PurePosixPath(path).name) not in NO_PROGRAMS


def _cut(repository: str, tree: str, path: str, lines: list[str], hunk: tuple[int, int], rng: random.Random) -> Case | None:
    """Return the case of the line hunk[0], below which the lines up to hunk[1] are not written yet. Mutates: rng."""
    row, end = hunk
    text = "\n".join(lines)
    if row >= len(lines) or len(text) > MAX_BYTES or "\r" in text or not is_written_by_people(path, text):
        return None
    line, body = lines[row].rstrip(), lines[row].strip()
    if len(body) < MIN_LINE or LEFT_OUT.match(body):
        return None
    column = len(line) - len(body) + rng.randrange(2, len(body) - 3)
    prefix, suffix = "\n".join([*lines[:row], line[:column]]), "\n" + "\n".join(lines[end:])
    return Case(repository, tree, path, language_of_file(PurePosixPath(path).name), prefix, line[column:], suffix)
