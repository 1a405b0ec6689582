"""The reuse store: what is put behind one anchor answers behind the ones that take over from it."""

from __future__ import annotations

import pytest

from completer.suggest.entries import Entry, Hit, ReuseStore


def said(anchor: int, typed: str, text: str) -> Entry:
    return Entry(anchor, typed, request_id=1, text=text, reason="end")


@pytest.mark.parametrize("carried_first", [True, False])
def test_what_is_put_before_or_behind_a_re_anchoring_is_found_behind_it(carried_first: bool) -> None:
    store, entry, other = ReuseStore(), said(1, "x = ", "width"), said(1, "x = ", "height")
    if carried_first:
        store.carry(1, 2, n_moved=0)
    store.put(entry)
    store.put_others(1, "x = ", [other])
    if not carried_first:
        store.carry(1, 2, n_moved=0)
    assert store.lookup(2, "x = ") == store.lookup(1, "x = ") == Hit(entry, 0)
    assert store.lookup(2, "x = h") == store.lookup(1, "x = h") == Hit(other, 1)


def test_a_place_follows_several_anchors_and_comes_to_an_end() -> None:
    store, entry = ReuseStore(), said(1, "def f():\n    re", "turn 1")
    store.carry(1, 2, n_moved=len("def f():\n"))
    store.carry(2, 1, n_moved=0)
    store.put(entry)
    assert store.lookup(2, "    ret") == Hit(entry, 1)


def test_what_was_typed_in_front_of_the_later_anchor_is_not_found_behind_it() -> None:
    store, entry = ReuseStore(), said(1, "a", "b")
    store.carry(1, 2, n_moved=3)
    store.put(entry)
    assert store.lookup(1, "a") == Hit(entry, 0)
    assert store.lookup(2, "") is None
