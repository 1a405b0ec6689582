"""Reading golden cases: what `trim` must make of a model's raw output at a cursor."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path

from completer.suggest.partial import clean_partial
from completer.suggest.trim import Showing, trim
from completer.syntax.cursor import cursor_context
from completer.syntax.tree import SyntaxTree
from completer.types import Replacement, Snapshot

HERE = Path(__file__).parent
_MARK = re.compile(r"⟦(.*?)⟧", re.DOTALL)


@dataclass(frozen=True)
class Case:
    """document: has one `‸` at the cursor.  expected: None where nothing is shown.  replaces: what goes behind it."""

    language: str
    document: str
    raw: str
    expected: str | None
    replaces: str = ""
    finished: bool = True
    source: str = ""
    mark: int = 0
    name: str = ""

    @property
    def snapshot(self) -> Snapshot:
        cursor_cp = self.document.index("‸")
        return Snapshot("file:///golden", 1, self.language, self.document.replace("‸", "", 1), cursor_cp)

    def with_expected(self, shown: tuple[str, str] | None) -> Case:
        return replace(self, expected=shown and shown[0], replaces=shown[1] if shown else "")


def marked_cursors(text: str) -> list[tuple[str, str]]:
    """Return (prefix, suffix) for each `⟦gap⟧` of a source, with that gap taken out and the others filled."""
    found = []
    for match in _MARK.finditer(text):
        sides = text[: match.start()], text[match.end() :]
        prefix, suffix = (_MARK.sub(r"\1", side) for side in sides)
        found.append((prefix, suffix))
    return found


def read_cases(path: Path) -> list[Case]:
    """Return the cases of one file; a recorded one takes its document from its source and mark."""
    cases = []
    for entry in tomllib.loads(path.read_text(encoding="utf-8")).get("case", []):
        line = entry.pop("line", None)
        if "source" in entry:
            text = (HERE / "sources" / entry["source"]).read_text(encoding="utf-8")
            prefix, suffix = marked_cursors(text)[entry["mark"]]
            entry["document"] = f"{prefix}‸{suffix}"
            entry["language"] = path.stem
            assert line is None or line in entry["document"], f"{path.name}: {line!r} is not in {entry['source']}"
        entry.pop("complaint", None)
        cases.append(Case(**{"expected": None, **entry}))
    return cases


def expected_now(case: Case) -> tuple[str, str] | None:
    """Return (text, replaced text) of what is shown for a case today, or None."""
    snapshot = case.snapshot
    cursor = cursor_context(snapshot, SyntaxTree(case.language, snapshot.text))
    raw = case.raw if cursor.multiline else _first_line(case.raw)
    whole_line = raw != case.raw
    raw = raw if case.finished or whole_line else clean_partial(raw, snapshot, cursor)
    shown: Replacement | None = trim(raw, snapshot, cursor, Showing(finished=case.finished and not whole_line))
    return None if shown is None else (shown.text, snapshot.text[snapshot.cursor_cp : shown.end_cp])


def _first_line(raw: str) -> str:
    """What is left of `raw` where the place asks for a single line."""
    return re.split(r"[\r\n]", raw, maxsplit=1)[0]
