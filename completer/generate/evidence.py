"""Weighs what other places of the workspace say comes next against the model's choice of a token.

    typed     return self.items.g‸
    evidence                     et(key, None)\n     agreed on by the places with the longest match
    model                        .get (.55)          the same text: more likely than the model alone says
                                 et_all (.60)        another: the evidence is taken, unless the model rules it out

The model's own probabilities decide how far it rules the evidence out: the odds that the evidence is right are
log_odds + MODEL_WEIGHT * log(p_evidence / p_model), fitted on added lines of repositories (decision 025).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from completer.engines.base import Logits
from completer.tokens.tokenizer import Tokenizer
from completer.types import Evidence, Token

MODEL_WEIGHT = 0.4
_LEAST = 1e-6


@dataclass(frozen=True, slots=True)
class Expected:
    """The evidence that is left. text: b"" when all of it has come, or something else has.

    log_odds: of its next token.  later: of those after that.  may_indent: white space may come first.
    """

    text: bytes = b""
    log_odds: float = 0.0
    later: float = 0.0
    may_indent: bool = False

    def after(self, new: bytes) -> Expected:
        """Return what is left after the bytes `new` came."""
        said = new.lstrip(b" \t") if self.may_indent else new
        if not said:
            return self
        return Expected(self.text[len(said) :], self.later, self.later) if self.text.startswith(said) else NOTHING


NOTHING = Expected()


def expected_of(evidence: Evidence | None) -> Expected:
    """Return what a request's evidence lets expect at its cursor."""
    if evidence is None:
        return NOTHING
    first = evidence.log_odds if evidence.first_log_odds is None else evidence.first_log_odds
    return Expected(evidence.text, first, evidence.log_odds, evidence.may_indent)


def weigh(
    chosen: Token, score_of: Logits, pending: bytes, expected: Expected, tokenizer: Tokenizer, noise: float = 0.0
) -> Token | None:
    """Return the model's choice, or the next token of the evidence, with the probability that both together give it.

    None: the two are too close to tell.
    chosen: the model's choice.  score_of: [vocab] its logits, which may be off by `noise`.
    pending: healed bytes that the token must reproduce first.
    """
    text = pending + expected.text
    trust = _logistic(expected.log_odds)
    if expected.may_indent:  # where the line begins, the model says; then only what agrees counts
        said = tokenizer.bytes_of([chosen.id]).lstrip(b" \t")
        surer = bool(said) and text.startswith(said)
        return Token(chosen.id, chosen.prob + (1.0 - chosen.prob) * trust) if surer else chosen
    if agrees(chosen.id, text, tokenizer):
        return Token(chosen.id, chosen.prob + (1.0 - chosen.prob) * trust)
    id_ = _first_token(text, tokenizer)
    if id_ is None:
        return chosen
    prob = chosen.prob * math.exp(float(score_of[id_] - score_of[chosen.id]))
    odds = expected.log_odds + MODEL_WEIGHT * math.log(max(prob, _LEAST) / max(chosen.prob, _LEAST))
    if abs(odds) < 2 * MODEL_WEIGHT * noise:
        return None
    right = _logistic(odds)
    return Token(id_, right) if right >= 0.5 else Token(chosen.id, chosen.prob * (1.0 - right))


def agrees(id_: int, text: bytes, tokenizer: Tokenizer) -> bool:
    """Whether a token begins `text`, or goes on from its end: with what comes after its line feed, or by ending there."""
    token = tokenizer.bytes_of([id_])
    if not token:
        return text in (b"", b"\n")
    return text.startswith(token) or (text.endswith(b"\n") and token.startswith(text))


def _first_token(text: bytes, tokenizer: Tokenizer) -> int | None:
    """Return the token that the tokenizer would begin `text` with; None if that is not the beginning of its bytes."""
    try:
        ids = tokenizer.encode(text.decode())
    except UnicodeDecodeError:  # the healed bytes begin inside a character
        return None
    return ids[0] if ids and text.startswith(tokenizer.token_bytes[ids[0]]) else None


def _logistic(odds: float) -> float:
    return 1.0 / (1.0 + math.exp(-odds))
