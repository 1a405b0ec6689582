"""Where a suggestion ends: the rule of a request, and the end of a block while it is generated."""

from __future__ import annotations

from dataclasses import replace

import pytest

from completer.config import Settings
from completer.suggest.block_end import BLOCK_TOKENS, MULTILINE_TOKENS, ends_block, sibling_stop, stop_rule
from completer.suggest.confidence import DECODED_ON
from completer.syntax.cursor import cursor_context
from completer.syntax.tree import SyntaxTree
from completer.types import StopRule
from tests.by_hand import snap

SETTINGS = Settings(max_tokens=40, confidence=0.3)
END = frozenset({7})


def rule(marked: str, settings: Settings = SETTINGS, *, asked_for: bool = False) -> StopRule:
    snapshot = snap(marked)
    return stop_rule(settings, END, cursor_context(snapshot), snapshot, asked_for)


def test_in_a_line_a_suggestion_is_a_line() -> None:
    found = rule("x = ‸\ny = 2\n")
    assert (found.single_line, found.max_tokens, found.block_indent, found.end_ids) == (True, 40, None, END)


def test_in_an_empty_body_it_is_a_block_and_may_be_longer() -> None:
    found = rule("def f():\n    ‸\n")
    assert (found.single_line, found.max_tokens, found.block_indent) == (False, 40 * MULTILINE_TOKENS, 1)


@pytest.mark.parametrize(
    ("marked", "ends"),
    [
        ("def f():\n    a = 1\n    ‸\n    return a\n", False),
        ("def f():\n    a = 1\n    ‸\n\n\nx = 1\n", True),
        ("def f():\n    a = 1\n    ‸", True),
    ],
)
def test_a_block_ends_where_nothing_of_it_follows(marked: str, ends: bool) -> None:
    snapshot = snap(marked)
    assert ends_block(snapshot, cursor_context(snapshot)) is ends


def test_a_user_who_asks_on_a_blank_line_of_a_block_gets_several_lines() -> None:
    blank = "def f():\n    a = 1\n    ‸\n    return a\n"
    assert rule(blank).single_line
    assert (rule(blank, asked_for=True).single_line, rule(blank, asked_for=True).block_indent) == (False, 4)
    assert rule(blank, replace(SETTINGS, multiline="never"), asked_for=True).single_line
    assert rule(blank, asked_for=True).max_tokens == int(40 * BLOCK_TOKENS)


def test_the_setting_decides_against_the_syntax() -> None:
    assert rule("def f():\n    ‸\n", replace(SETTINGS, multiline="never")).single_line
    assert not rule("x = ‸\n", replace(SETTINGS, multiline="always")).single_line


def test_decoding_goes_on_a_little_below_what_is_shown_and_to_the_end_for_a_user_who_asks() -> None:
    assert rule("x = ‸\n").confidence == pytest.approx(0.3 * DECODED_ON)
    assert rule("x = ‸\n", asked_for=True).confidence == 0.0


@pytest.mark.parametrize(
    ("marked", "line"),
    [
        ("‸\n\n  }\n  return b\n", "return b"),  # a bracket alone is found too often
        ("‸rest of the line\nnext\n", "next"),
        ("‸", ""),
        ("‸" + "\n" * 50 + "too far\n", ""),
    ],
)
def test_a_block_ends_before_the_next_line_that_says_something(marked: str, line: str) -> None:
    assert rule(marked).suffix_line == line


@pytest.mark.parametrize(
    ("marked", "language_id", "generated", "kept"),
    [
        # The bracket of the block closes.
        ("f(‸)\n", "python", "a, b) + c", "a, b"),
        ("function f() {\n  ‸\n}\n", "javascript", "g({ a: [1] });\n}\nh()", "g({ a: [1] });"),
        ("function f() {\n  ‸\n", "javascript", "g();\n}; // f\nh()", "g();\n}; // f"),  # owed: its line belongs to the block
        ("function f() {\n  ‸\n}\n", "javascript", "g('}'); // }\n}", "g('}'); // }"),
        # A line is indented less.
        ("def f():\n    ‸\n", "python", "a = 1\n    b = 2\n\nc = 3\n", "a = 1\n    b = 2"),
        ("def f\n  ‸\n", "ruby", "a\n  b\nend\nc\n", "a\n  b\nend"),
        ("if a; then\n  ‸\n", "shellscript", "b\nfi\nc\n", "b\nfi"),
        ("    a = 1\n    # all\n    ‸\n", "python", "b = 2\n  c = 3", "b = 2"),
        # The tree has a next sibling.
        ("# one\n‸\n", "python", "while a:\n    b()\nc()\n", "while a:\n    b()"),
        ("// one\n‸\n", "javascript", "if (a) {\n  b();\n}\nc();\n", "if (a) {\n  b();\n}"),
    ],
)
def test_a_block_ends_where_its_bracket_its_indentation_or_its_statement_does(
    marked: str, language_id: str, generated: str, kept: str
) -> None:
    snapshot = snap(marked, language_id)
    tree = SyntaxTree(language_id, snapshot.text)
    stop = sibling_stop(snapshot, cursor_context(snapshot, tree), generated, tree)
    assert stop is not None and generated[:stop] == kept


@pytest.mark.parametrize(
    ("marked", "language_id", "generated"),
    [
        ("def f():\n    ‸\n", "python", "if a:\n        b = 2\n\n    return b"),
        ("function f() {\n  ‸\n}\n", "javascript", "if (a) {\n    b();\n  } else {\n"),
        ("# one\n‸\n", "python", "if a:\n    b()\nelse:\n    c()"),
        ("f(‸\n", "python", "a, (b)"),
        ("x = ‸\n", "python", ""),
    ],
)
def test_a_block_that_is_not_over_goes_on(marked: str, language_id: str, generated: str) -> None:
    snapshot = snap(marked, language_id)
    tree = SyntaxTree(language_id, snapshot.text)
    assert sibling_stop(snapshot, cursor_context(snapshot, tree), generated, tree) is None


def test_without_a_tree_a_statement_ends_by_brackets_and_indentation_only() -> None:
    snapshot = snap("# one\n‸\n")
    assert sibling_stop(snapshot, cursor_context(snapshot), "a()\nb()\n") is None
