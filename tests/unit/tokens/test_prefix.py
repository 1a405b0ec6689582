"""The prefix diff against its definition."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from completer.tokens.prefix import common_length

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
