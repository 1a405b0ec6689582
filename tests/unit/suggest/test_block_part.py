"""What of a block a user who rests gets to see."""

from __future__ import annotations

from completer.suggest.block_part import LEAST, block_part, lines
from completer.suggest.confidence import sure_part
from tests.unit.suggest.test_confidence import spans

THRESHOLD = 0.3


def shown(*tokens: tuple[str, float], n_typed: int = 0, threshold: float = THRESHOLD) -> tuple[str, bool]:
    text, found = spans(*tokens)
    end, cut = block_part(text, found, n_typed, threshold)
    return text[n_typed:end], cut


def test_lines_that_are_too_unsure_while_typing_are_shown() -> None:
    tokens = (("a = b", 0.5), (" + c\n", 0.4), ("return", 0.5), (" a", 0.5))
    assert sure_part(*spans(*tokens), 0, THRESHOLD).cut
    assert shown(*tokens) == ("a = b + c\nreturn a", False)


def test_a_line_that_is_too_improbable_ends_the_block_before_it() -> None:
    unlikely = LEAST.own * THRESHOLD * 0.9
    assert shown(("a = b\n", 0.9), ("c = d\n", unlikely), ("return a", 0.9)) == ("a = b\n", True)


def test_the_block_ends_where_hardly_anything_of_it_can_be_right_any_more() -> None:
    line = 0.02
    assert line > LEAST.own * THRESHOLD > LEAST.joint * THRESHOLD > line**3
    assert shown(("a\n", line), ("b\n", line), ("c\n", line), ("d", 0.9)) == ("a\nb\n", True)


def test_at_least_what_is_shown_while_typing_is_shown() -> None:
    tokens = (("a =", 0.9), (" b", 0.9), (" + c", 0.001), ("\n", 0.9))
    assert shown(*tokens) == ("a = b", True)


def test_typed_text_is_confirmed() -> None:
    unlikely = LEAST.own * THRESHOLD * 0.9
    assert shown(("ab", unlikely), (" = 1\n", 0.2)) == ("", True)
    assert shown(("ab", unlikely), (" = 1\n", 0.2), n_typed=1) == ("b = 1\n", False)


def test_without_a_threshold_all_is_shown() -> None:
    assert shown(("a\n", 1e-9), ("b", 1e-9), threshold=0.0) == ("a\nb", False)


def test_a_token_with_a_line_break_counts_for_the_line_that_it_ends() -> None:
    text, found = spans(("if a", 0.5), (":\n    ", 0.5), ("b", 0.4))
    assert [(text[line.start_cp :][:2], round(line.own, 3), round(line.joint, 3)) for line in lines(text, found, 0)] == [
        ("if", 0.25, 0.25),
        ("b", 0.4, 0.1),
    ]
