"""Law: the line that really stands in a file is shown whole if the model says it, whatever its brackets."""

from __future__ import annotations

from pathlib import Path

import pytest

from completer.suggest.trim import trim
from completer.syntax.cursor import place
from completer.syntax.tree import SyntaxTree
from completer.types import Snapshot

SOURCES = Path(__file__).parents[2] / "golden" / "sources"
LANGUAGES = [p.stem for p in sorted(SOURCES.glob("*.txt")) if p.stem not in ("markdown", "html", "yaml", "toml", "json", "css")]


def blanked(language: str, *, indented: bool) -> list[tuple[Snapshot, str]]:
    """Return the file once for each of its code lines, with that line empty and the cursor in it, and the line."""
    text = (SOURCES / f"{language}.txt").read_text(encoding="utf-8")
    lines = text.replace("⟦", "").replace("⟧", "").split("\n")
    cases = []
    for at, line in enumerate(lines):
        body = line.lstrip()
        if not body or body.startswith(("//", "#", "*", "/*", "--", '"""')) or lines[at + 1 : at + 2] == [line]:
            continue
        kept = line[: len(line) - len(body)] if indented else ""
        head = "".join(f"{above}\n" for above in lines[:at]) + kept
        text = head + "".join(f"\n{below}" for below in lines[at + 1 :])
        cases.append((Snapshot(f"file:///a.{language}", 1, language, text, len(head)), line[len(kept) :]))
    return cases


@pytest.mark.parametrize("indented", [True, False])
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_line_of_a_file_fits_where_it_was(language: str, indented: bool) -> None:
    cases = blanked(language, indented=indented)
    assert len(cases) > 5
    for snapshot, line in cases:
        cursor = place(snapshot, SyntaxTree(language, snapshot.text))
        shown = trim(line, snapshot, cursor, finished=False, explicit=True)
        assert shown is not None, f"nothing of {line!r}"
        after = snapshot.text[: shown.start_cp] + shown.text + snapshot.text[shown.end_cp :]
        assert after == snapshot.prefix + line.rstrip() + snapshot.suffix, line
