"""What a list of completions shows of a suggestion."""

from __future__ import annotations

import pytest

from completer.server.convert import is_worth_a_list, label_of


@pytest.mark.parametrize("text", ["", "  ", "\n", ")", "):", "});\n", "x", " 1"])
def test_no_window_opens_for_what_is_typed_faster_than_looked_at(text: str) -> None:
    assert not is_worth_a_list(text)


@pytest.mark.parametrize("text", ["em)", "turn left", "\n    return x", "größe", "x)"])
def test_window_opens_for_a_word_or_more(text: str) -> None:
    assert is_worth_a_list(text)


def test_label_is_the_first_visible_line_and_says_that_more_follows() -> None:
    assert label_of("lines = 1\n    second = 2") == "lines = 1 …"
    assert label_of("\n    return x\n") == "return x"
    assert label_of("a" * 100) == "a" * 59 + "…"
