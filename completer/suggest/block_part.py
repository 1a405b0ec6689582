"""How much of a block is shown to a user who rests: whole lines, as long as it pays to read on.

A block is longer than anything that is sure: the product of all its probabilities says little about what a reader
takes of it, by word, by line or as a whole. So each line is judged by itself:

    own      the product of its tokens: whether the line is right, given those before it
    mean     the same for one token: a long line is not worse than a short one

A line that falls below either ends the block before it. Of the first line at least what is sure is left.
Measured: docs/decisions/023-block-at-rest.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from completer.suggest.confidence import Sure, TokenSpan, sure_part

class Least(NamedTuple):
    """What a line must reach. own: as a share of the setting `confidence`."""

    own: float
    mean: float


LEAST = Least(own=0.1, mean=0.6)


class Line(NamedTuple):
    """A line of a block: where it begins, and how probable it is, in all and for one of its tokens."""

    start_cp: int
    own: float
    mean: float


def block_part(text: str, spans: Sequence[TokenSpan], n_typed: int, threshold: float, least: Least = LEAST) -> Sure:
    """Return how much of `text[n_typed:]` may be shown. The other parameters are as of `sure_part`."""
    known = sure_part(text, spans, n_typed, threshold)
    if not known.cut:
        return known
    for line in lines(text, spans, n_typed):
        if line.own < least.own * threshold or line.mean < least.mean:
            return max(known, Sure(line.start_cp, cut=True))
    return Sure(len(text), cut=False)


def lines(text: str, spans: Sequence[TokenSpan], n_typed: int) -> Iterator[Line]:
    """Yield the lines of the text after what was typed. A token that spans a line break counts for the line it ends."""
    start, joint, n, begun = n_typed, 1.0, 0, 0
    for end, prob in spans:
        begun, before = end, begun
        if end <= n_typed or before >= len(text):
            continue
        joint, n = joint * (prob if before >= n_typed else 1.0), n + 1
        if "\n" in text[before:end]:
            yield Line(start, joint, joint ** (1 / n))
            start, joint, n = end, 1.0, 0
    if n:
        yield Line(start, joint, joint ** (1 / n))
