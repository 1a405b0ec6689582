"""In front of the rest of a line a suggestion is shown only where the model joins that rest, also behind what is sure."""

from __future__ import annotations

import pytest

from completer.suggest.confidence import Piece
from completer.suggest.entries import Entry, Hit
from completer.suggest.visible import visible
from completer.syntax.cursor import place
from completer.types import FinishReason, Snapshot


@pytest.mark.parametrize(
    ("behind", "reason", "shown"),
    [
        (".parse", "confidence", "oercer"),  # unsure how the line goes on, but that is how it does
        (" .parse", None, "oercer"),
        ("(x)", "confidence", None),
        ("", "confidence", None),
        ("", "end", "oercer"),
    ],
)
def test_an_unsure_word_that_goes_on_as_the_line_does_joins_it(
    behind: str, reason: FinishReason | None, shown: str | None
) -> None:
    text = "def f(coercer, x):\n    return c.parse(x)\n"
    snapshot = Snapshot("file:///a.py", 1, "python", text, text.index("c.parse") + 1)
    pieces = [Piece(6, 0.5), *([Piece(6 + len(behind), 0.01)] if behind else [])]
    entry = Entry(1, "", 1, text="oercer" + behind, pieces=pieces, reason=reason)
    found = visible(Hit(entry, 0), 0.3, snapshot, place(snapshot))
    assert (found.text if found else None) == shown
