"""What places agree on."""

import pytest

from completer.prompt.memory.index import Place
from completer.prompt.memory.recall import Line, recall

LINE = Line("x = f(")


def test_the_longest_match_counts() -> None:
    others = [Place(0, 20, b"(a)"), Place(1, 30, b"(b)"), Place(2, 20, b"(a)")]
    found = recall((), others, LINE)
    assert found is not None and (found.text, found.matched) == (b"(b)\n", 30)


@pytest.mark.parametrize(
    ("continuations", "text"), [(("a", "a", "b"), b"a\n"), (("a", "b", "c"), None), ((), None), (("", ""), None)]
)
def test_places_that_do_not_agree_say_nothing(continuations: tuple[str, ...], text: bytes | None) -> None:
    found = recall((), [Place(n, 20, one.encode()) for n, one in enumerate(continuations)], LINE)
    assert (found.text if found else None) == text


def test_a_place_in_the_own_document_counts_twice() -> None:
    found = recall([Place(0, 20, b"own")], [Place(0, 20, b"other"), Place(0, 20, b"another")], LINE)
    assert found is not None and found.text == b"own\n"


@pytest.mark.parametrize(
    ("continuation", "rest", "text"),
    [(b"key)", ")", b"key"), (b"key)", "  ", b"key)\n"), (b"key", ")", None), (b")", ")", None), (b"a, b);", ");", b"a, b")],
)
def test_what_follows_the_cursor_already_is_not_said_again(continuation: bytes, rest: str, text: bytes | None) -> None:
    found = recall((), [Place(0, 20, continuation)], Line("x = f(", rest))
    assert (found.text if found else None) == text


def test_a_longer_match_is_trusted_more() -> None:
    odds = [recall((), [Place(0, matched, b"x1")], LINE).log_odds for matched in (16, 24, 48, 200)]  # type: ignore[union-attr]
    assert odds == sorted(odds) and odds[0] < odds[-1]


def test_lines_of_data_are_no_evidence() -> None:
    assert recall((), [Place(0, 20, b"0, " * 1000)], LINE) is None


def test_at_the_start_of_a_line_the_first_token_is_trusted_less_and_white_space_may_come_first() -> None:
    places = [Place(0, 60, b"return x")]
    inside, indented, blank = (recall((), places, Line(before)) for before in ("x", "    ", ""))
    assert inside is not None and indented is not None and blank is not None
    assert inside.first_log_odds == inside.log_odds == indented.log_odds
    assert indented.first_log_odds is not None and indented.first_log_odds < indented.log_odds
    assert [one.may_indent for one in (inside, indented, blank)] == [False, False, True]


def test_a_lone_surrogate_after_the_cursor_disturbs_nothing() -> None:
    found = recall((), [Place(0, 20, b"key, ?)")], Line("f(", ", \ud800)"))
    assert found is not None and found.text == b"key"
