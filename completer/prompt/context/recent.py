"""Where the user edited of late, over all documents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from completer.types import Edit

MAX_PLACES = 6
SAME_PLACE_CP = 800
"""An edit nearer than this to an earlier one belongs to the same place."""


@dataclass(frozen=True, slots=True)
class Edited:
    """An edited place: a document and an offset in its text as it is now."""

    uri: str
    at_cp: int


class RecentEdits:
    """The last MAX_PLACES edited places, latest first. Owned by the event loop."""

    def __init__(self) -> None:
        self.places: list[Edited] = []

    def edited(self, uri: str, edits: Sequence[Edit]) -> None:
        """Remember where these edits, each in the text before it, took place. Mutates: the places."""
        for edit in edits:
            by_cp = len(edit.new_text) - (edit.old_end_cp - edit.start_cp)
            moved = [
                Edited(uri, max(edit.start_cp, place.at_cp + by_cp))
                if place.uri == uri and place.at_cp > edit.start_cp
                else place
                for place in self.places
            ]
            here = Edited(uri, edit.start_cp + len(edit.new_text))
            others = [place for place in moved if place.uri != uri or abs(place.at_cp - here.at_cp) > SAME_PLACE_CP]
            self.places = [here, *others][:MAX_PLACES]

    def closed(self, uri: str) -> None:
        """Forget a document. Mutates: the places."""
        self.places = [place for place in self.places if place.uri != uri]


def snippet(text: str, at_cp: int, n_lines: int) -> str:
    """Return `n_lines` lines before the line of an offset, that line, and as many behind it."""
    start = at_cp
    for _ in range(n_lines + 1):
        start = text.rfind("\n", 0, start)
        if start < 0:
            break
    end = at_cp
    for _ in range(n_lines + 1):
        end = text.find("\n", end + 1)
        if end < 0:
            end = len(text)
            break
    return text[start + 1 : end]
