"""The prefix diff against its definition."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from completer.prefix import common_length, diff

IDS = st.lists(st.integers(0, 2), max_size=40)


def slow_common_length(a: list[int], b: list[int]) -> int:
    n = 0
    while n < min(len(a), len(b)) and a[n] == b[n]:
        n += 1
    return n


@given(shared=IDS, a=IDS, b=IDS)
def test_the_common_length_is_that_of_a_comparison_token_by_token(shared: list[int], a: list[int], b: list[int]) -> None:
    a, b = [*shared, *a], [*shared, *b]
    assert common_length(a, b) == common_length(tuple(b), tuple(a)) == slow_common_length(a, b)


@given(cached=IDS, prompt=IDS.filter(bool), data=st.data())
def test_kept_and_fed_tokens_make_the_prompt(cached: list[int], prompt: list[int], data: st.DataObject) -> None:
    n_rows = data.draw(st.integers(1, len(prompt)))
    keep, feed = diff(cached, prompt, n_rows)
    assert [*cached[:keep], *prompt[len(prompt) - feed :]] == prompt
    assert feed >= n_rows
    assert feed == n_rows or keep == slow_common_length(cached, prompt)


def test_diff_feeds_the_last_token_when_the_prompt_is_fully_cached() -> None:
    assert diff([1, 2, 3, 4], [1, 2, 3]) == (2, 1)


def test_diff_feeds_as_many_tokens_as_rows_are_wanted() -> None:
    assert diff([1, 2, 3], [1, 2, 3], n_rows=3) == (0, 3)


def test_diff_of_an_empty_slot_feeds_everything() -> None:
    assert diff([], [5, 6]) == (0, 2)
