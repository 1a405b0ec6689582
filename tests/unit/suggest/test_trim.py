"""Properties of trimming that hold for every raw output."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from completer.suggest.overlap import duplicates_suffix
from completer.suggest.partial import clean_partial
from completer.suggest.special import cut_special
from completer.suggest.trim import Showing, trim
from completer.syntax.cursor import cursor_context
from completer.syntax.languages import language
from completer.syntax.lexer import balance
from completer.syntax.tree import SyntaxTree
from completer.types import Replacement, Snapshot
from tests.by_hand import snap
from tests.examples import examples

DOCUMENTS = {
    "python": 'import os\n\n\nclass A:\n    def f(self, a):\n        x = [a, {"k": (1, 2)}]\n        return foo(x)\n',
    "javascript": "function f(a) {\r\n  const x = { y: [1], s: `t${a}` };\r\n  return g(x); // c\r\n}\r\n",
    "rust": "fn f<'a>(s: &'a str) -> usize {\n\tlet n = s.len();\n\tn + g(&[1, 2])\n}\n",
    "c": 'int f(int a) {\n  /* c */\n  return g(a, "s");\n}\n',
}
PIECES = [
    "x", "foo", " ", "  ", "\n", "\r\n", "\t", "(", ")", "[", "]", "{", "}", '"', "'", "`", "//", "#", "/*", "*/", "/",
    ", ", ";", ":", ".", "=", "return ", '"""', "\\", "<|fim_middle|>", "<|", "|>", "<file_sep>", "a)", "foo(x)", "ü😀",
]  # fmt: skip
RAW = st.lists(st.sampled_from(PIECES), max_size=14).map("".join)


@st.composite
def situations(draw: st.DrawFn) -> tuple[Snapshot, str]:
    language_id = draw(st.sampled_from(sorted(DOCUMENTS)))
    text = DOCUMENTS[language_id]
    cursor_cp = draw(st.integers(0, len(text)))
    if text[cursor_cp - 1 : cursor_cp + 1] == "\r\n":
        cursor_cp -= 1
    tail = text[cursor_cp : cursor_cp + draw(st.integers(0, 30))]
    return Snapshot("file:///x", 1, language_id, text, cursor_cp), draw(RAW) + draw(st.sampled_from(["", tail]))


@examples(600)
@given(situations(), st.booleans(), st.booleans())
def test_what_is_shown_is_clean(situation: tuple[Snapshot, str], explicit: bool, finished: bool) -> None:
    snapshot, raw = situation
    cursor = cursor_context(snapshot)
    shown = trim(raw if finished else clean_partial(raw, snapshot, cursor), snapshot, cursor, Showing(explicit=explicit))
    if shown is None:
        return
    assert cut_special(shown.text) == shown.text
    assert not duplicates_suffix(shown.text, snapshot, shown.end_cp)
    assert snapshot.line_start_cp <= shown.start_cp <= snapshot.cursor_cp <= shown.end_cp
    assert shown.end_cp <= snapshot.cursor_cp + len(snapshot.line_suffix)
    after = snapshot.text[: shown.start_cp] + shown.text + snapshot.text[shown.end_cp :]
    lang = language(snapshot.language_id)
    if cursor.in_string:  # the scanner of whole documents doesn't look into strings inside the code of strings
        code = balance(after[cursor.lex_start_cp : len(after) - len(snapshot.text) + snapshot.line_end_cp], lang)
        assert code == balance(snapshot.text[cursor.lex_start_cp : snapshot.line_end_cp], lang), shown
        return
    lexed = balance(after + "\n", lang)
    assert (lexed.stack, lexed.excess, lexed.inside) == ("", "", "code"), shown
    assert "\r" not in shown.text
    assert sum(not character.isspace() for character in shown.text) >= (1 if explicit else 2)


def test_selected_entry_must_begin_the_suggestion() -> None:
    snapshot = Snapshot("file:///x", 1, "python", "self.ba\n", 7)
    cursor = cursor_context(snapshot)
    shown = trim("lance += 1", snapshot, cursor, Showing(selected=Replacement("balance", 5, 7)))
    assert shown is not None
    assert (shown.text, shown.start_cp, shown.end_cp) == ("balance += 1", 5, 7)
    assert trim("se", snapshot, cursor, Showing(selected=Replacement("balance", 5, 7))) is None


def test_explicit_request_is_answered_inside_a_word() -> None:
    snapshot = Snapshot("file:///x", 1, "python", "foobar = 1\n", 3)
    assert trim("d_", snapshot, cursor_context(snapshot)) is None
    assert trim("d_", snapshot, cursor_context(snapshot), Showing(explicit=True)) is not None


@pytest.mark.parametrize(
    ("language", "document", "raw", "shown"),
    [
        ("javascript", "  if (!m.has(k)) {\n    m.set(k, []);\n‸\n  m.get(k);\n", "}", "  }"),  # not at the margin
        ("java", "class A {\n    void f() {\n        g();\n‸\n\n    void h() {\n    }\n}\n", "    }", "    }"),
        ("c", "int f() {\n    if (a) {\n        b();\n    }\n‸\n\nint g() {\n}\n", "}", "}"),
        ("ruby", "x = [\n  1,\n‸\ny = 2\n", "]", "]"),
    ],
)
def test_a_closer_that_the_document_lacks_gets_the_column_of_what_it_closes(
    language: str, document: str, raw: str, shown: str
) -> None:
    at = document.index("‸")
    snapshot = Snapshot("file:///a", 1, language, document.replace("‸", ""), at)
    found = trim(raw, snapshot, cursor_context(snapshot, SyntaxTree(language, snapshot.text)), Showing(explicit=True))
    assert found is not None and found.text == shown


def test_a_closer_too_many_is_not_shown() -> None:
    document = "function f() {\n  g();\n‸\n}\n"
    snapshot = Snapshot("file:///a", 1, "javascript", document.replace("‸", ""), document.index("‸"))
    assert trim("}", snapshot, cursor_context(snapshot, SyntaxTree("javascript", snapshot.text)), Showing(explicit=True)) is None


@pytest.mark.parametrize("raw", ["for (int i = 1", "if (i % 11 == 0 || i % 13", "let b = b.toString(2).split('')"])
def test_a_piece_of_a_line_gets_no_bracket_that_the_model_did_not_write(raw: str) -> None:
    snapshot = Snapshot("file:///a.js", 1, "javascript", "function f(b) {\n  \n}\n", len("function f(b) {\n  "))
    found = trim(raw, snapshot, cursor_context(snapshot, SyntaxTree("javascript", snapshot.text)), Showing(partial=True))
    assert found is not None and found.text == raw


@pytest.mark.parametrize("language", ["java", "javascript", "python", "go"])
def test_a_code_fence_ends_the_suggestion(language: str) -> None:
    snapshot = Snapshot("file:///a", 1, language, "total = 1\n\n", len("total = 1\n"))
    cursor = cursor_context(snapshot, SyntaxTree(language, snapshot.text))
    assert trim("```", snapshot, cursor, Showing(explicit=True)) is None
    found = trim("count = 2\n```\nThis code", snapshot, cursor, Showing(explicit=True))
    assert found is not None and found.text == "count = 2"


def test_a_code_fence_is_text_in_markdown() -> None:
    snapshot = Snapshot("file:///a.md", 1, "markdown", "Run this:\n\n\n", len("Run this:\n\n"))
    assert trim("```sh", snapshot, cursor_context(snapshot), Showing(explicit=True)) is not None


def test_of_a_long_block_that_is_cut_off_the_lines_before_its_open_brackets_stay() -> None:
    body = "".join(f"    long value_{n} = compute(new long[] {{ {n} }});\n" for n in range(20))
    snapshot = snap("// computes a factorial\n‸", "csharp")
    raw = "using System;\n\nclass Factorial\n{\n" + body
    shown = trim(raw, snapshot, cursor_context(snapshot), Showing(explicit=True, partial=True))
    assert shown is not None
    assert shown.text == "using System;\n\nclass Factorial"


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    ("marked", "language_id", "raw"),
    [
        ("function g() {⏎  ‸⏎}⏎", "javascript", "if (x) {\n    return;\n  }"),
        ("# adds⏎‸", "python", "def add(a, b):\r\n    return a + b"),
        ("def f():⏎    ‸⏎", "python", "if x:\r        return 1"),
        ("a:⏎  - ‸⏎", "yaml", "b: 1\n    c: 2"),
    ],
)
def test_lines_end_at_line_feeds_whatever_the_document_uses(line_end: str, marked: str, language_id: str, raw: str) -> None:
    snapshot = snap(marked.replace("⏎", line_end), language_id)
    shown = trim(raw, snapshot, cursor_context(snapshot), Showing(explicit=True))
    assert shown is not None
    assert shown.text == raw.replace("\r\n", "\n").replace("\r", "\n")


def test_a_selected_entry_with_other_line_ends_than_ours_begins_the_suggestion_all_the_same() -> None:
    snapshot = Snapshot("file:///x", 1, "javascript", "a();\r\nfo\r\n", 8)
    shown = trim(
        "o(() => {\n  b();\n});", snapshot, cursor_context(snapshot), Showing(selected=Replacement("foo(() => {\r\n", 6, 8))
    )
    assert shown is not None and shown.text == "foo(() => {\n  b();\n});"
