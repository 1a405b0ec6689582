"""What of the blocks around the cursor follows it."""

from __future__ import annotations

import pytest

from completer.syntax.block import Block, block_around, is_function
from completer.syntax.cursor import cursor_context
from completer.types import RestOfBlock
from tests.by_hand import snap

NEXT = "\n\ndef g():\n    return 1\n"


def around(marked: str, language_id: str = "python") -> Block:
    snapshot = snap(marked, language_id)
    return block_around(snapshot, cursor_context(snapshot))


@pytest.mark.parametrize(
    ("marked", "language_id", "rest"),
    [
        (f"def f():\n    ‸{NEXT}", "python", "body"),
        (f'def f():\n    """Say what."""\n    ‸{NEXT}', "python", "body"),
        (f"def f():\n‸{NEXT}", "python", "body"),  # at the margin, where the body must be indented
        (f"def f():‸{NEXT}", "python", "body"),
        (f"def f():\n    a = 1\n    ‸{NEXT}", "python", "end"),
        (f"def f():\n    a = 1\n    b = f(‸){NEXT}", "python", "end"),  # an editor closed the bracket
        (f"def f():\n    ‸\n    return a{NEXT}", "python", "inside"),
        (f"def f():\n    a = ‸ + 1{NEXT}", "python", "inside"),
        (f"def f():\n    if a:\n        ‸\n    return a{NEXT}", "python", "nested"),
        ("class A:\n    def f(self):\n        ‸\n\n    def g(self):\n        return 1\n", "python", "body"),
        ("class A:\n    a = 1\n    ‸\n\n    def g(self):\n        return 1\n", "python", "inside"),
        ("def f():\n    ‸\n", "python", "file"),
        (f"import os\n‸{NEXT}", "python", "inside"),
        ("func f() int {\n\t‸\n}\n\nfunc g() {\n\th()\n}\n", "go", "body"),
        ("fn f() -> u8 {\n    for x in y {\n        ‸\n    }\n    1\n}\n\nfn g() {}\n", "rust", "nested"),
        ("fn f() -> u8 {\n    for x in y {\n        ‸\n    }\n}\n\nfn g() {}\n", "rust", "body"),
        ('it("a", () => {\n  b()\n  ‸\n})\n\nit("c", () => {\n  d()\n})\n', "javascript", "end"),
        ("class A\n  def f\n    ‸\n  end\n\n  def g\n    1\n  end\nend\n", "ruby", "body"),
        ("if [ 1 ]; then\n  a\n  ‸\nfi\necho b\n", "shellscript", "end"),
        ("<ul>\n  <li>a</li>\n  ‸\n</ul>\n<p>b</p>\n", "html", "end"),
    ],
)
def test_what_follows_the_cursor_of_its_block(marked: str, language_id: str, rest: RestOfBlock) -> None:
    assert around(marked, language_id).rest == rest


def test_typing_a_line_does_not_change_what_follows() -> None:
    line = "total = sum(item.price for item in items)"
    assert {around(f"def f():\n    a = 1\n    {line[:n]}‸{NEXT}").rest for n in range(len(line))} == {"end"}


@pytest.mark.parametrize(
    ("marked", "language_id", "header"),
    [
        ("class A:\n    def f(\n        self,\n        b: int,\n    ) -> int:\n        ‸\n", "python", "def f(\n        self,"),
        ("static int f(int a)\n{\n    ‸\n}\n", "c", "static int f(int a)\n{"),
        ("def f():\n    a = 1\n    if a:\n        b = 2\n    ‸\n", "python", "def f():"),
        ("a = 1\n‸\n", "python", ""),
    ],
)
def test_the_head_of_a_block_is_found_whole(marked: str, language_id: str, header: str) -> None:
    assert around(marked, language_id).header.startswith(header)
    assert bool(around(marked, language_id).header) == bool(header)


@pytest.mark.parametrize(
    ("header", "function"),
    [
        ("async def f(a: int) -> str:", True),
        ("func (s *Server) Run(ctx context.Context) error {", True),
        ("pub fn f<T>(x: T) -> Vec<T> {", True),
        ("export const f = async (a) => {", True),
        ("public static List<String> f(int a) throws E {", True),
        ("f() {", True),
        ("if (a) {", False),
        ("if sub in items:", False),
        ("return f(a) {", False),
        ("return function (a) {", True),
        ("} else if (a) {", False),
        ("for x in f(y):", False),
        ("class A(B):", False),
        ("try {", False),
        ("return f({", False),
    ],
)
def test_heads_of_functions_are_told_from_those_of_other_blocks(header: str, function: bool) -> None:
    assert is_function(header) == function


@pytest.mark.parametrize(
    ("marked", "language_id", "rest"),
    [
        ("‸", "go", "opening"),
        ("# reads a file\n\n‸", "ruby", "opening"),
        ("// a\n/* b\nc */\nfunc‸", "go", "opening"),
        ("package main\n\n‸", "go", "file"),
        ("/* a */ x = 1;\n‸", "javascript", "file"),
        ("x = 1  # a\n‸", "python", "file"),
        ("‸\n\nprint(1)\n", "python", "inside"),
    ],
)
def test_a_file_is_about_to_begin_as_long_as_no_code_is_above_or_below(marked: str, language_id: str, rest: str) -> None:
    assert around(marked, language_id).rest == rest
