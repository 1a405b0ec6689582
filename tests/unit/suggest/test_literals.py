"""Interpolation, regular expressions and case patterns: what is open around the cursor, and what of an output fits there."""

from __future__ import annotations

import pytest

from completer.suggest.trim import Showing, trim
from completer.syntax.cursor import cursor_context
from tests.by_hand import snap

EXPLICIT = Showing(explicit=True)


def shown(marked: str, language: str, raw: str) -> str:
    snapshot = snap(marked, language)
    found = trim(raw, snapshot, cursor_context(snapshot), EXPLICIT)
    return found.text if found else ""


TS = "function f(first: string, last: string) {\n  return %s;\n}\n"


@pytest.mark.parametrize(
    ("marked", "language", "raw", "right"),
    [
        (TS % "`Hello, ${first} ${‸}`", "typescript", "last}!`;\n}", "last"),
        (TS % "`Hello, ${first} ${la‸}`", "typescript", "st}!`;\n}", "st"),
        (TS % "`${first.slice(‸)}`", "typescript", "0, 1)}`;", "0, 1"),
        (TS % "`${list.map((x) => `<${‸}>`)}`", "javascript", "x}>`).join()}`;", "x"),
        (TS % "`${first} ‸`", "typescript", "${last}`;", "${last}"),
        ("const x = { s: `t${a‸}` };\n", "javascript", '"}` };\n  r', ""),
        ("const x = { s: `t${a‸}` };\n", "javascript", '.b\n  .c("}`', ".b"),
        ("const a = `${b‸", "javascript", ".c}`;\nfoo();", ".c}`;\nfoo();"),
        ('def hello(first, last)\n  "Hello #{first} #{‸}"\nend\n', "ruby", 'last}!"\nend', "last"),
        ('puts "#{h["a"]} #{‸}"\n', "ruby", 'h["b"]}"', 'h["b"]'),
        ('name = f"{first} {‸}"\n', "python", 'last}!"', "last"),
        ('name = f"{first[‸]}"\n', "python", '0]}"', "0"),
        ('name = "{first} ‸"\n', "python", '{last}"', "{last}"),  # no f: a string like any other
        ('name = f"{{first}} ‸"\n', "python", '{last}"', "{last}"),
        ('var s = $"{first} {‸}";\n', "csharp", 'last}!";', "last"),
        ('echo "$(basename ‸)"\n', "shellscript", '"$1")"', '"$1"'),
        ('echo "${HOME}/${‸}"\n', "shellscript", 'name}"', "name"),
        ('$s = "Hello {$‸}";\n', "php", 'name}";', "name"),
    ],
)
def test_code_in_a_string_is_code_up_to_the_bracket_that_ends_it(marked: str, language: str, raw: str, right: str) -> None:
    assert shown(marked, language, raw) == right


@pytest.mark.parametrize(
    ("marked", "language", "raw", "right"),
    [
        ("function esc(s) {\n  return s.replace(/'/g, ‸);\n}\n", "javascript", '"");\n}', '""'),
        ("function esc(s) {\n  return s.replace(/[\"'(]/g, ‸);\n}\n", "typescript", '"-");', '"-"'),
        (
            'function cut(text) {\n  const out = text.replace(/`/g, "");\n  const parts = out.split(‸\n  return parts;\n}\n',
            "javascript",
            '"/");',
            '"/");',
        ),
        ('x = s.match?(/[("]/) && ‸\n', "ruby", "foo(1)\n", "foo(1)"),
        ("const mean = (a + b) / 2 / ‸;\n", "javascript", "count(c);", "count(c)"),
        ("const half = a / 2; const s = 'it‸'; const d = b / 2;\n", "javascript", "em';", "em"),
        ('name=$(basename ‸\ncase "$1" in\n  start) run ;;\n  stop|halt) end ;;\nesac\n', "shellscript", '"$0")\n', '"$0")'),
        ('case "$1" in\n  start) run "$(pwd)" ;;\n  stop) kill $(cat ‸\nesac\n', "shellscript", "pid) ;;\n", "pid) ;;"),
    ],
)
def test_quotes_in_a_regular_expression_open_nothing_and_case_patterns_close_nothing(
    marked: str, language: str, raw: str, right: str
) -> None:
    assert shown(marked, language, raw) == right
