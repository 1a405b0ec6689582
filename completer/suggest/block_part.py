"""How much of a block is shown to a user who rests: whole lines, as long as they are worth reading.

Hardly any block is right to its last character, so what has to be probable is not all of it. A reader takes words,
lines, or the whole and edits it: what counts is how much of a line stays. Two numbers tell that well enough:

    own      the product of the line's tokens: whether it is right, given those before it
    joint    the product of all tokens up to its end: whether there is anything left to go on from

A line that falls below either limit ends the block before it. What would be shown while typing is always left.
Measured: docs/decisions/023-block-at-rest.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from completer.suggest.confidence import Sure, TokenSpan, sure_part


class Least(NamedTuple):
    """What a line must reach, as shares of the setting `confidence`."""

    own: float
    joint: float


LEAST = Least(own=0.03, joint=0.0003)


class Line(NamedTuple):
    """A line of a block: where it begins, and how probable it is by itself and with all before it."""

    start_cp: int
    own: float
    joint: float


def block_part(text: str, spans: Sequence[TokenSpan], n_typed: int, threshold: float, least: Least = LEAST) -> Sure:
    """Return how much of `text[n_typed:]` may be shown. The other parameters are as of `sure_part`."""
    known = sure_part(text, spans, n_typed, threshold)
    if not known.cut:
        return known
    for line in lines(text, spans, n_typed):
        if line.own < least.own * threshold or line.joint < least.joint * threshold:
            return max(known, Sure(line.start_cp, cut=True))
    return Sure(len(text), cut=False)


def lines(text: str, spans: Sequence[TokenSpan], n_typed: int) -> Iterator[Line]:
    """Yield the lines of the text after what was typed. A token with a line break in it counts for the line that it ends."""
    start, own, joint, begun = n_typed, 1.0, 1.0, 0
    for end, prob in spans:
        begun, before = end, begun
        if end <= n_typed or before >= len(text):
            continue
        confirmed = before < n_typed  # typed in part
        own, joint = own * (1.0 if confirmed else prob), joint * (1.0 if confirmed else prob)
        if "\n" in text[before:end]:
            yield Line(start, own, joint)
            start, own = end, 1.0
    if start < min(begun, len(text)):
        yield Line(start, own, joint)
