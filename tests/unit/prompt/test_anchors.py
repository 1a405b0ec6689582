"""Which anchor serves a key, and which one idle time should make: small, then full, then full after the context block."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from completer.engines.base import CostCurve
from completer.prompt.anchors import (
    CONTEXT_MS,
    FULL_AFTER,
    FULL_BEFORE,
    MAX_ANCHORS,
    MAX_CONTEXT,
    MAX_TYPED,
    MIN_FULL,
    RESERVE,
    Anchors,
    context_budget,
    full_window,
)
from completer.prompt.prompt import CHARS_PER_TOKEN, Anchor, build_prompt
from completer.tokens.prefix import common_length
from completer.tokens.tokenizer import Tokenizer
from completer.types import Edit, Snapshot

DOCUMENT = "".join(f"def f_{n}():\n    return {n}\n\n" for n in range(400))
COSTS = CostCurve({1: 1.0}, 1.5)  # room for 120 tokens in a first answer, and for a whole full window
BLOCK = tuple(range(40, 100))


class Place:
    """The anchors of one document, and what the engine holds. costs, max_len: as `Anchors` takes them."""

    def __init__(self, tokenizer: Tokenizer, costs: CostCurve = COSTS, max_len: int = 4096) -> None:
        self.tokenizer = tokenizer
        self.held: list[Sequence[int]] = []
        self.anchors = Anchors(tokenizer, costs, self.n_cached, max_len)

    def n_cached(self, ids: Sequence[int]) -> int:
        return max((common_length(tuple(held), tuple(ids)) for held in self.held), default=0)

    def prefill(self, anchor: Anchor, snapshot: Snapshot) -> None:
        """Do what idle time does with an anchor: warm its prompt, then use it."""
        self.held.append(build_prompt(anchor, anchor.typed(snapshot), self.tokenizer).ids)
        self.anchors.use(anchor)

    def choose(self, snapshot: Snapshot, *, explicit: bool = False, context_ids: Sequence[int] = ()) -> Anchor:
        """Choose an anchor and feed its prompt."""
        chosen = self.anchors.choose(snapshot, context_ids, explicit=explicit)
        self.held.append(chosen.prompt.ids)
        return chosen.anchor

    def settle(self, snapshot: Snapshot, context_ids: Sequence[int] = ()) -> list[Anchor]:
        """Do all that idle time finds to do; return the anchors that it prefilled."""
        done: list[Anchor] = []
        while (anchor := self.anchors.better(snapshot, context_ids)) is not None:
            assert len(done) < 5, "idle time never comes to an end"
            self.prefill(anchor, snapshot)
            done.append(anchor)
        return done


@pytest.fixture
def place(tokenizer: Tokenizer) -> Place:
    return Place(tokenizer)


def at(n: int, typed: str = "", behind: str = "", text: str = DOCUMENT) -> Snapshot:
    """Return the document with `typed` in an empty line after its function `n`, and `behind` after the cursor."""
    cut = text.index(f"def f_{n}():")
    head = text[:cut] + typed
    return Snapshot("file:///a.py", 1, "python", f"{head}{behind}\n{text[cut:]}", len(head))


def test_a_key_at_a_new_place_gets_a_small_window_and_an_explicit_request_the_full_one(place: Place) -> None:
    small, full = place.choose(at(200)), place.choose(at(200), explicit=True)
    assert (small.full, full.full) == (False, True)
    assert 0 < len(small.head) <= 90 * CHARS_PER_TOKEN
    assert len(small.head) < len(full.head) <= FULL_BEFORE * CHARS_PER_TOKEN
    assert len(small.tail) < len(full.tail) <= FULL_AFTER * CHARS_PER_TOKEN


def test_the_next_keys_go_on_with_the_anchor_of_the_first(place: Place) -> None:
    first = place.choose(at(200))
    assert {place.choose(at(200, "return"[:n])).number for n in range(1, 7)} == {first.number}


def test_a_warm_full_window_goes_before_a_small_one_that_was_used_later(place: Place) -> None:
    small, full = place.choose(at(200)), place.choose(at(200), explicit=True)
    place.anchors.use(small)
    assert place.choose(at(200, "x")).number == full.number


def test_a_full_window_that_left_the_cache_is_not_prefilled_while_a_key_waits(place: Place) -> None:
    full = place.choose(at(200), explicit=True)
    place.held.clear()
    key = place.choose(at(200, "x"))
    assert not key.full and key.number != full.number
    assert place.choose(at(200, "xy"), explicit=True).number == full.number  # who asks explicitly waits for it


def test_idle_time_makes_a_small_window_then_the_full_one_then_one_after_the_block(place: Place) -> None:
    done = place.settle(at(200), BLOCK)
    assert [(anchor.full, anchor.n_context) for anchor in done] == [(False, 0), (True, 0), (True, len(BLOCK))]
    assert place.choose(at(200, "x")).number == done[-1].number


def test_without_a_block_idle_time_ends_with_the_full_window(place: Place) -> None:
    assert [anchor.full for anchor in place.settle(at(200))] == [False, True]


def test_a_block_that_a_slot_holds_is_part_of_the_first_windows(place: Place) -> None:
    place.held.append(BLOCK)
    done = place.settle(at(200), BLOCK)
    assert [(anchor.full, anchor.n_context) for anchor in done] == [(False, len(BLOCK)), (True, len(BLOCK))]


def test_an_explicit_request_prefills_the_block_too(place: Place) -> None:
    assert place.choose(at(200), explicit=True, context_ids=BLOCK).n_context == len(BLOCK)


def test_a_block_that_grew_is_no_reason_for_a_new_anchor(place: Place) -> None:
    place.settle(at(200), BLOCK)
    assert place.anchors.better(at(200), (*BLOCK, 101, 102)) is None


def test_after_a_small_answer_idle_time_makes_the_full_window_at_once(place: Place) -> None:
    place.choose(at(200))
    assert [anchor.full for anchor in place.settle(at(200))] == [True]


def test_a_good_anchor_that_left_the_cache_is_prefilled_again(place: Place) -> None:
    *_, full = place.settle(at(200))
    place.held.clear()
    again = place.anchors.better(at(200))
    assert again is not None and again.number == full.number


def test_much_typed_text_moves_the_anchor_in_idle_time_only(place: Place) -> None:
    *_, full = place.settle(at(200))
    much = at(200, "x = 1\n" * MAX_TYPED)
    place.held.append(build_prompt(full, full.typed(much), place.tokenizer).ids)
    assert place.choose(much).number == full.number
    better = place.anchors.better(much)
    assert better is not None and better.full and better.anchor_cp == much.cursor_cp


def test_a_bracket_that_the_editor_closed_does_not_cost_a_key_its_warm_prompt(place: Place) -> None:
    *_, full = place.settle(at(200))
    assert place.choose(at(200, "f(", ")")).number == full.number
    assert place.choose(at(200, "f(", ")"), explicit=True).number != full.number  # its suffix is a little stale


def test_idle_time_mends_a_suffix_that_is_a_little_stale(place: Place) -> None:
    *_, stale = place.settle(at(200))
    *_, mended = place.settle(at(200, "f(", ")"))
    assert mended.number != stale.number and mended.match(at(200, "f(", ")")) == "exact"


@pytest.mark.parametrize("explicit", [False, True])
def test_an_anchor_whose_suffix_was_deleted_is_never_used(place: Place, explicit: bool) -> None:
    old = {anchor.number for anchor in place.settle(at(200))}
    deleted = at(200, text=DOCUMENT.replace("def f_200():\n    return 200\n\n", "def f_200():\n", 1))
    assert old.isdisjoint({anchor.number for anchor in place.settle(deleted)})
    chosen = place.choose(deleted, explicit=explicit)
    assert chosen.number not in old
    assert "return 200" not in chosen.tail


def test_an_edit_before_the_window_moves_the_anchors_with_the_text(place: Place) -> None:
    *_, full = place.settle(at(200))
    place.anchors.edited([Edit(0, 0, "import os\n"), Edit(0, len("import "), "")])
    later = at(200, text="os\n" + DOCUMENT)
    assert place.anchors.better(later) is None
    assert place.choose(later).number == full.number


def test_an_edit_inside_the_window_retires_the_anchor(place: Place) -> None:
    *_, full = place.settle(at(200))
    inside = full.start_cp + 10
    place.anchors.edited([Edit(inside, inside, "y = 1\n")])
    text = DOCUMENT[:inside] + "y = 1\n" + DOCUMENT[inside:]
    assert place.choose(at(200, text=text), explicit=True).number != full.number


def test_only_the_anchors_used_last_are_remembered(place: Place) -> None:
    first = place.choose(at(10), explicit=True)
    others = [place.choose(at(10 + 80 * n), explicit=True) for n in range(1, MAX_ANCHORS)]
    assert place.choose(at(10), explicit=True).number == first.number
    place.choose(at(390), explicit=True)
    assert place.choose(at(10), explicit=True).number == first.number
    assert place.choose(at(90), explicit=True).number != others[0].number  # the least recently used one


def test_full_is_the_full_window_used_last(place: Place) -> None:
    assert place.anchors.last_full("middle") is None
    place.choose(at(200))
    assert place.anchors.last_full("middle") is None
    full = place.choose(at(200), explicit=True)
    place.choose(at(300))
    assert place.anchors.last_full("middle") is not None and place.anchors.last_full("middle").number == full.number


def test_a_window_is_shortened_to_what_a_slot_has_room_for_and_the_block_gives_way_first(tokenizer: Tokenizer) -> None:
    room = 1600
    assert len(Place(tokenizer).choose(at(200), explicit=True).fixed_ids) > room - RESERVE  # small tokens
    short = Place(tokenizer, max_len=room).choose(at(200), explicit=True, context_ids=BLOCK)
    assert short.n_context == 0
    assert 0.8 * (room - RESERVE) <= len(short.fixed_ids) <= room - RESERVE
    assert short.full


def test_with_room_enough_for_the_window_alone_the_block_goes_and_the_window_stays_whole(tokenizer: Tokenizer) -> None:
    whole = Place(tokenizer).choose(at(200), explicit=True)
    tight = Place(tokenizer, max_len=len(whole.fixed_ids) + RESERVE)
    anchor = tight.choose(at(200), explicit=True, context_ids=BLOCK)
    assert (anchor.fixed_ids, anchor.n_context) == (whole.fixed_ids, 0)


def test_a_slow_machine_gets_a_smaller_full_window_but_never_less_than_the_floor() -> None:
    windows = [full_window(CostCurve({1: 1.0}, ms), 4096) for ms in (0.1, 1.5, 3.0, 1000.0)]
    sizes = [(window.n_before, window.n_after) for window in windows]
    assert sizes[0] == sizes[1] == (FULL_BEFORE, FULL_AFTER)
    assert sizes[1] > sizes[2] > sizes[3]
    assert sum(sizes[3]) == MIN_FULL


def test_a_short_slot_makes_even_the_floor_smaller() -> None:
    window = full_window(CostCurve({1: 1.0}, 1000.0), RESERVE + 200)
    assert window.n_before + window.n_after == pytest.approx(200, abs=2)


@pytest.mark.parametrize(("ms", "max_len", "expected"), [(0.1, 4096, MAX_CONTEXT), (4.0, 4096, CONTEXT_MS / 4), (0.1, 1024, 0)])
def test_the_block_gets_what_idle_time_and_a_slot_have_left(ms: float, max_len: int, expected: float) -> None:
    assert context_budget(CostCurve({1: 1.0}, ms), max_len) == expected


def test_an_anchor_of_another_form_does_not_serve_a_place(place: Place) -> None:
    middle = place.choose(at(200), explicit=True)
    left = place.anchors.choose(at(200), explicit=True, form="left").anchor
    assert (middle.form, left.form) == ("middle", "left")
    assert place.anchors.choose(at(200), form="left").anchor.number == left.number
    assert place.choose(at(200)).number == middle.number


def test_from_left_to_right_an_explicit_request_on_another_line_gets_its_own_head(place: Place) -> None:
    first, prompt = place.anchors.choose(at(200), explicit=True, form="left")
    place.held.append(prompt.ids)
    same_line, next_line = at(200, "x = 1"), at(200, "x = 1\ny")
    assert place.anchors.choose(same_line, explicit=True, form="left").anchor.number == first.number
    assert place.anchors.choose(next_line, form="left").anchor.number == first.number
    assert place.anchors.choose(next_line, explicit=True, form="left").anchor.head.endswith("x = 1\n")


def test_a_change_of_form_keeps_the_full_window_as_both_forms_begin_alike(place: Place) -> None:
    place.settle(at(200))
    anchor, prompt = place.anchors.choose(at(200, "x"), form="left")
    assert anchor.full and len(prompt.ids) - place.n_cached(prompt.ids) <= 2
    assert not place.anchors.choose(at(300, "x"), form="left").anchor.full


def test_idle_time_prepares_an_anchor_of_the_form_that_the_place_wants(place: Place) -> None:
    place.settle(at(200))
    better = place.anchors.better(at(200), form="left")
    assert better is not None and better.form == "left"
