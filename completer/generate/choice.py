"""Which token comes next: the likeliest one that agrees with what was typed and need not be avoided.

pending  b"ret"                       only tokens that start with it, or it with them: `return`, `ret`, `re`
avoid    (b"urn",)                    not `return`, and after `ret` not `urn`: the text must not be that again
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from completer.engines.base import Logits
from completer.generate.evidence import NOTHING, Expected, weigh
from completer.generate.slots import Slot
from completer.tokens.tokenizer import Tokenizer
from completer.types import Token

RowChooser = Callable[[int], Token | None]
"""Returns the token chosen in a row of a forward; None: too close to a tie. Valid until the next forward."""
Ids = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Bounds:
    """The limits of the text to come.

    pending: bytes still to be reproduced, b"" when all are.
    avoid: what the text after them must not be, neither at the end of a token nor as a whole; b"": it must
        not be empty.
    expected: what is likely to come after the pending bytes.
    """

    pending: bytes = b""
    avoid: tuple[bytes, ...] = ()
    expected: Expected = NOTHING

    def after(self, token: bytes) -> Bounds:
        """Return the bounds of the text after `token`, which agrees with `pending`."""
        new = token[len(self.pending) :]
        avoid = tuple(text[len(new) :] for text in self.avoid if text.startswith(new) and text != new) if new else self.avoid
        return Bounds(remaining(self.pending, token), avoid, self.expected.after(new) if new else self.expected)


def bounds_by_row(bounds: Bounds, proposed: Sequence[int], tokenizer: Tokenizer) -> list[Bounds]:
    """Return the bounds of each row of a forward, if all tokens proposed before it are right."""
    rows = [bounds]
    for id_ in proposed:
        rows.append(rows[-1].after(tokenizer.bytes_of([id_])))
    return rows


def allowed_ids(pending: bytes, tokenizer: Tokenizer) -> Ids | None:
    """Return the ids that agree with `pending`; None: all that the tokenizer knows."""
    return tokenizer.index.allowed(pending) if pending else None


def choose(row: Logits, bounds: Bounds, tokenizer: Tokenizer) -> Token:
    """Return the likeliest token within the bounds, with its probability among all that agree with `pending`.

    row: [vocab] logits; the padding that some models have after their vocabulary is never chosen.
    """
    return _choose(row, bounds, tokenizer)[0]


def from_rows(logits: Logits, bounds: Sequence[Bounds], tokenizer: Tokenizer, noise: float = 0.0) -> RowChooser:
    """Return the chooser of the rows of `logits`: [n, vocab].

    noise: how far off they may be; closer ties are not decided.
    """

    def choose_in(row: int) -> Token | None:
        token, scores = _choose(logits[row], bounds[row], tokenizer)
        if noise and _is_close(token, logits[row][token.id], scores, 2 * noise):
            return None
        expected = bounds[row].expected
        return weigh(token, logits[row], bounds[row].pending, expected, tokenizer, noise) if expected.text else token

    return choose_in


def choose_next(slot: Slot, ids: Sequence[int], pending: bytes, tokenizer: Tokenizer) -> Token:
    """Append `ids` to a slot and return the token chosen after them, as `choose` does. Mutates: the slot."""
    if slot.can_choose:
        return Token(*slot.forward_choices(ids, [allowed_ids(pending, tokenizer)])[0])
    return choose(slot.forward(ids, 1)[0], Bounds(pending), tokenizer)


def remaining(pending: bytes, token: bytes) -> bytes:
    """Return what is left of `pending` after `token`, which agrees with it."""
    return pending[len(token) :]


def _choose(row: Logits, bounds: Bounds, tokenizer: Tokenizer) -> tuple[Token, Logits]:
    """Return the token, and the scores among which it is the highest."""
    ids = allowed_ids(bounds.pending, tokenizer)
    scores = row[: tokenizer.vocab_size] if ids is None else row[ids]
    wanted = _without(_avoided_ids(bounds, tokenizer), scores, ids) if bounds.avoid else scores
    best = int(wanted.argmax())
    top = scores[best] if wanted is scores else scores.max()
    prob = float(np.exp(scores[best] - top) / np.exp(scores - top).sum())
    return Token(best if ids is None else int(ids[best]), prob), wanted


def _avoided_ids(bounds: Bounds, tokenizer: Tokenizer) -> Ids:
    """Return the tokens with which the text would be one of those to be avoided."""
    found = [tokenizer.index.exactly(bounds.pending + text) for text in bounds.avoid if text]
    if b"" in bounds.avoid and not bounds.pending:
        found.append(tokenizer.silent_ids)
    return np.concatenate(found) if found else np.empty(0, np.int64)


def _without(avoided: Ids, scores: Logits, ids: Ids | None) -> Logits:
    """Return a copy of `scores`, those of `ids` (None: of all), in which no avoided one is the highest."""
    wanted = scores.copy()
    wanted[avoided if ids is None else np.isin(ids, avoided)] = -np.inf
    return wanted


def _is_close(token: Token, score: np.float32, scores: Logits, margin: float) -> bool:
    """Return whether another of the scores lies within `margin` of the chosen token's own."""
    if token.prob > 1.0 / (1.0 + np.exp(-margin)):
        return False  # nothing else can be so near
    return int(np.count_nonzero(scores >= score - margin)) > 1
