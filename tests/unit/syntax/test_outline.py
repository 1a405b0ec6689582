"""Definitions and imports of small files in the main languages."""

from __future__ import annotations

import pytest

from completer.syntax.outline import Import, imports, outline
from completer.syntax.tree import SyntaxTree

PYTHON = '''import os.path as p
from a.b import (c,
    d as e)


class A(B):
    """About A.

    More."""

    def f(self,
          x: int) -> int:
        """Return x."""
        def hidden(): pass
        return x
'''


def test_outline_of_python_has_signatures_and_docstrings_without_inner_functions() -> None:
    found = outline(SyntaxTree("python", PYTHON))
    assert [(d.signature, d.doc, d.depth) for d in found] == [
        ("class A(B)", "About A.", 0),
        ("def f(self, x: int) -> int", "Return x.", 1),
    ]
    assert PYTHON[found[0].start_cp :].startswith("class A")


@pytest.mark.parametrize(
    ("language_id", "text", "expected"),
    [
        ("python", PYTHON, [Import("os.path", ()), Import("a.b", ("c", "d"))]),
        ("typescript", 'import X, {a, b as c} from "./m";\n', [Import("./m", ("X", "a", "b"))]),
        ("go", 'package m\nimport (\n\t"fmt"\n\tx "a/b"\n)\n', [Import("fmt", ()), Import("a/b", ())]),
        ("rust", "use a::b::{c, d};\nuse e::F;\n", [Import("a::b", ("c", "d")), Import("e::F", ())]),
        ("java", "import a.b.C;\n", [Import("a.b.C", ())]),
        ("c", '#include <stdio.h>\n#include "x.h"\n', [Import("stdio.h", ()), Import("x.h", ())]),
        ("csharp", "using A.B;\n", [Import("A.B", ())]),
        ("php", "<?php\nuse A\\B;\n", [Import("A\\B", ())]),
    ],
)
def test_imports_name_module_and_names(language_id: str, text: str, expected: list[Import]) -> None:
    assert imports(SyntaxTree(language_id, text)) == expected


@pytest.mark.parametrize(
    ("language_id", "text", "expected"),
    [
        ("go", "package m\n\n// F adds.\nfunc F(a int) int {\n\treturn a\n}\n", ("func F(a int) int", "F adds.")),
        ("rust", "/// Adds.\npub fn f(a: i32) -> i32 {\n    a\n}\n", ("pub fn f(a: i32) -> i32", "Adds.")),
        ("java", "/** A thing. */\nclass A { }\n", ("class A", "A thing.")),
        ("c", "/* Adds. */\nint f(int a)\n{\n  return a;\n}\n", ("int f(int a)", "Adds.")),
        ("ruby", "# Adds.\ndef f(x)\n  x\nend\n", ("def f(x)", "Adds.")),
    ],
)
def test_outline_reads_comments_above_as_documentation(language_id: str, text: str, expected: tuple[str, str]) -> None:
    first = outline(SyntaxTree(language_id, text))[0]
    assert (first.signature, first.doc) == expected


def test_outline_without_a_grammar_is_empty() -> None:
    tree = SyntaxTree("made-up", "x")
    assert outline(tree) == []
    assert imports(tree) == []
