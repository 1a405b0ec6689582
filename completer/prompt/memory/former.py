"""What is no evidence, though it was written before: what the cursor's line was, and the line that follows it anyway."""

from __future__ import annotations

from completer.prompt.memory.index import INDENTED, KEY, Place, normalised
from completer.types import Snapshot

NEAR_CP = 1_000
"""Characters above and below the cursor's line by which its place in the earlier version is found."""
MAX_FORMER_CP = 20_000
"""Of the text that was there; longer ones are no lines that somebody edits."""


def former_lines(old: Snapshot, new: Snapshot) -> list[bytes]:
    """Return the lines of an earlier version that the cursor's line has taken the place of, normalised.

    Empty if there was none, or if the document changed both above and below since.
    """
    start, end = new.line_start_cp, new.line_end_cp
    old_end = len(old.text) - (len(new.text) - end)
    same_above = old.text[max(0, start - NEAR_CP) : start] == new.text[max(0, start - NEAR_CP) : start]
    same_below = old_end >= 0 and old.text[old_end : old_end + NEAR_CP] == new.text[end : end + NEAR_CP]
    if same_above and not same_below:
        found = old.text.find("\n", start)
        old_end = found if found >= 0 else len(old.text)
    elif same_below and not same_above:
        start = old.text.rfind("\n", 0, old_end) + 1
    elif not same_above:
        return []
    return [normalised(line) for line in old.text[start : min(old_end, start + MAX_FORMER_CP)].splitlines()]


def next_line(snapshot: Snapshot) -> bytes:
    """Return the next line with text after the cursor's, normalised; b"" if there is none nearby."""
    end = snapshot.line_end_cp
    lines = snapshot.text[end : end + NEAR_CP].splitlines()[1:]
    return normalised(next((line for line in lines if line.strip()), ""))


def is_one_of(place: Place, before: bytes, lines: list[bytes]) -> bool:
    """Whether a place seems to be in one of these lines."""
    typed = before[before.rfind(b"\n") + 1 :].lstrip(b"".join(INDENTED))
    said = typed[-KEY:] + place.continuation
    return any(line.endswith(said) if typed else line == said for line in lines)
