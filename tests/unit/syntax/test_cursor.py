"""Where the cursor is: what kind of place, which brackets are owed or wanted, whether anything should be suggested."""

from __future__ import annotations

import pytest

from completer.syntax.brackets import closer_column
from completer.syntax.columns import TAB_COLUMNS, columns, indent_unit
from completer.syntax.cursor import CursorContext, cursor_context, line_above, lines_below, opens_block, without_word
from completer.syntax.languages import language
from completer.syntax.tree import SyntaxTree
from completer.types import Snapshot
from tests.by_hand import snap


def at(marked: str, language_id: str = "python") -> CursorContext:
    snapshot = snap(marked, language_id)
    return cursor_context(snapshot, SyntaxTree(language_id, snapshot.text))


@pytest.mark.parametrize(
    ("marked", "language_id", "kind"),
    [
        ("if a:\n    ‸\n", "python", "body"),
        ("if a:  # b\n    ‸\n", "python", "body"),
        ("if a:\n    ‸\nelse:\n", "python", "body"),
        ("x = {'a': ‸\n", "python", "expression"),
        ("x = f(\n    ‸\n)\n", "python", "arguments"),
        ("x = f(a, b‸)\n", "python", "arguments"),
        ("x = f(a.b‸)\n", "python", "member"),
        ("a = 1\n‸\nb = 2\n", "python", "statement"),
        ("prin‸\n", "python", "name"),
        ("return a + ‸\n", "python", "expression"),
        ("from os import ‸\n", "python", "import"),
        ("def f():\n    '''‸'''\n", "python", "docstring"),
        ("x = '''‸'''\n", "python", "string"),
        ('"""‸', "python", "docstring"),
        ("#‸\n", "python", "comment"),
        ("func f() {\n\t‸\n}\n", "go", "body"),
        ("x := `‸`\n", "go", "string"),
        ("import { a } ‸\n", "typescript", "import"),
        ("a?.‸\n", "typescript", "member"),
        ("/** ‸ */\n", "java", "comment"),
        ("a::‸\n", "cpp", "member"),
        ("#include ‸\n", "c", "import"),
        ("for i in 1 2; do\n  ‸\ndone\n", "shellscript", "body"),
        ("local function f()\n  ‸\nend\n", "lua", "body"),
        ("list.each do |x|\n  ‸\nend\n", "ruby", "body"),
        ("<ul>\n  ‸\n</ul>\n", "html", "body"),
        ("a:\n  ‸\n", "yaml", "body"),
        ("a: ‸\n", "yaml", "expression"),
        ("a {\n  ‸\n}\n", "css", "body"),
        ('{\n  "a‸"\n}\n', "json", "string"),
        ("Some text ‸\n", "markdown", "expression"),
    ],
)
def test_the_kind_of_place(marked: str, language_id: str, kind: str) -> None:
    assert at(marked, language_id).kind == kind


@pytest.mark.parametrize(
    ("marked", "language_id", "multiline"),
    [
        ("def f():\n    ‸\n", "python", True),
        ("def f():\n    '''‸'''\n", "python", True),
        ("# print all values\n‸\n", "python", True),
        ("a = 1  # one\n‸\n", "python", False),
        ("# the table\n‸\na = 1\n", "python", True),
        ("    # two\n    ‸\n    a = 1\n", "python", False),  # the comment is that of the line below
        ("a = 1\n‸\n", "python", False),
        ("x = ‸\n", "python", False),
        ("// print\n‸\n", "javascript", True),
    ],
)
def test_a_block_may_be_suggested_in_empty_bodies_docstrings_and_below_comments(
    marked: str, language_id: str, multiline: bool
) -> None:
    assert at(marked, language_id).multiline is multiline


@pytest.mark.parametrize(
    ("marked", "language_id", "owed"),
    [
        ("f(‸\n", "python", "("),
        ("f(a, [‸\n", "python", "[("),
        ("f(a, [‸)\n", "python", "["),
        ("f(‸)\n", "python", ""),
        ("f(\n    a,\n    ‸\n)\n", "python", ""),
        ("x = '(‸'\n", "python", ""),  # in a string nothing is owed
        ("# (‸\n", "python", ""),
        ("if (a) {\n  g(‸;\n}\n", "javascript", "("),
        ("if (a) {\n  g({ b: ‸\n}\n", "javascript", "({"),  # the inner one is closed
        ("a(‸\n", "markdown", ""),
    ],
)
def test_brackets_that_nothing_after_the_cursor_closes_are_owed(marked: str, language_id: str, owed: str) -> None:
    assert at(marked, language_id).owed == owed


@pytest.mark.parametrize(
    ("marked", "language_id", "wanted"),
    [
        ("if (a) ‸\n  b();\n}\n", "javascript", "}"),
        ("x = ‸\n  1,\n]\n", "javascript", "]"),
        ("f(function() ‸\n  b();\n});\n", "javascript", "}"),
        ("call‸\n  a,\n  [b],\n)\n", "python", ")"),
        ("if (a) {‸\n  b();\n}\n", "javascript", ""),
        ("x = '‸\n]\n", "python", ""),
        ("a = 1‸\n", "python", ""),
    ],
)
def test_closing_brackets_that_nothing_opens_are_wanted(marked: str, language_id: str, wanted: str) -> None:
    assert at(marked, language_id).wanted == wanted


@pytest.mark.parametrize(
    ("marked", "language_id", "delimiter"),
    [
        ('def f():\n    ‸\n    Returns a.\n    """\n', "python", '"""'),
        ("x = ‸\n  a\n`;\n", "javascript", ""),  # a quote of one character is found too often
        ("‸\n * a\n */\nint b;\n", "c", "/*"),
        ("‸\n/* a */\n", "c", ""),
        ("‸\n  a\n]]\n", "lua", "--[["),
        ('x = ‸ + 1\n"""\n', "python", ""),
        ('def f():\n    """a"""\n    ‸\n', "python", ""),
    ],
)
def test_a_literal_that_ends_below_and_that_nothing_opens_is_wanted(marked: str, language_id: str, delimiter: str) -> None:
    assert at(marked, language_id).wanted_literal == delimiter


@pytest.mark.parametrize(
    ("marked", "language_id", "suppress"),
    [
        ("to‸tal\n", "python", "word"),
        ("to‸(a)\n", "python", "rest"),
        ("‸total\n", "python", "rest"),
        ("x = ‸\n", "python", ""),
        ("f(a‸)\n", "python", ""),
        ("f('‸')  # a\n", "python", ""),
        ("a‸:  \n", "python", ""),
        ("foo(a => {‸});\n", "javascript", ""),
        ("/* a ‸ */\n", "javascript", ""),
        ("<p>‸</p>\n", "html", ""),
        ("x = ‸, b\n", "python", "rest"),
        ("x = '‸' + b  # a\n", "python", "rest"),
        ("x = '‸  # a\n", "python", "rest"),
        ("# a ‸ # b\n", "python", "rest"),
        ('f("‸"); // a\n', "javascript", ""),
        ("ü‸ä\n", "python", "word"),
        ("a_‸1\n", "python", "word"),
    ],
)
def test_nothing_is_suggested_inside_a_word_nor_before_code(marked: str, language_id: str, suppress: str) -> None:
    assert at(marked, language_id).suppress == suppress


@pytest.mark.parametrize(
    ("marked", "language_id", "indent", "block_indent"),
    [
        ("def f():\n    ‸\n", "python", 4, 1),
        ("class A:\n    def f():\n        ‸\n", "python", 8, 5),
        ("class A:\n  def f():\n    ‸\n", "python", 4, 3),
        ("class A:\n    a = 1\n    ‸\n", "python", 4, 4),
        ("a = 1\n    ‸\n", "python", 0, 4),
        ("x = f(\n    ‸\n)\n", "python", 4, None),
        ("x = ‸\n", "python", 0, None),
        ("func f() {\n\t‸\n}\n", "go", TAB_COLUMNS, 1),
        ("func f() {\n\tif a {\n\t\t‸\n", "go", 2 * TAB_COLUMNS, TAB_COLUMNS),
        ("function f() {\n  ‸\n", "javascript", 2, 0),  # the bracket is owed: the line that closes it belongs to the block
        ("def f\n  ‸\nend\n", "ruby", 2, 0),
    ],
)
def test_the_column_of_a_new_line_and_of_the_block(marked: str, language_id: str, indent: int, block_indent: int | None) -> None:
    cursor = at(marked, language_id)
    assert (cursor.indent, cursor.block_indent) == (indent, block_indent)


@pytest.mark.parametrize(
    ("marked", "language_id", "inside", "delimiter", "closed"),
    [
        ("x = 'a‸'\n", "python", "string", "'", True),
        ("x = 'a‸\n", "python", "string", "'", False),
        ('"""a‸\nb"""\n', "python", "string", '"""', True),
        ('"""a‸\nb\n', "python", "string", '"""', False),
        ('"""a‸\n\ndef f():\n    """b"""\n', "python", "string", '"""', False),
        ("/* a‸ */\n", "c", "block_comment", "/*", True),
        ("/* a‸\nint b; /* c */\n", "c", "block_comment", "/*", False),
        ("[[a‸]]\n", "lua", "string", "[[", True),
        ("a‸\n", "python", "code", "", False),
    ],
)
def test_the_literal_around_the_cursor_and_whether_it_ends(
    marked: str, language_id: str, inside: str, delimiter: str, closed: bool
) -> None:
    cursor = at(marked, language_id)
    assert (cursor.inside, cursor.delimiter, cursor.closed) == (inside, delimiter, closed)


def test_the_lexing_resumes_at_the_last_literal_or_bracket() -> None:
    marked = "x = f('a', ‸\n"
    cursor = at(marked)
    assert (cursor.lex_start_cp, cursor.stack) == (marked.index("'a'"), "(")


def test_in_a_broken_tree_the_brackets_above_still_count() -> None:
    marked = "class A {\n  void f( {\n    int x = ;\n  ]\n  void g() {\n    h(‸\n  }\n}\n"
    cursor = at(marked, "java")
    assert cursor.kind == "arguments"
    assert cursor.owed[:1] == "("


@pytest.mark.parametrize("marked", ["f(‸", "x = {\n    'a': [‸\n", "def f(:\n    return (‸\n"])
def test_the_tree_changes_nothing_but_the_scopes(marked: str) -> None:
    with_tree, without = at(marked), cursor_context(snap(marked))
    assert {name: getattr(with_tree, name) for name in CursorContext.__slots__ if name != "scopes"} == {
        name: getattr(without, name) for name in CursorContext.__slots__ if name != "scopes"
    }


LONG = "def g():\n    return (1, [2])\n\n\n" * 2_000  # longer than what is read on one side


@pytest.mark.parametrize(("line", "owed"), [("x = f(‸\n", "("), ("x = f(‸)\n", "")])
def test_a_long_suffix_is_read_up_to_a_definition_at_the_margin(line: str, owed: str) -> None:
    assert at(line + LONG).owed == owed


def test_after_a_long_suffix_without_a_margin_nothing_is_owed() -> None:
    cursor = at("x = f(‸\n" + "    1,\n" * 10_000)
    assert (cursor.owed, cursor.wanted) == ("", "")


def test_a_long_prefix_is_lexed_from_a_definition_at_the_margin() -> None:
    snapshot = snap(LONG + "x = f(a, ‸\n")
    cursor = cursor_context(snapshot)
    assert (cursor.kind, cursor.owed, cursor.stack) == ("arguments", "(", "")
    assert cursor.lex_start_cp == snapshot.text.rindex("f(") + 1


@pytest.mark.parametrize(
    ("marked", "language_id", "column"),
    [
        ("  x = f(\n    a,\n‸\n", "python", 2),
        ("if (a) {\n  if (b) {\n    c();\n‸\n}\n", "javascript", 2),
        ("  if (a\n      && b) {\n    c();\n‸\n", "c", 2),  # the head of the block goes on over two lines
        ("void f(int a,\n       int b) {\n  c();\n‸\n", "c", 0),
        ("void f(int a,\n       int b)\n{\n  c();\n‸\n", "c", 0),
        ("f(a, () => {\n  b();\n}, (c,\n    d) => {\n  e();\n‸\n)\n", "javascript", 0),
        ("a = 1\n‸\n", "python", None),
        ("f(a)\n‸\n", "python", None),
        ("x = [\n" + "    1,\n" * 2_000 + "‸\n", "python", None),  # too far above
    ],
)
def test_a_closer_belongs_at_the_column_of_the_line_that_opened(marked: str, language_id: str, column: int | None) -> None:
    snapshot = snap(marked, language_id)
    cursor = cursor_context(snapshot)
    assert closer_column(snapshot, cursor.language, cursor.owed) == column


@pytest.mark.parametrize(("line", "width"), [("  a", 2), ("\ta", 4), ("\t  a  b", 6), ("", 0), ("a\t", 0), ("   ", 3)])
def test_columns_count_a_tab_as_four(line: str, width: int) -> None:
    assert columns(line) == width


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("a:\n  b\n", 2),
        ("a:\n    b\n", 4),
        ("a:\n        b\n", 8),
        ("a:\n\tb\n", 4),
        ("a\n", 4),
        ("/*\n  * a\n */\n{\n    b\n", 4),
    ],
)
def test_the_unit_of_indentation_is_that_of_the_first_indented_line(text: str, unit: int) -> None:
    assert indent_unit(text, language("python")) == unit


@pytest.mark.parametrize(
    ("line", "language_id", "opens"),
    [
        ("if a:", "python", True),
        ("if a:  ", "python", True),
        ("a = b", "python", False),
        ("if (a) {", "c", True),
        ("foo do |x|", "ruby", True),
        ("then", "shellscript", True),
        ("begin", "made-up", False),
        ("begin {", "made-up", True),
    ],
)
def test_lines_that_open_a_block(line: str, language_id: str, opens: bool) -> None:
    assert opens_block(line, language(language_id)) is opens


@pytest.mark.parametrize(("line", "rest"), [("a.foo_1", "a."), ("foo", ""), ("a.", "a."), ("", "")])
def test_a_line_without_its_last_word(line: str, rest: str) -> None:
    assert without_word(line) == rest


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_the_lines_around_the_cursor_that_are_not_blank(ending: str) -> None:
    marked = ending.join(["a", " b", "", "x‸y", " ", "c", " ", "d", "e"])
    cursor_cp = marked.index("‸")
    snapshot = Snapshot("file:///a", 1, "python", marked.replace("‸", ""), cursor_cp)
    assert line_above(snapshot) == " b"
    assert lines_below(snapshot, 2) == ["c", "d"]
    assert line_above(snap("‸a")) == ""


@pytest.mark.parametrize(("language_id", "unit"), [("python", 4), ("shellscript", 2), ("typescript", 2), ("go", TAB_COLUMNS)])
def test_without_an_indented_line_the_unit_is_the_custom_of_the_language(language_id: str, unit: int) -> None:
    assert indent_unit("a\n", language(language_id)) == unit


@pytest.mark.parametrize(
    ("marked", "kind", "column"),
    [
        ('def f():\n    """Say what."""\n    ‸\n\ndef g():\n    pass\n', "body", 4),
        ('class A:\n    def f():\n        r"""Say\n\n        what."""\n        ‸\n', "body", 8),
        ('def f():\n    """Say what."""\n    ‸\n    return a\n', "statement", 4),
        ('def f():\n    a = """Say what."""\n    ‸\n', "statement", 4),
        ('"""Say what."""\n‸\n', "statement", 0),
    ],
)
def test_a_docstring_leaves_a_body_empty(marked: str, kind: str, column: int) -> None:
    cursor = at(marked)
    assert (cursor.kind, cursor.indent, cursor.multiline) == (kind, column, kind == "body")
