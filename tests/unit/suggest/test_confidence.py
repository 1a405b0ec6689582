"""What of a suggestion is sure enough to be shown."""

from __future__ import annotations

from itertools import pairwise

from completer.suggest.confidence import Sure, TokenSpan, sure_part


def spans(*tokens: tuple[str, float]) -> tuple[str, list[TokenSpan]]:
    """Return the text of the tokens, and their spans."""
    text, found = "", []
    for token, prob in tokens:
        text += token
        found.append(TokenSpan(len(text), prob))
    return text, found


def sure(*tokens: tuple[str, float], n_typed: int = 0, threshold: float = 0.3) -> tuple[str, bool]:
    text, found = spans(*tokens)
    end, cut = sure_part(text, found, n_typed, threshold)
    return text[n_typed:end], cut


def test_all_of_a_sure_suggestion_is_shown() -> None:
    assert sure((" width", 0.9), (" *", 0.9), (" height", 0.9)) == (" width * height", False)


def test_it_ends_before_the_word_with_which_the_product_falls_too_low() -> None:
    assert sure((" width", 0.6), (" *", 0.7), (" height", 0.6)) == (" width *", True)


def test_a_word_of_several_tokens_is_shown_whole_or_not_at_all() -> None:
    assert sure((" width", 0.8), (" hei", 0.8), ("ght", 0.3)) == (" width", True)


def test_the_first_word_may_be_eight_times_less_sure() -> None:
    assert sure(("wid", 0.4), ("th", 0.4), (".x", 0.9)) == ("width", True)
    assert sure(("wid", 0.2), ("th", 0.15), (".x", 0.9)) == ("", True)


def test_brackets_in_front_of_the_first_word_are_no_word() -> None:
    assert sure(("(", 0.5), ("name", 0.3), (")", 0.9)) == ("(name", True)


def test_what_is_typed_confirms_what_is_in_front_of_it() -> None:
    tokens = ((" width", 0.4), (" *", 0.6), (" height", 0.9), (")", 0.5))
    assert sure(*tokens) == (" width", True)
    assert sure(*tokens, n_typed=1) == ("width * height", True)  # a token typed in part counts as confirmed
    assert sure(*tokens, n_typed=8) == (" height)", False)


def test_a_suggestion_that_is_typed_along_never_shrinks() -> None:
    text, found = spans((" wid", 0.5), ("th", 0.9), (" *", 0.6), (" hei", 0.5), ("ght", 0.7), ("()", 0.2), (" x", 0.9))
    ends = [sure_part(text, found, n, 0.3).end_cp for n in range(len(text))]
    assert all(now <= later or now <= n for n, (now, later) in enumerate(pairwise(ends)))


def test_each_line_is_judged_alone() -> None:
    assert sure(("x", 0.6), ("\n", 0.6), ("y", 0.6), ("\n", 0.6), ("z", 0.2)) == ("x\ny\n", True)


def test_text_that_a_rule_cut_off_counts_no_more() -> None:
    text, found = spans(("a", 0.9), ("\n", 0.9), ("b", 0.01))
    assert sure_part(text[:1], found, 0, 0.3) == Sure(1, cut=False)


def test_a_threshold_of_nothing_shows_everything() -> None:
    assert sure(("a", 1e-9), (" b", 1e-9), threshold=0.0) == ("a b", False)
