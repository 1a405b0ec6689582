"""From what a client is shown and accepts to the events of the history."""

from __future__ import annotations

import time
from dataclasses import fields
from typing import Any

import pytest

from completer.history.events import Accepted, Event, Grew, Shown, Unit
from completer.history.offers import Offers, unit_of
from completer.types import Suggestion


class Noted:
    """An `Offers` and what it noted. `shown` gives a suggestion at an offset, as the answer to a key."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.offers = Offers(self.events.append)

    def shown(self, text: str, at: int = 0, by: Any = "cold", ids: tuple[str, ...] = ("1",), uri: str = "a") -> Shown:
        self.offers.shown(ids, suggestion(text, at, by, uri), "python", 12.5)
        event = self.events[-1]
        assert isinstance(event, Shown)
        return event


def suggestion(text: str, at: int = 0, by: Any = "cold", uri: str = "a") -> Suggestion:
    return Suggestion(uri, 1, text, at, at, by)


def test_an_event_holds_numbers_the_language_and_how_it_came_about_and_no_text() -> None:
    noted = Noted()
    shown = noted.shown("secret_name(value)")
    assert (shown.language, shown.answered_by, shown.latency_ms, shown.n_chars) == ("python", "cold", 12.5, 18)
    assert shown.hour == int(time.time() // 3600)
    assert {field.name for field in fields(Shown)} == {
        *("key", "offer", "hour", "language", "answered_by", "latency_ms", "n_chars", "remote")
    }


def test_a_suggestion_that_is_typed_along_stays_one_offer() -> None:
    noted = Noted()
    first = noted.shown("turn left", 10)
    second = noted.shown("rn left", 12, "typed-through", ("2",))
    longer = noted.shown("n left + right", 13, "extended", ("3",))
    assert first.offer == first.key
    assert second.offer == longer.offer == first.key
    assert len({first.key, second.key, longer.key}) == 3


@pytest.mark.parametrize("text, at", [("other", 12), ("turn", 9), ("next", 19)])
def test_another_text_another_place_or_the_end_of_the_text_begins_an_offer(text: str, at: int) -> None:
    noted = Noted()
    noted.shown("turn left", 10)
    another = noted.shown(text, at)
    assert another.offer == another.key


def test_what_is_shown_after_all_was_accepted_begins_an_offer_even_at_the_same_place() -> None:
    noted = Noted()
    noted.shown("turn left", ids=("1",))
    noted.offers.accepted("1", suggestion("turn left"), 0, 9)
    again = noted.shown("turn left", ids=("2",))
    assert again.offer == again.key


def test_documents_have_offers_of_their_own() -> None:
    noted = Noted()
    noted.shown("turn left", uri="a")
    other = noted.shown("turn left", uri="b")
    assert other.offer == other.key


def test_what_is_accepted_of_a_suggestion_typed_along_counts_for_the_offer() -> None:
    noted = Noted()
    first = noted.shown("turn left", 10, ids=("1",))
    noted.shown("rn left", 12, "typed-through", ids=("2",))
    noted.offers.accepted("2", suggestion("rn left", 12), 0, 2)
    noted.offers.accepted("2", suggestion("rn left", 12), 2, 7)
    assert noted.events[-2:] == [Accepted(first.key, 2, Unit.WORD), Accepted(first.key, 5, Unit.WHOLE)]


def test_an_alternative_belongs_to_the_offer_that_it_was_shown_in() -> None:
    noted = Noted()
    first = noted.shown("turn left", ids=("3", "1", "2"))
    noted.offers.accepted("2", suggestion("go right"), 0, 8)
    assert noted.events[-1] == Accepted(first.key, 8, Unit.WHOLE)


def test_an_id_that_was_never_noted_is_ignored() -> None:
    noted = Noted()
    noted.offers.accepted("7", suggestion("turn left"), 0, 9)
    assert noted.events == []


def test_a_suggestion_that_grows_after_the_answer_is_the_same_offer() -> None:
    noted = Noted()
    first = noted.shown("turn", ids=("1",))
    noted.offers.extended("2", suggestion("turn left"), "python")
    assert noted.events[-1] == Grew(first.key, 9)
    noted.offers.accepted("2", suggestion("turn left"), 0, 9)
    assert noted.events[-1] == Accepted(first.key, 9, Unit.WHOLE)


def test_a_block_that_nobody_asked_for_has_no_latency() -> None:
    noted = Noted()
    noted.offers.extended("1", suggestion("if x:\n    pass", by="background"), "python")
    (shown,) = noted.events
    assert isinstance(shown, Shown) and shown.latency_ms is None


def test_a_language_that_is_no_name_is_not_noted_as_it_is() -> None:
    noted = Noted()
    noted.offers.shown(["1"], suggestion("x"), "password = 'hunter2'", 1.0)
    (shown,) = noted.events
    assert isinstance(shown, Shown) and shown.language == "other"


@pytest.mark.parametrize(
    "text, n_chars, unit",
    [
        ("turn left", 9, Unit.WHOLE),
        ("turn left", 4, Unit.WORD),
        ("a\nb\nc", 1, Unit.LINE),
        ("a\nb\nc", 2, Unit.LINE),
        ("ab\nc", 1, Unit.WORD),
        ("a\nb", 3, Unit.WHOLE),
    ],
)
def test_unit_follows_from_where_the_accepted_part_ends(text: str, n_chars: int, unit: Unit) -> None:
    assert unit_of(text, n_chars) is unit
