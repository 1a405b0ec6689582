"""Evaluates a StopRule on tokens as they are chosen."""

from __future__ import annotations

from collections.abc import Sequence

from completer.tokens.tokenizer import Tokenizer, whole_characters
from completer.types import FinishReason, StopRule, Token


class Stopper:
    """The state of one request's stop rule: the text generated so far, without the healed bytes."""

    def __init__(self, rule: StopRule, tokenizer: Tokenizer, n_healed_bytes: int) -> None:
        self._rule = rule
        self._token_bytes = tokenizer.token_bytes
        self._n_healed_bytes = n_healed_bytes
        self._data = b""
        self._joint = 1.0  # probability of all of this line that was generated
        self._n_tokens = 0

    def before(self, token: Token) -> FinishReason | None:
        """Return why `token` must not be generated, or None."""
        # An engine that decodes for itself may choose an id after the vocabulary's last one.
        if token.id in self._rule.end_ids or token.id >= len(self._token_bytes) or not self._token_bytes[token.id]:
            return "end"
        # Healed text is in the document already: its probability tells nothing about what follows.
        if not self._healing(token) and self._joint * token.prob < self._rule.confidence:
            return "confidence"
        return None

    def after(self, token: Token) -> FinishReason | None:
        """Take `token` and return why generation ends after it, or None. Mutates: the text."""
        if not self._healing(token):
            self._joint *= token.prob
        self._data += self._token_bytes[token.id]
        self._n_tokens += 1
        if b"\n" in self._token_bytes[token.id]:
            self._joint = 1.0
            reason = self._at_line_end(whole_characters(self._data[self._n_healed_bytes :]))
            if reason is not None:
                return reason
        return "length" if self._n_tokens >= self._rule.max_tokens else None

    def _healing(self, token: Token) -> bool:
        return len(self._data) + len(self._token_bytes[token.id]) <= self._n_healed_bytes

    def _at_line_end(self, text: str) -> FinishReason | None:
        rule = self._rule
        if "\n" not in text:
            return None  # the line break is healed text
        if rule.single_line:
            return "newline"
        lines = text.split("\n")
        whole = [line.rstrip() for line in lines[:-1]]
        if rule.block_indent is not None and any(_ends_block(line, rule.block_indent) for line in whole[1:]):
            return "block"
        if rule.suffix_line and rule.suffix_line in (line.strip() for line in whole):
            return "suffix"
        return "repetition" if is_stuck(whole) else None


def is_stuck(lines: Sequence[str]) -> bool:
    """Whether the last three lines with text in them are the same."""
    last = [line for line in lines if line.strip()][-3:]
    return len(last) == 3 and len(set(last)) == 1


def _ends_block(line: str, indent: int) -> bool:
    return bool(line.strip()) and len(line.expandtabs(4)) - len(line.expandtabs(4).lstrip()) < indent
