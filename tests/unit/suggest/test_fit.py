"""A suggestion fits: brackets and literals stay balanced, and the rest of the line is not said twice."""

from __future__ import annotations

import pytest

from completer.suggest.fit import Fitted, fit, joins
from completer.syntax.cursor import cursor_context
from completer.syntax.tree import SyntaxTree
from tests.by_hand import snap


def fitted(marked: str, text: str, language_id: str = "python", *, partial: bool = False) -> Fitted | None:
    snapshot = snap(marked, language_id)
    cursor = cursor_context(snapshot, SyntaxTree(language_id, snapshot.text))
    return fit(text, snapshot, cursor, partial=partial)


@pytest.mark.parametrize(
    ("marked", "text", "kept"),
    [
        ("x = ‸\n", "f(a)[0]", "f(a)[0]"),
        ("x = ‸\n", "a)", "a"),
        ("x = ‸\n", ")", None),
        ("x = f(‸\n", "a)", "a)"),  # the document owes it
        ("x = f(‸)\n", "a, (b)", "a, (b)"),
        ("x = f(‸\n", "a)) + b", "a)"),
        ("x = ‸\n", "'a'", "'a'"),
        ("x = '‸'\n", "a", "a"),
        ("x = '‸\n", "a'", "a'"),
        ("x = 1  # ‸\n", "a (b", "a (b"),
        ("x = ‸\n", "1  # (", "1  # ("),
    ],
)
def test_as_much_is_kept_as_leaves_the_document_balanced(marked: str, text: str, kept: str | None) -> None:
    found = fitted(marked, text)
    assert (found.text if found else None) == kept


@pytest.mark.parametrize(
    ("marked", "text", "closed"),
    [
        ("x = ‸\n", "f(a", "f(a)"),
        ("x = ‸\n", "f(a, [b,", "f(a, [b])"),
        ("x = ‸\n", "{ a: b", "{ a: b }"),
        ("x = ‸\n", "f(", "f"),  # nothing is in it
    ],
)
def test_open_brackets_of_its_own_are_closed(marked: str, text: str, closed: str | None) -> None:
    found = fitted(marked, text, "javascript")
    assert (found.text if found else None) == closed


def test_a_block_of_its_own_is_closed_at_its_own_column() -> None:
    found = fitted("function f() {\n  ‸\n}\n", "if (a) {\n    b();", "javascript")
    assert found == Fitted("if (a) {\n    b();\n  }")


@pytest.mark.parametrize("text", ["f(a", "f(a, [b,", "if (a) {"])
def test_of_a_partial_text_nothing_is_closed(text: str) -> None:
    assert fitted("x = ‸\n", text, "javascript", partial=True) == Fitted(text)


def test_even_a_partial_text_closes_nothing_that_it_did_not_open() -> None:
    assert fitted("x = ‸\n", "a) + (b", partial=True) == Fitted("a")


@pytest.mark.parametrize(
    ("marked", "text", "kept", "bridged"),
    [
        ("print(‸)\n", "value)", "value", True),
        ("foo(‸);\n", "a, b);", "a, b", True),
        ("foo(‸);\n", "bar(b)", "bar(b)", False),
        ("x = [‸]\n", "1, 2]", "1, 2", True),
        ("x = '‸'\n", "a'", "a", True),
        ("x = ‸ + total\n", "count + total", "count", True),
        ("x = ‸ + total\n", "count", "count", False),
        ("f(‸) {\n", "a) {\n  b();\n}", "a", True),
    ],
)
def test_what_the_rest_of_the_line_says_is_not_said_twice(marked: str, text: str, kept: str, bridged: bool) -> None:
    found = fitted(marked, text, "javascript")
    assert found is not None and (found.text, found.replaces_rest, found.bridged) == (kept, False, bridged)


def test_a_text_that_holds_the_rest_of_the_line_in_order_may_take_its_place() -> None:
    assert fitted("x = f(‸)\n", "a) + c") == Fitted("a) + c", replaces_rest=True, bridged=True)
    assert fitted("x = f(‸) + d\n", "a) - c") != Fitted("a) - c", replaces_rest=True, bridged=True)


@pytest.mark.parametrize(("text", "kept"), [(")) {", ")) {"), (") {", ")"), (" {", None)])
def test_a_block_below_is_opened_only_when_the_line_owes_no_bracket(text: str, kept: str | None) -> None:
    found = fitted("if (isReady(state‸\n  start();\n}\n", text, "javascript")
    assert (found.text if found else None) == kept


@pytest.mark.parametrize(
    ("marked", "text", "kept"),
    [
        ("if (a) ‸\n  b();\n}\n", "{", "{"),  # the lines below close it
        ("x = ‸\n  1,\n]\n", "[", "["),
        ("x = ‸\n  1,\n]\n", "f(", "f"),
        ("‸\n  text\n*/\n", "/* a", "/* a"),
    ],
)
def test_what_the_lines_below_close_may_be_opened(marked: str, text: str, kept: str | None) -> None:
    found = fitted(marked, text, "javascript")
    assert (found.text if found else None) == kept


def test_several_lines_end_before_half_a_statement() -> None:
    found = fitted("def f():\n    ‸\n", "a = 1\n    if b)")
    assert found is not None and found.text.rstrip() == "a = 1\n    if b"
    found = fitted("def f():\n    ‸\n", "a = 1\n    if (b:")
    assert found is not None and found.text.rstrip() == "a = 1"


def test_before_code_on_the_same_line_only_the_first_line_counts() -> None:
    found = fitted("x = ‸ + y\n", "a\nb = 2")
    assert found is not None and found.text == "a"


def test_a_block_before_a_closing_bracket_moves_the_bracket_to_its_own_line() -> None:
    found = fitted("  f(() => {‸});\n", "\n    a();\n", "javascript")
    assert found == Fitted("\n    a();\n  ")


@pytest.mark.parametrize(
    ("behind", "rest", "same"), [(" + a", "+ b", True), ("a", "b", False), ("a", "", False), ("", "a", False)]
)
def test_texts_join_where_they_go_on_with_the_same_character(behind: str, rest: str, same: bool) -> None:
    assert joins(behind, rest) is same
