"""The functions of HumanEval with an empty body, each in front of the next one of the set.

    imports of both                 ┐
    helpers, def f(…): + docstring  ├ prefix, which ends with the four spaces of the empty body
    ····                            ┘
                                    ┐
    def g(…): …                     ┘ suffix: another function, whole

Made from the single-line set of HumanEval-Infilling: prompt + solution + suffix of its first row is the program.
"""

from __future__ import annotations

import ast
import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from bench.tasks import DATA, FILES

Half = Literal["tune", "judge"]
HALVES: tuple[Half, ...] = ("tune", "judge")
N_TUNE = 82
"""Rules are made on the first half only; the second is for the final figure."""
INDENT = "    "


@dataclass(frozen=True, slots=True)
class Body:
    """An empty body. prefix + body + suffix + tests is a program that passes if the body is right."""

    name: str
    half: Half
    prefix: str
    suffix: str
    body: str
    tests: str


def read_bodies(half: Half | None = None) -> list[Body]:
    """Return the cases of one half, or of both, always in the same order."""
    rows = list(_rows())
    bodies = [_body(row, rows[(i + 1) % len(rows)], "tune" if i < N_TUNE else "judge") for i, row in enumerate(rows)]
    return [body for body in bodies if half in (None, body.half)]


@dataclass(frozen=True, slots=True)
class _Row:
    """A program of the set. imports: its import lines.  above: the definitions before the function.

    head: signature and docstring; body: the rest of the function.
    """

    name: str
    imports: tuple[str, ...]
    above: str
    head: str
    body: str
    tests: str


def _rows() -> Iterator[_Row]:
    seen = set()
    with gzip.open(DATA / FILES["single"], "rt", encoding="utf-8") as file:
        for row in map(json.loads, file):
            name = "/".join(row["task_id"].split("/")[1:3])
            if name not in seen:
                seen.add(name)
                program = row["prompt"] + row["canonical_solution"] + row["suffix"]
                yield _parse(name, program, row["entry_point"], f"\n{row['test']}\ncheck({row['entry_point']})\n")


def _parse(name: str, program: str, entry: str, tests: str) -> _Row:
    lines, top = program.split("\n"), ast.parse(program).body
    function = next(node for node in top if isinstance(node, ast.FunctionDef) and node.name == entry)
    imported = [node for node in top if isinstance(node, ast.Import | ast.ImportFrom)]
    others = [node for node in top if node.lineno < function.lineno and node not in imported]
    statements = function.body if ast.get_docstring(function) is None else function.body[1:]
    head_end = statements[0].lineno - 1
    while lines[head_end - 1].lstrip().startswith("#") or not lines[head_end - 1].strip():
        head_end -= 1  # a comment before the first statement is part of the body
    return _Row(
        name,
        tuple(ast.unparse(node) for node in imported),
        "".join("\n".join(lines[node.lineno - 1 : node.end_lineno]) + "\n\n\n" for node in others),
        "\n".join(lines[function.lineno - 1 : head_end]) + "\n",
        "\n".join(lines[head_end : function.end_lineno]),
        tests,
    )


def _body(row: _Row, following: _Row, half: Half) -> Body:
    imports = "".join(f"{line}\n" for line in dict.fromkeys((*row.imports, *following.imports)))
    prefix = imports + ("\n\n" if imports else "") + row.above + row.head
    suffix = "\n\n\n" + following.above + following.head + following.body + "\n"
    return Body(row.name, half, prefix + INDENT, suffix, row.body.removeprefix(INDENT), row.tests)
