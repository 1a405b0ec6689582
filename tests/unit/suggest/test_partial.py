"""What of an unfinished output may be shown: up to the end of a line, a word, or before a string that goes on."""

from __future__ import annotations

import pytest

from completer.suggest.partial import clean_partial
from completer.syntax.cursor import cursor_context
from tests.by_hand import snap


def cleaned(raw: str, marked: str = "snapshot = 1\ny = ‸", *, whole_words: bool = False) -> str:
    snapshot = snap(marked)
    return clean_partial(raw, snapshot, cursor_context(snapshot), whole_words=whole_words)


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        ("foo(bar", "foo("),
        ("foo(bar)", "foo(bar)"),
        ("snapshot", "snapshot"),  # the whole word is in the document
        ("snap", ""),
        ("x.snapshot", "x.snapshot"),
        ("x + ", "x"),
        ("x + zzz", "x"),
        ("+ zzz", ""),
        ("x -> zzz", "x"),
        ("x++", "x++"),
        ("Vec<x>", "Vec<x>"),
        ('f("ab', "f("),
        ('f("ab"', 'f("ab"'),
        ("f('a', 'b", "f('a',"),
        ("", ""),
        ("  ", ""),
        ("zzz", ""),
        ("snapshot<|fim_", "snapshot"),
    ],
)
def test_partial_output_ends_at_a_clean_boundary(raw: str, kept: str) -> None:
    assert cleaned(raw) == kept


@pytest.mark.parametrize(("raw", "kept"), [("a\nb\ncou", "a\nb\n"), ("a\nb\n", "a\nb\n"), ("\ncou", ""), ("a  \ncou", "a\n")])
def test_of_several_lines_the_last_one_is_dropped(raw: str, kept: str) -> None:
    assert cleaned(raw) == kept


def test_a_word_that_began_before_the_cursor_counts_as_a_whole() -> None:
    assert cleaned("shot", "snapshot = 1\ny = snap‸") == "shot"
    assert cleaned("snapshot", "snapshot = 1\ny = my‸") == ""


def test_whole_words_are_kept_if_none_goes_on() -> None:
    assert cleaned("zzz", whole_words=True) == "zzz"
    assert cleaned("zzz +", whole_words=True) == "zzz +"
    assert cleaned('f("ab', whole_words=True) == "f("


def test_a_string_that_began_before_the_cursor_may_stay_open() -> None:
    assert cleaned("a snapshot", "snapshot = 'this is ‸") == "a snapshot"


def test_a_comment_may_go_on() -> None:
    assert cleaned("snapshot", "snapshot = 1  # the ‸") == "snapshot"
