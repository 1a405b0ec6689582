"""The first line starts at the cursor's column, and all lines are indented with what the file is indented with."""

from __future__ import annotations

import pytest

from completer.suggest.indentation import indented
from completer.syntax.cursor import cursor_context
from tests.by_hand import snap


def shown(marked: str, text: str, language_id: str = "python") -> str:
    snapshot = snap(marked, language_id)
    return indented(text, snapshot, cursor_context(snapshot))


@pytest.mark.parametrize(
    ("marked", "text", "expected"),
    [
        ("def f():\n    ‸\n", "    return 1", "return 1"),  # the white space is there already
        ("def f():\n‸\n", "    return 1", "    return 1"),
        ("def f():\n‸\n", "return 1", "return 1"),  # a column is never made up
        ("def f():\n  ‸\n\n    a = 1\n", "    return 1", "  return 1"),
        ("a = 1\n‸\n", "        b = 2", "b = 2"),
        ("x = ‸\n", "  1", "1"),
        ("x =‸\n", "  1", "  1"),
        ("x = '‸'\n", "  a", "  a"),  # in a string white space is text
    ],
)
def test_the_first_line_gets_no_more_white_space_than_belongs_there(marked: str, text: str, expected: str) -> None:
    assert shown(marked, text) == expected


@pytest.mark.parametrize(
    ("marked", "text", "language_id", "expected"),
    [
        ("f() {\n  ‸\n}\n", "  for a; do\n      b\n    done", "shellscript", "for a; do\n    b\n  done"),
        ("def f():\n    ‸\n", "    if a:\n            b\n        return a", "python", "if a:\n        b\n    return a"),
        ("def f():\n    ‸\n", "    a = 1\nb = 2", "python", "a = 1\nb = 2"),  # what is outside of the block stays
        ("class A:\n    def f():\n    ‸\n", "    a = 1", "python", "    a = 1"),  # no column for a body
        ("func f() {\n\t‸\n}\n", "\tif a {\n\t\t\tb()\n\t\t}", "go", "if a {\n\t\tb()\n\t}"),
    ],
)
def test_a_body_begins_at_the_column_where_white_space_is_already(
    marked: str, text: str, language_id: str, expected: str
) -> None:
    assert shown(marked, text, language_id) == expected


def test_a_file_without_examples_is_indented_by_the_custom_of_its_language() -> None:
    assert shown("func f() {‸}\n", "\n    a()\n", "go") == "\n\ta()\n"
    assert shown("func f() {\n  a()\n}\n\nfunc g() {‸}\n", "\n    a()\n", "go") == "\n    a()\n"
    assert shown("f() {\n‸\n}\n", "    a", "shellscript") == "  a"
    assert shown("def f():\n‸\n", "    a", "python") == "    a"


@pytest.mark.parametrize(
    ("marked", "text", "expected"),
    [
        ("  f(\n    a,\n‸\n", ")", "  )"),
        ("function f() {\n  if (a) {\n    b();\n‸\n}\n", "}", "  }"),
        ("function f() {\n  b();\n  ‸\n", "}", "}"),
    ],
)
def test_a_closing_bracket_gets_the_column_of_what_it_closes(marked: str, text: str, expected: str) -> None:
    assert shown(marked, text, "javascript") == expected


@pytest.mark.parametrize(
    ("marked", "text", "expected"),
    [
        ("  items\n‸\n", "    .map(f)", "    .map(f)"),
        ("  x = a\n‸\n", "      + b", "      + b"),
        ("  if (a)\n‸\n", "    b();", "    b();"),
        ("  a();\n‸\n", "    b();", "  b();"),
    ],
)
def test_a_line_that_goes_on_from_the_one_above_may_be_deeper(marked: str, text: str, expected: str) -> None:
    assert shown(marked, text, "javascript") == expected


@pytest.mark.parametrize(
    ("marked", "text", "expected"),
    [
        ("import java.util.‸\n", "util.List;", "List;"),
        ("return new ‸\n", "new Foo()", "Foo()"),
        ("x = a.b.‸\n", "a.b.c", "c"),
        ("unsigned long ‸\n", "long x;", "long x;"),  # `long long` is a type
        ("x = ab.‸\n", "b.c", "b.c"),  # the end of a longer word
    ],
)
def test_what_the_line_ends_with_is_not_said_twice(marked: str, text: str, expected: str) -> None:
    assert shown(marked, text, "java") == expected


@pytest.mark.parametrize(
    ("marked", "text", "expected"),
    [
        ("func f() {\n\tif a {\n\t\t‸\n", "b()\n    }\n}", "b()\n\t}\n}"),
        ("func f() {\n\t‸\n", "if a {\n        b()\n    }", "if a {\n\t\tb()\n\t}"),
        ("func f() {\n  a()\n  ‸\n", "if a {\n\t\tb()\n\t}", "if a {\n        b()\n    }"),
        ("‸\n", "a\n\tb\n  c", "a\n\tb\n  c"),  # the file has no indentation yet
        ("func f() {\n\t‸\n", "a(b,\n      c)", "a(b,\n\t  c)"),
    ],
)
def test_tabs_and_spaces_are_those_of_the_file(marked: str, text: str, expected: str) -> None:
    assert shown(marked, text, "go") == expected


@pytest.mark.parametrize(
    ("marked", "text", "expected"),
    [
        ("all:\n‸", "    gcc -o a a.c\n    ./a", "\tgcc -o a a.c\n\t./a"),
        ("all: a.o b.o\n‸", "  gcc -o $@ $^", "\tgcc -o $@ $^"),
        ("build:: $(DEPS)\n\tgo build\n‸", "        go vet\n\nclean:\n  rm -f a\n", "\tgo vet\n\nclean:\n\trm -f a\n"),
        ("OBJS = a.o \\\n       b.o\n\nall:\n‸", "    cc -o a", "\tcc -o a"),  # spaces elsewhere are no example
        ("all:\n\t‸", "gcc a.c\n    ./a", "gcc a.c\n\t./a"),
        ("all:\n\tgcc ‸", "a.c\n    ./a", "a.c\n\t./a"),
        ("‸", "all: a.o\n    cc a.o\n", "all: a.o\n\tcc a.o\n"),
        # No recipes: a tab would make them some.
        ("‸", "ifeq ($(OS),Linux)\n  CFLAGS += -O2\nendif", "ifeq ($(OS),Linux)\n  CFLAGS += -O2\nendif"),
        ("CC := gcc\n‸", "OBJS = a.o \\\n       b.o", "OBJS = a.o \\\n       b.o"),
    ],
)
def test_the_recipe_of_a_makefile_begins_with_a_tab(marked: str, text: str, expected: str) -> None:
    assert shown(marked, text, "makefile") == expected
