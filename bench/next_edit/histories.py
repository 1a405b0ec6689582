"""Cases from the history of a git repository: the first hunks of a file are typed, one of the others is wanted next.

A file that changed in one hunk wants silence after it. Cases are chosen by the hash of commit and path.
"""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path

from bench.next_edit.drive import Typist, applied
from completer.next_edit.offer import NextEdit
from completer.syntax.endings import language_of_file
from completer.syntax.languages import PLAIN, language

MAX_HUNKS = 6
MAX_FILE_CP = 100_000
MAX_HUNK_LINES = 40
MAX_COMMITS = 3_000
NO_PROGRAMS = frozenset(("json", "markdown", "yaml", "toml", "html", "plaintext", "css"))
Hunk = tuple[int, int, int, int]
"""Lines [a, b) of the old file become lines [c, d) of the new one."""


@dataclass(frozen=True, slots=True)
class Case:
    """`before` with the first `n_done` hunks typed; the other hunks are wanted, none for a quiet case."""

    path: str
    before: list[str]
    after: list[str]
    hunks: list[Hunk]
    n_done: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was offered for a case. place: the first offer lies in a wanted hunk.  exact: one wanted hunk was made whole."""

    wanted: bool
    shown: bool
    place: bool
    exact: bool
    note: str = ""


def cases(repository: Path, n: int) -> Iterator[Case]:
    """Yield up to `n` cases that want an edit, and as many quiet ones, newest commits first."""
    left = {True: n, False: n}
    for commit in _git(repository, "log", "--no-merges", "--format=%H", f"-{MAX_COMMITS}").split():
        if not any(left.values()):
            return
        for path in _changed_files(repository, commit):
            if case := _case(repository, commit, path):
                wants = case.n_done < len(case.hunks)
                if left[wants]:
                    left[wants] -= 1
                    yield case


def run(case: Case, typist: Typist) -> Outcome:
    """Type the first hunks of a case and compare what is offered. Mutates: the typist."""
    uri = f"file:///{case.path}"
    typist.open(uri, language_of_file(case.path), "".join(case.before))
    for n in range(1, case.n_done + 1):
        typist.become(uri, "".join(_with_hunks(case, n)))
    found = [edit for edit in typist.ask(uri) if edit.uri == uri]
    text = typist.texts[uri].text
    wanted = {n: _span(case, n) for n in range(case.n_done, len(case.hunks))}
    hit = next((n for n, span in wanted.items() if found and _within(text, found[0], span)), None)
    exact = any(_made_whole(case, n, span, text, found) for n, span in wanted.items())
    note = f"{case.path}: {found[0].reason} -> {found[0].new_text!r}" if found else ""
    return Outcome(bool(wanted), bool(found), hit is not None, exact, note)


def _case(repository: Path, commit: str, path: str) -> Case | None:
    before, after = (_blob(repository, f"{commit}{at}:{path}") for at in ("^", ""))
    if not before or not after or max(len(before), len(after)) > MAX_FILE_CP:
        return None
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    codes = SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    hunks = [(a, b, c, d) for tag, a, b, c, d in codes if tag != "equal"]
    if not 1 <= len(hunks) <= MAX_HUNKS or max(max(b - a, d - c) for a, b, c, d in hunks) > MAX_HUNK_LINES:
        return None
    chance = int(hashlib.sha256(f"{commit}{path}".encode()).hexdigest()[:8], 16)
    n_done = 1 if len(hunks) == 1 else 1 + chance % (len(hunks) - 1)
    return Case(path, old, new, hunks, n_done)


def _with_hunks(case: Case, n: int) -> list[str]:
    _, old_end, _, new_end = case.hunks[n - 1]
    return case.after[:new_end] + case.before[old_end:]


def _span(case: Case, n: int) -> tuple[int, int]:
    """Return the lines of a wanted hunk in the text with the first hunks made."""
    shift = case.hunks[case.n_done - 1][3] - case.hunks[case.n_done - 1][1]
    return case.hunks[n][0] + shift, case.hunks[n][1] + shift


def _lines(text: str, edit: NextEdit) -> tuple[int, int]:
    return text.count("\n", 0, edit.start_cp), text.count("\n", 0, edit.end_cp)


def _within(text: str, edit: NextEdit, span: tuple[int, int]) -> bool:
    first, last = _lines(text, edit)
    return span[0] <= first and last <= max(span[1] - 1, span[0])


def _made_whole(case: Case, n: int, span: tuple[int, int], text: str, found: list[NextEdit]) -> bool:
    inside = [edit for edit in found if _within(text, edit, span)]
    if not inside:
        return False
    lines, made = text.splitlines(keepends=True), applied(text, inside).splitlines(keepends=True)
    grown = len(made) - len(lines)
    return made[span[0] : span[1] + grown] == case.after[case.hunks[n][2] : case.hunks[n][3]]


def _changed_files(repository: Path, commit: str) -> list[str]:
    names = _git(repository, "diff-tree", "-r", "--no-commit-id", "--name-only", "--diff-filter=M", commit).splitlines()
    return [
        name for name in names if language_of_file(name) not in NO_PROGRAMS and language(language_of_file(name)) is not PLAIN
    ][:8]


def _blob(repository: Path, name: str) -> str:
    return _git(repository, "cat-file", "blob", name)


def _git(repository: Path, *arguments: str) -> str:
    done = subprocess.run(["git", f"--git-dir={repository}", *arguments], capture_output=True, check=False)
    return done.stdout.decode("utf-8", "replace")
