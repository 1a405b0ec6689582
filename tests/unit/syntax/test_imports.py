"""Imports of small files in the main languages."""

from __future__ import annotations

import pytest

from completer.syntax.imports import Import, imports
from completer.syntax.tree import SyntaxTree

PYTHON = """import os.path as p
from a.b import (c,
    d as e)
x = d
"""


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


def test_without_a_grammar_there_are_no_imports() -> None:
    tree = SyntaxTree("made-up", "x")
    assert imports(tree) == []
