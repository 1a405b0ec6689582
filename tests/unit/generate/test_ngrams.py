"""Drafts: where they come from, how wide they are, and what is learnt from them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from completer.engines.base import CostCurve
from completer.generate.drafts.ngrams import (
    MAX_MATCH,
    MAX_WIDTH,
    AcceptanceRates,
    Draft,
    Drafter,
    NgramIndex,
    best_width,
    n_covering,
)

FLAT = CostCurve({1: 10.0, 16: 10.0}, 1.0)
"""A draft costs nothing."""
STEEP = CostCurve({1: 10.0, 2: 20.0, 16: 160.0}, 1.0)
"""Each token costs as much as the first."""
IDS = st.lists(st.integers(0, 3), max_size=60)


def slow_match(ids: list[int], tail: list[int]) -> int:
    """Return the length of the longest end of `tail`, up to MAX_MATCH, that something follows in `ids`."""
    lengths = range(min(len(tail), MAX_MATCH), 0, -1)
    return next((n for n in lengths if any(ids[i : i + n] == tail[-n:] for i in range(len(ids) - n))), 0)


@given(ids=IDS, tail=IDS, width=st.integers(1, 8))
def test_the_index_finds_the_longest_match_that_a_search_finds(ids: list[int], tail: list[int], width: int) -> None:
    draft = NgramIndex(ids).continue_(tail, width)
    n = slow_match(ids, tail)
    assert draft.match == n
    if n:
        places = [i + n for i in range(len(ids) - n) if ids[i : i + n] == tail[-n:]]
        assert draft.ids in [ids[place : place + width] for place in places]
    else:
        assert draft.ids == []


@given(ids=IDS, at=st.integers(0, 60))
def test_an_index_that_grows_equals_one_made_at_once(ids: list[int], at: int) -> None:
    index = NgramIndex(ids[:at])
    index.extend(ids[at:])
    assert index.continue_(ids[:10], 5) == NgramIndex(ids).continue_(ids[:10], 5)


def test_of_two_equal_matches_the_later_is_taken() -> None:
    assert NgramIndex([1, 2, 3, 1, 2, 4, 9]).continue_([1, 2], 1).ids == [4]


def test_a_longer_match_beats_a_later_one() -> None:
    draft = NgramIndex([7, 1, 2, 3, 8, 1, 2, 4]).continue_([7, 1, 2], 2)
    assert (draft.ids, draft.match) == ([3, 8], 3)


def test_a_match_at_the_very_end_has_nothing_to_say() -> None:
    assert NgramIndex([5, 1, 2]).continue_([1, 2], 4).ids == []


@pytest.mark.parametrize(("rate", "costs", "width"), [(0.9, FLAT, MAX_WIDTH), (0.99, STEEP, 0), (0.0, FLAT, 0)])
def test_the_width_is_what_gives_most_for_its_price(rate: float, costs: CostCurve, width: int) -> None:
    assert best_width(rate, costs, n_feed=1) == width


def test_a_likelier_draft_is_made_wider() -> None:
    costs = CostCurve({1: 10.0, 4: 16.0, 8: 27.0, 16: 47.0}, 1.0)
    widths = [best_width(rate, costs, n_feed=1) for rate in (0.1, 0.4, 0.7, 0.95)]
    assert widths == sorted(widths)
    assert widths[0] == 0
    assert widths[-1] > 2


def test_the_rate_of_a_source_follows_what_became_of_its_drafts() -> None:
    rates, good, bad = AcceptanceRates(), Draft("ngram", [1, 2, 3], 2), Draft("ngram", [1, 2, 3], 5)
    start = rates.rate(good)
    for _ in range(40):
        rates.record(good, 3)
        rates.record(bad, 0)
    assert rates.rate(good) > 0.95 > start
    assert rates.rate(bad) < 0.2
    assert rates.rate(Draft("ngram", [1], 9)) == AcceptanceRates().rate(Draft("ngram", [1], 9)), "others are not touched"


def test_only_the_first_wrong_token_counts_against_a_draft() -> None:
    rates, draft = AcceptanceRates(), Draft("stale", [1, 2, 3, 4])
    once = rates.rate(draft)
    rates.record(draft, 0)
    assert rates.rate(draft) == pytest.approx(once * 0.95)


def drafter(*stale: list[int], corpus: list[int] | None = None, costs: CostCurve = FLAT) -> Drafter:
    return Drafter(stale, [NgramIndex(corpus or [])], AcceptanceRates(), costs)


def test_a_stale_suggestion_goes_on_while_it_agrees() -> None:
    agreeing = drafter([1, 2, 3, 4])
    assert agreeing.propose([], [], 1, 8) == Draft("stale", [1, 2, 3, 4])
    assert agreeing.propose([], [1, 2], 1, 8) == Draft("stale", [3, 4])
    assert agreeing.propose([], [1, 9], 1, 8).ids == []
    assert agreeing.propose([], [1, 2, 3, 4], 1, 8).ids == []


BYTES = [b"", b" ret", b" return", b"urn", b" r", b"def", b" x"]


@given(
    ids=st.lists(st.integers(0, len(BYTES) - 1), max_size=8),
    wanted=st.sampled_from([b" ret", b" retu", b" return x", b"u", b" r"]),
)
def test_tokens_cover_bytes_as_soon_as_their_text_begins_with_them(ids: list[int], wanted: bytes) -> None:
    n = n_covering(ids, 0, wanted, BYTES)
    texts = [b"".join(BYTES[id_] for id_ in ids[:k]) for k in range(1, len(ids) + 1)]
    whole = 0 not in ids[: n or len(ids)]  # a special token stands for no text
    assert n == (next((k for k, text in enumerate(texts, 1) if text.startswith(wanted)), 0) if whole else 0)


def test_a_typed_piece_of_a_word_is_healed_to_what_stood_behind_the_same_tokens() -> None:
    assert drafter(corpus=[5, 6, 5, 1, 3, 6]).heal([9, 5], b" retu", BYTES) == [1, 3]  # and not 6, which is no beginning of it
    assert drafter([2, 6], corpus=[5, 1, 3]).heal([5], b" ret", BYTES) == [2]
    assert drafter(corpus=[5, 6]).heal([5], b" retu", BYTES) == []


def test_the_best_stale_suggestion_that_agrees_is_taken() -> None:
    assert drafter([1, 2], [5, 6], [5, 7]).propose([], [5], 1, 8).ids == [6]


def test_documents_are_asked_when_no_suggestion_agrees() -> None:
    draft = drafter([9, 9], corpus=[4, 5, 6, 7]).propose([4], [5], 1, 8)
    assert (draft.source, draft.ids) == ("ngram", [6, 7])


def test_of_several_documents_the_longest_match_wins() -> None:
    many = Drafter([], [NgramIndex([1, 2, 8]), NgramIndex([0, 1, 2, 9]), NgramIndex([])], AcceptanceRates(), FLAT)
    assert many.propose([0, 1], [2], 1, 8).ids == [9]


@pytest.mark.parametrize("limit", [-3, 0, 1, 3])
def test_no_draft_is_wider_than_the_limit(limit: int) -> None:
    assert len(drafter([1, 2, 3, 4, 5]).propose([], [], 1, limit).ids) == max(limit, 0)


def test_nothing_is_drafted_where_it_would_cost_more_than_it_brings() -> None:
    assert drafter([1, 2, 3, 4], costs=STEEP).propose([], [], 1, 8).ids == []
