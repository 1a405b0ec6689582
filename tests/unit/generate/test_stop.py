"""Stop rules as data: when decoding ends, and with which tokens."""

from __future__ import annotations

import pytest

from completer.generate.stop import Stopper
from completer.tokens.tokenizer import Tokenizer
from completer.types import FinishReason, StopRule, Token


def run(tokenizer: Tokenizer, rule: StopRule, text: str, healed: str = "", prob: float = 1.0) -> tuple[str, FinishReason | None]:
    """Feed the tokens of `healed + text`; return the text behind the healed part that was taken, and why it ended."""
    stopper = Stopper(rule, tokenizer, len(healed.encode()))
    taken: list[int] = []
    for id_ in [*tokenizer.encode(healed), *tokenizer.encode(text)]:
        token = Token(id_, prob)
        if reason := stopper.before(token):
            break
        taken.append(id_)
        if reason := stopper.after(token):
            break
    return tokenizer.text_of(taken)[len(healed) :], reason


def test_a_single_line_ends_with_its_line_break(tokenizer: Tokenizer) -> None:
    assert run(tokenizer, StopRule(), "total = 0\nfor item") == ("total = 0\n", "newline")


def test_a_line_break_that_was_typed_is_no_end(tokenizer: Tokenizer) -> None:
    assert run(tokenizer, StopRule(), "x", healed=":\n") == ("x", None)
    assert run(tokenizer, StopRule(), "x\ny", healed=":\n") == ("x\n", "newline")


def test_tokens_that_end_the_middle_are_not_taken(tokenizer: Tokenizer) -> None:
    stopper = Stopper(StopRule(end_ids=frozenset({5})), tokenizer, 0)
    assert stopper.before(Token(5, 1.0)) == "end"
    assert stopper.before(Token(6, 1.0)) is None


def test_special_tokens_end_the_middle_in_any_case(tokenizer: Tokenizer) -> None:
    assert Stopper(StopRule(), tokenizer, 0).before(Token(tokenizer.fim.prefix, 1.0)) == "end"


def test_a_row_of_the_model_behind_the_vocabulary_ends_the_middle(tokenizer: Tokenizer) -> None:
    assert Stopper(StopRule(), tokenizer, 0).before(Token(tokenizer.vocab_size, 1.0)) == "end"


def test_at_most_max_tokens_are_taken(tokenizer: Tokenizer) -> None:
    text, reason = run(tokenizer, StopRule(max_tokens=3, single_line=False), "items: list[int]) -> None")
    assert (len(tokenizer.encode(text)), reason) == (3, "length")


def test_an_unlikely_token_is_dropped(tokenizer: Tokenizer) -> None:
    assert run(tokenizer, StopRule(confidence=0.4), "total", prob=0.39) == ("", "confidence")
    assert run(tokenizer, StopRule(confidence=0.4), "total", prob=0.4) == ("total", None)


def test_the_probabilities_of_a_line_multiply(tokenizer: Tokenizer) -> None:
    rule = StopRule(confidence=0.4, single_line=False)
    first, second = tokenizer.encode("total = 0")[:2]
    stopper = Stopper(rule, tokenizer, 0)
    assert stopper.after(Token(first, 0.6)) is None
    assert stopper.before(Token(second, 0.6)) == "confidence"
    assert stopper.after(Token(tokenizer.encode("\n")[0], 0.9)) is None  # the next line begins anew
    assert stopper.before(Token(second, 0.6)) is None


def test_healed_text_may_be_unlikely_but_not_what_goes_beyond_it(tokenizer: Tokenizer) -> None:
    assert run(tokenizer, StopRule(confidence=0.4), "q", healed="for", prob=0.1) == ("", "confidence")
    longer = next(i for i, b in enumerate(tokenizer.token_bytes) if len(b) == 4)
    assert Stopper(StopRule(confidence=0.4), tokenizer, 3).before(Token(longer, 0.1)) == "confidence"
    assert Stopper(StopRule(confidence=0.4), tokenizer, 4).before(Token(longer, 0.1)) is None


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ("x = 1\n    y = 2\nz = 3\nw", "x = 1\n    y = 2\nz = 3\n"),
        ("x = 1\n\n    y = 2\n", None),  # a blank line ends nothing
        ("x = 1\n\ty = 2\n\tz\n", None),  # a tab is four columns
    ],
)
def test_a_block_ends_with_the_first_line_indented_less(tokenizer: Tokenizer, text: str, taken: str | None) -> None:
    rule = StopRule(single_line=False, block_indent=4)
    assert run(tokenizer, rule, text) == ((taken, "block") if taken else (text, None))


def test_the_line_behind_the_cursor_ends_a_block(tokenizer: Tokenizer) -> None:
    rule = StopRule(single_line=False, suffix_line="return x")
    assert run(tokenizer, rule, "a\n    return x\nb") == ("a\n    return x\n", "suffix")


def test_the_same_line_three_times_ends_it(tokenizer: Tokenizer) -> None:
    rule = StopRule(single_line=False)
    assert run(tokenizer, rule, "a = 1\na = 1\na = 1\na") == ("a = 1\na = 1\na = 1\n", "repetition")
    assert run(tokenizer, rule, "a\nb\na\nb\na\nb\n")[1] is None
