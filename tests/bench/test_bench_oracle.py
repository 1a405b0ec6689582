"""The accept oracle and the quality figures on hand-made timelines."""

from __future__ import annotations

import pytest

from bench.figures import before_next, percentile, spread
from bench.oracle import Policy, accepts, common_prefix, flicker, match
from bench.screen import Frame, Record


def typed(text: str, visible: list[str], gap_ms: float = 100.0) -> list[Record]:
    """Return records of `text` typed evenly, each with what was visible before the next key."""
    return [
        Record(
            index=i,
            kind="key",
            tool="t",
            trace="t",
            language="python",
            version=i,
            due_ms=i * gap_ms,
            t_ms=i * gap_ms,
            next_ms=(i + 1) * gap_ms,
            following=text[i + 1 :],
            text=c,
            visible=visible[i],
        )
        for i, c in enumerate(text)
    ]


def test_matched_and_wrong_shares_are_counted_over_the_rest_of_the_line() -> None:
    out = match(typed("abcd", ["bcd", "cX", "", ""]))
    assert (out.keys, out.shown, out.exact) == (3, 2, 1)
    assert out.matched_share == pytest.approx((1 + 0.5 + 0) / 3)
    assert out.wrong_share == pytest.approx((0 + 0.5) / 2)
    assert out.pooled_matched_share == pytest.approx(4 / 6)
    assert out.pooled_wrong_share == pytest.approx(1 / 5)
    assert (out.lines, out.exact_lines) == (1, 1)


def test_a_suggestion_seen_long_enough_is_accepted_once() -> None:
    records = typed("abcdefgh", [""] * 8, gap_ms=300.0)
    frames = [Frame(10.0, 0, "bcdefgh", "answer"), Frame(300.0, 1, "cdefgh", "typed-through")]
    out = accepts(records, frames, Policy())
    assert (out.accepts, out.accepted, out.at_records) == (1, 7, [0])
    assert out.ks_percent == pytest.approx(100 * 6 / 8)
    assert out.rocc == pytest.approx(7 / 8)


def test_a_suggestion_kept_alive_by_typing_along_adds_up_its_time() -> None:
    records = typed("abcdefgh", [""] * 8, gap_ms=100.0)
    frames = []
    for i in range(5):
        frames += [Frame(i * 100.0, i, "", "hidden")] if i else []
        frames.append(Frame(i * 100.0 + 10, i, "abcdefgh"[i + 1 :], "answer"))
    out = accepts(records, frames, Policy())
    assert out.at_records == [2]
    assert out.accepted == 5


def test_a_suggestion_that_changes_all_the_time_is_never_accepted() -> None:
    records = typed("abcdefgh", [""] * 8, gap_ms=100.0)
    frames = [Frame(i * 100.0 + 10, i, "abcdefgh"[i + 1 :] if i % 2 else "wrong", "answer") for i in range(8)]
    assert accepts(records, frames, Policy()).accepts == 0


@pytest.mark.parametrize("text", ["bXdefgh", "bc"])
def test_wrong_or_short_first_lines_are_not_accepted(text: str) -> None:
    records = typed("abcdefgh", [""] * 8, gap_ms=1000.0)
    assert accepts(records, [Frame(0.0, 0, text, "answer")], Policy()).accepts == 0


def test_only_the_first_line_of_a_suggestion_is_judged() -> None:
    records = typed("abcdef", [""] * 6, gap_ms=1000.0)
    out = accepts(records, [Frame(0.0, 0, "bcdef\n    nonsense", "answer")], Policy())
    assert out.accepted == 5


def test_flicker_counts_fitting_suggestions_that_were_replaced_or_taken_away() -> None:
    assert flicker(typed("abcd", ["bcd", "cd", "d", ""])) == 0
    assert flicker(typed("abcd", ["bcd", "XX", "", ""])) == pytest.approx(100 / 3)
    assert flicker(typed("abcd", ["bcd", "", "", ""])) == pytest.approx(100 / 3)
    assert flicker(typed("abcd", ["Zcd", "cd", "d", ""])) == 0


def test_percentiles_are_linear_between_neighbours() -> None:
    assert percentile([1.0, 2.0, 3.0, 4.0], 0.5) == 2.5
    assert spread([]) == {"n": 0}
    assert spread([5.0])["p99"] == 5.0


def test_common_prefix_counts_characters() -> None:
    assert [common_prefix(a, b) for a, b in (("", "a"), ("abc", "abd"), ("ab", "abc"))] == [0, 2, 2]


def test_keys_without_a_next_event_do_not_count_as_in_time() -> None:
    records = typed("ab", ["b", ""])
    records[1].next_ms = None
    records[0].answered_ms = 50.0
    assert before_next(records) == {"keys": 1, "answered": 1.0, "visible": 1.0}
