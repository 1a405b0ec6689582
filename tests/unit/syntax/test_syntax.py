"""The incremental tree against a fresh parse, and the queries at the cursor."""

from __future__ import annotations

import gc
import re
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from unittest import mock

import pytest
import tree_sitter
from hypothesis import given
from hypothesis import strategies as st

from completer.suggest.block_end import sibling_stop
from completer.syntax.cursor import cursor_context
from completer.syntax.languages import LANGUAGES, Language, language
from completer.syntax.lexer import balance_of, closing, lex_lines, literals, tokens, unclosed
from completer.syntax.parse import parse_within
from completer.syntax.tree import EXCERPT_BYTES, LARGE_BYTES, SyntaxTree, grammar
from completer.types import Edit, Snapshot

CODE = {
    "python": 'class A:\n    def f(self, ü="😀"):\n        """d"""\n        return [x for x in (1,)]\n\nprint(A())\n',
    "javascript": "function f(a) {\r\n  const x = `ü${a}`;\r\n  return { x, y: [1] };\r\n}\r\n",
    "rust": "fn f<'a>(s: &'a str) -> usize { // ü\n    s.len()\n}\n",
    "yaml": "a:\n  - b: 'ü'\n    c: [1, 2]\nd: |\n  text\n",
}
PIECES = st.sampled_from(["x", "(", ")", "\n", "    ", '"', "ü", "😀", "def g():\n", "}", "{", "'", "\r\n", "#", "\ud800"])


def snap(marked: str, language_id: str = "python") -> Snapshot:
    cursor_cp = marked.index("‸")
    return Snapshot("file:///x", 1, language_id, marked.replace("‸", ""), cursor_cp)


class PlainTree:
    """An incremental tree whose offsets are all counted anew in the whole text.

    A fresh parse is no reference: where the text has errors, the library may recover otherwise when it reuses a tree.
    """

    def __init__(self, language_id: str, text: str) -> None:
        found = grammar(language(language_id))
        assert found is not None
        self._parser, self._text = tree_sitter.Parser(found), text
        self._tree: tree_sitter.Tree | None = None

    def edit(self, start: int, end: int, new: str) -> None:
        after = self._text[:start] + new + self._text[end:]
        if self._tree is not None:
            ends = [self._text[:start], self._text[:end], after[: start + len(new)]]
            before = [text.encode("utf-8", "replace") for text in ends]
            start_byte, end_byte, new_end_byte = (len(text) for text in before)
            points = [(text.count(b"\n"), len(text.rpartition(b"\n")[2])) for text in before]
            self._tree.edit(start_byte, end_byte, new_end_byte, *points)
        self._text = after

    def parsed(self) -> tree_sitter.Node:
        data = self._text.encode("utf-8", "replace")
        self._tree = self._parser.parse(data, self._tree) if self._tree else self._parser.parse(data)
        return self._tree.root_node


@given(st.sampled_from(sorted(CODE)), st.lists(st.tuples(st.integers(0, 200), st.integers(0, 9), PIECES), max_size=12))
def test_incremental_tree_equals_that_of_offsets_counted_anew(language_id: str, edits: list[tuple[int, int, str]]) -> None:
    text = CODE[language_id]
    tree, plain = SyntaxTree(language_id, text), PlainTree(language_id, text)
    for number, (at, length, new) in enumerate(edits):
        start = min(at, len(text))
        end = min(start + length, len(text))
        tree.edit(Edit(start, end, new))
        plain.edit(start, end, new)
        text = text[:start] + new + text[end:]
        if number % 3 == 0:
            assert str(tree.root) == str(plain.parsed())
    fresh = SyntaxTree(language_id, text)
    assert tree.data == fresh.data
    assert str(tree.root) == str(plain.parsed())
    for cp in range(len(text) + 1):
        assert tree.cp_at(tree.byte_at(cp)) == cp


@pytest.mark.parametrize("language_id", [entry.ids[0] for entry in LANGUAGES if entry.grammar])
def test_every_grammar_is_there_and_knows_the_listed_kinds(language_id: str) -> None:
    entry = language(language_id)
    found = grammar(entry)
    assert found is not None
    kinds = {found.node_kind_for_id(i) for i in range(found.node_kind_count)}
    known = [kind for kind in entry.functions + entry.types + entry.imports if kind in kinds]
    shared = "javascript" in language_id or "typescript" in language_id
    assert shared or known == list(entry.functions + entry.types + entry.imports)


def test_unknown_language_has_no_tree_and_still_a_place() -> None:
    snapshot = snap("begin {\n    ‸\n}", "made-up")
    tree = SyntaxTree("made-up", snapshot.text)
    tree.edit(Edit(0, 0, "x"))
    assert tree.root is None
    assert cursor_context(snapshot, tree).kind == "body"


@pytest.mark.parametrize(
    ("marked", "language_id", "kind"),
    [
        ("def f(a):\n    ‸\n", "python", "body"),
        ("def f(a):‸", "python", "body"),
        ("def f(a):\n    ‸\n    return 1\n", "python", "statement"),
        ("def f(a):\n    x = foo(‸)\n", "python", "arguments"),
        ("import o‸", "python", "import"),
        ('def f():\n    """Ret‸"""\n', "python", "docstring"),
        ('x = "a‸"\n', "python", "string"),
        ("x = 1  # a‸\n", "python", "comment"),
        ("self.‸\n", "python", "member"),
        ("self.na‸\n", "python", "member"),
        ("    ret‸\n", "python", "name"),
        ("x = ‸\n", "python", "expression"),
        ("function f() {‸}\n", "javascript", "body"),
        ("/* a ‸ */\n", "c", "comment"),
        ("use std::‸\n", "rust", "import"),
        ("p->‸\n", "cpp", "member"),
        ("def f\n  ‸\nend\n", "ruby", "body"),
        ("if [ 1 ]; then\n  ‸\nfi\n", "shellscript", "body"),
        ("fn f<'a>(s: &'a str) {\n    s.‸\n}\n", "rust", "member"),
    ],
)
def test_place_names_the_kind(marked: str, language_id: str, kind: str) -> None:
    snapshot = snap(marked, language_id)
    assert cursor_context(snapshot, SyntaxTree(language_id, snapshot.text)).kind == kind


@pytest.mark.parametrize(
    ("marked", "suppress"),
    [("ab‸cd", "word"), ("x = ‸ + 1", "rest"), ("f(‸)", ""), ('f("‸");', ""), ("if (‸) {", ""), ("x‸  # why", "")],
)
def test_place_suppresses_inside_words_and_before_code(marked: str, suppress: str) -> None:
    assert cursor_context(snap(marked)).suppress == suppress


def test_place_knows_which_brackets_nothing_closes() -> None:
    assert cursor_context(snap("function f() {\n  g(‸\n}\n", "javascript")).owed == "("
    assert cursor_context(snap("function f() {\n  g(‸)\n}\n", "javascript")).owed == ""
    assert cursor_context(snap("function f() {\n  ‸\n", "javascript")).owed == "{"


@pytest.mark.parametrize(
    ("marked", "language_id", "generated", "kept"),
    [
        ("def f(a):\n    ‸\n", "python", "return a\n\ndef g():\n    pass\n", "return a"),
        ("function f() {\n  ‸\n}\n", "javascript", "return 1;\n}\nfunction g() {", "return 1;"),
        ("function f() {\n  ‸\n", "javascript", "return 1;\n}\nfunction g() {", "return 1;\n}"),
        ("def f\n  ‸\n", "ruby", "1\nend\n\ndef g\n", "1\nend"),
        ("# add\n‸\n", "python", "for x in y:\n    print(x)\nz = 1\n", "for x in y:\n    print(x)"),
    ],
)
def test_a_block_stops_at_the_next_sibling(marked: str, language_id: str, generated: str, kept: str) -> None:
    snapshot = snap(marked, language_id)
    tree = SyntaxTree(language_id, snapshot.text)
    stop = sibling_stop(snapshot, cursor_context(snapshot, tree), generated, tree)
    assert stop is not None
    assert generated[:stop] == kept


def large_python() -> str:
    return "def function_name(argument):\n    return [argument, 'text']\n\n\n" * (LARGE_BYTES // 50)


def test_a_large_document_parsed_in_another_thread_catches_up_with_edits_made_meanwhile() -> None:
    text = large_python()
    tree = SyntaxTree("python", text)
    assert tree.settled_root is None  # no key waits for the first parse
    for edits in (["x = 1\n"], ["class A:\n", "    y = 2\n"], []):
        parse = tree.overdue()
        assert parse is not None
        with ThreadPoolExecutor(1) as thread:
            result = thread.submit(parse)
            for new in edits:
                text = new + text
                tree.edit(Edit(0, 0, new))
            tree.catch_up(result.result())
        assert tree.settled_root is not None
        if edits:
            assert tree.settled_root.end_byte == len(text.encode())
    assert tree.overdue() is None
    fresh = SyntaxTree("python", text).root
    assert fresh is not None and tree.root is not None
    assert str(tree.root) == str(fresh)


def test_a_small_document_is_never_overdue() -> None:
    assert SyntaxTree("python", "x = 1\n").overdue() is None


def test_in_a_large_document_an_insertion_is_parsed_with_the_lines_around_it_only() -> None:
    text = large_python()
    tree = SyntaxTree("python", text)
    cursor = text.index("    return", len(text) // 2)
    found = tree.with_insertion(cursor, "    first = 1\n")
    assert found is not None
    root, at = found
    assert root.end_byte < 4 * EXCERPT_BYTES
    node = root.descendant_for_byte_range(at + 4, at + 5)
    assert node is not None and node.text == b"first"


MARKS = ["(", ")", "{", "}", '"', "'", '"""', "`", "'a'", "/*", "*/", "//", "#", "--", "--[[", "]]", "<!--", "-->"]
LEXED = st.sampled_from([*MARKS, "\n", "\r\n", "\\", "x", " "])


@given(st.sampled_from(["python", "javascript", "rust", "lua", "shellscript"]), st.lists(LEXED, max_size=24), st.data())
def test_lexing_block_by_block_equals_lexing_the_whole(language_id: str, pieces: list[str], data: st.DataObject) -> None:
    text, lang = "".join(pieces), language(language_id)
    cursor_cp = data.draw(st.integers(0, len(text)))
    lex_lines.cache_clear()
    with mock.patch("completer.syntax.lexer._BLOCK_CP", data.draw(st.sampled_from([2, 5, 2_000]))):
        cursor = cursor_context(Snapshot("file:///x", 1, language_id, text, cursor_cp))
    whole = tokens(text[:cursor_cp], lang)
    at_cursor = balance_of(whole, lang)
    assert (cursor.inside, cursor.delimiter) == (at_cursor.inside, at_cursor.delimiter)
    if whole:
        assert (cursor.lex_start_cp, cursor.stack) == (whole[-1].start, balance_of(whole[:-1], lang).stack)


def test_in_a_large_document_a_block_stops_where_it_stops_in_a_small_one() -> None:
    method = "    def method(self, argument):\n        zero = 0\n        ‸\n\n"
    text = "class Large:\n" + method.replace("        ‸", "        return 'text', [argument]") * (LARGE_BYTES // 60)
    middle = text.index("    def", len(text) // 2)
    large = snap(text[:middle] + method + text[middle:])
    small = snap("class Small:\n" + method + method.replace("‸", "pass"))
    generated = "first = 1\n\n        second = 2\n"
    stops = []
    for snapshot in (small, large):
        tree = SyntaxTree("python", snapshot.text)
        assert tree.root is not None
        stops.append(sibling_stop(snapshot, cursor_context(snapshot, tree), generated, tree))
    assert stops[0] == stops[1] == len("first = 1")


@pytest.mark.parametrize(
    ("stack", "behind", "owed"),
    [("(", ")", ""), ("({", ")", "{"), ("({", "}", "("), ("(", "](])", ""), ("((", "() [ ] )", "("), ("[", '")" # ]', "[")],
)
def test_what_nothing_behind_closes_is_owed(stack: str, behind: str, owed: str) -> None:
    assert unclosed(stack, closing(behind, language("python"))) == owed


@given(st.sampled_from(LANGUAGES), st.lists(LEXED, max_size=24))
def test_lexing_only_where_a_literal_can_begin_finds_them_all(lang: Language, pieces: list[str]) -> None:
    text = "".join(pieces)
    everywhere = [match.span() for match in re.finditer(literals(lang), text)]
    assert [(token.start, token.end) for token in tokens(text, lang)] == everywhere


def test_a_parse_leaves_nothing_of_the_text_behind() -> None:
    data = "".join(f"value_{n} = compute({n})\n" for n in range(4_000)).encode()
    parser = tree_sitter.Parser(grammar(language("python")))
    tracemalloc.start()
    for n in range(30):
        tree = parse_within(parser, data, None, 5.0, ends="")
        if n == 9:
            gc.collect()
            before = tracemalloc.get_traced_memory()[0]
    gc.collect()
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert tree is not None and tree.root_node.child_count == 4_000
    assert after - before < len(data)  # one parse alone used to leave twice as much
