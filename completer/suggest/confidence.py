"""How much of a suggestion is sure enough to be shown.

The probabilities of the tokens multiply to the probability that everything up to there is what the user wants: a later token is
of use only if all before it are right. So a suggestion ends in front of the first word with which that product falls too low.

    def area(width, height):          threshold .3
        return wid|th * height ** 2
                  .9  .8  .7     .4       .9 · .8 · .7 = .50 is shown, .50 · .4 = .20 is not

The first word may be eight times less sure: a short word that is wrong costs little.
What the user types confirms what is in front of it, so the product begins at the cursor and a suggestion grows while it is typed
along. It begins anew with each line, because a line is read, and accepted or dropped, as a whole.
Measured: docs/benchmarks/quality.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

FIRST_WORD = 1 / 8
"""Share of the threshold that holds for the first word."""
DECODED_ON = 1 / 15
"""Share of the threshold down to which decoding goes on: what is not shown now may be, once the user has typed up to it."""


class TokenSpan(NamedTuple):
    """One token as text: it ends at `end_cp` of the suggestion, and had the probability `prob`."""

    end_cp: int
    prob: float


class Sure(NamedTuple):
    """The suggestion may be shown up to `end_cp`. cut: an unsure word ends it, so no more will come; whole words are left."""

    end_cp: int
    cut: bool


def sure_part(text: str, spans: Sequence[TokenSpan], n_typed: int, threshold: float) -> Sure:
    """Return how much of `text[n_typed:]` may be shown.

    spans: the tokens of `text`, in order.  n_typed: characters of it that the user has typed already.
    threshold: the least probability of everything shown; 0: all of it is.
    """
    joint, start, word_start, n_words = 1.0, 0, n_typed, 0
    for end, prob in spans:
        begun, start = start, end
        if end <= n_typed:
            continue
        if begun >= len(text):
            break
        if begun > n_typed and not _goes_on(text, begun):
            n_words += any(c.isalnum() for c in text[word_start:begun])
            joint = 1.0 if "\n" in text[word_start:begun] else joint
            word_start = begun
        joint *= prob if begun >= n_typed else 1.0  # typed in part: confirmed
        if joint < threshold * (1.0 if n_words else FIRST_WORD):
            return Sure(word_start, cut=True)
    return Sure(len(text), cut=False)


def _goes_on(text: str, at: int) -> bool:
    """Whether a word goes on at `at`."""
    return _is_word(text[at - 1]) and _is_word(text[at])


def _is_word(character: str) -> bool:
    return character.isalnum() or character == "_"
