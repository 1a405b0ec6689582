"""In front of the rest of a line a suggestion is shown only where the model joins that rest, also behind what is sure."""

from __future__ import annotations

import pytest

from completer.suggest.confidence import TokenSpan
from completer.suggest.entries import Entry, Hit
from completer.suggest.visible import MAX_EXTENDING_FEED, answered_by, visible
from completer.syntax.cursor import place
from completer.types import AnsweredBy, FinishReason, Snapshot, Stats


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
    spans = [TokenSpan(6, 0.5), *([TokenSpan(6 + len(behind), 0.01)] if behind else [])]
    entry = Entry(1, "", 1, text="oercer" + behind, spans=spans, reason=reason)
    found = visible(Hit(entry, 0), 0.3, snapshot, place(snapshot))
    assert (found.text if found else None) == shown


@pytest.mark.parametrize(
    ("stats", "by"),
    [
        (Stats(), "cold"),
        (Stats(n_keep=300, n_feed=2), "extended"),
        (Stats(n_keep=300, n_feed=MAX_EXTENDING_FEED + 1), "cold"),
    ],
    ids=["never began", "warm", "a prompt to read"],
)
def test_a_fresh_answer_is_extended_only_if_its_request_began_in_a_warm_slot(stats: Stats, by: AnsweredBy) -> None:
    assert answered_by(Hit(Entry(1, "", 1, stats=stats), 0), fresh=True) == by
