"""Strings, comments and brackets of each language, as far as one regular expression finds them."""

from __future__ import annotations

from unittest import mock

import pytest

from completer.syntax.languages import LANGUAGES, PLAIN, language
from completer.syntax.lexer import balance, balance_behind, balance_of, close_of, closing, lex_lines, tokens, unclosed

STRING, LINE, BLOCK = "string", "line_comment", "block_comment"


def found(text: str, language_id: str) -> list[tuple[str, str]]:
    """Return kind and text of the strings and comments of `text`."""
    return [(token.kind, token.text) for token in tokens(text, language(language_id)) if token.kind != "bracket"]


@pytest.mark.parametrize(
    ("language_id", "text", "expected"),
    [
        ("python", "x = 'a\\'b' + \"c\"  # d", [(STRING, "'a\\'b'"), (STRING, '"c"'), (LINE, "# d")]),
        ("python", '"""a\n"b" # c\n"""', [(STRING, '"""a\n"b" # c\n"""')]),
        ("python", "'''a''' ''", [(STRING, "'''a'''"), (STRING, "''")]),
        ("python", 'f"{x[0]}" r"\\"', [(STRING, '"{x[0]}"'), (STRING, '"\\"')]),
        ("javascript", "a = `x\n${b(1)}` // c", [(STRING, "`x\n${b(1)}`"), (LINE, "// c")]),
        ("javascript", "/* a\n'b' */ 'c'", [(BLOCK, "/* a\n'b' */"), (STRING, "'c'")]),
        ("typescript", "let a: 'b' | \"c\"", [(STRING, "'b'"), (STRING, '"c"')]),
        ("go", "`raw \\` + 'x' + \"y\" // z", [(STRING, "`raw \\` + 'x' + \"y\" // z")]),  # an escape that Go does not know
        ("go", "a := `b\nc` /* d */", [(STRING, "`b\nc`"), (BLOCK, "/* d */")]),
        ("rust", "fn f<'a>(c: &'a str) { 'x'; '\\n'; \"s\\\"\nt\" } // u", [
            (STRING, "'x'"), (STRING, "'\\n'"), (STRING, '"s\\"\nt"'), (LINE, "// u")
        ]),
        ("java", '"""\na "b"\n""" + "c" /** d */', [(STRING, '"""\na "b"\n"""'), (STRING, '"c"'), (BLOCK, "/** d */")]),
        ("c", "#include <a.h>\nchar c = '\"'; // d", [(STRING, "'\"'"), (LINE, "// d")]),
        ("cpp", 'R"(a)" /* b */', [(STRING, '"(a)"'), (BLOCK, "/* b */")]),
        ("csharp", '$"a{b}" """c\nd"""', [(STRING, '"a{b}"'), (STRING, '"""c\nd"""')]),
        ("ruby", "a = \"b#{c}\nd\" # e", [(STRING, "\"b#{c}\nd\""), (LINE, "# e")]),
        ("php", "#[A]\n$a = 'b\nc'; # d\n// e", [(STRING, "'b\nc'"), (LINE, "# d"), (LINE, "// e")]),
        ("shellscript", "a=$# b='c\nd' # e", [(STRING, "'c\nd'"), (LINE, "# e")]),
        ("lua", "--[[ a\nb ]] c = [[d\ne]] -- f", [(BLOCK, "--[[ a\nb ]]"), (STRING, "[[d\ne]]"), (LINE, "-- f")]),
        ("html", "<!-- a\nb --> it's", [(BLOCK, "<!-- a\nb -->")]),
        ("css", "a { content: 'b' } /* c */", [(STRING, "'b'"), (BLOCK, "/* c */")]),
        ("json", '{"a": "b\\"c"} // d', [(STRING, '"a"'), (STRING, '"b\\"c"'), (LINE, "// d")]),
        ("yaml", "a: it's #1 # b", [(LINE, "#1 # b")]),
        ("yaml", "a#b: c", []),
        ("toml", "a = '''b\n''' # c", [(STRING, "'''b\n'''"), (LINE, "# c")]),
        ("makefile", "a:\n\t@echo don't $(B#c) # d", [(LINE, "# d")]),
        ("markdown", "it's \"so\" # no", []),
        ("made-up", "it's \"so\" // # no", []),
    ],
)  # fmt: skip
def test_strings_and_comments_are_found(language_id: str, text: str, expected: list[tuple[str, str]]) -> None:
    assert found(text, language_id) == expected


def test_every_language_has_a_case() -> None:
    marks = test_strings_and_comments_are_found.pytestmark[0]  # type: ignore[attr-defined]
    shared = {"typescriptreact"}  # as TypeScript
    assert {entry.ids[0] for entry in LANGUAGES} - {case[0] for case in marks.args[1]} == shared


@pytest.mark.parametrize(
    ("language_id", "text", "inside", "delimiter"),
    [
        ("python", "x = 'a", "string", "'"),
        ("python", "x = 'a\n", "code", ""),  # a string in one line ends with it
        ("python", '"""a\n', "string", '"""'),
        ("python", "x = 'a\\", "string", "'"),
        ("python", "x = 'a\\'", "string", "'"),
        ("python", "x = 'a\\\\'", "code", ""),
        ("python", "# a", "line_comment", ""),
        ("python", "# a\n", "code", ""),
        ("javascript", "`a${b", "string", "`"),
        ("javascript", "/* a *", "block_comment", "/*"),
        ("javascript", "/*/", "block_comment", "/*"),
        ("javascript", "/**/", "code", ""),
        ("rust", "&'a str", "code", ""),
        ("lua", "[[a", "string", "[["),
        ("lua", "--[[a", "block_comment", "--[["),
        ("html", "<!-- a", "block_comment", "<!--"),
    ],
)
def test_the_end_of_a_text_is_inside_what_nothing_ended(language_id: str, text: str, inside: str, delimiter: str) -> None:
    at_end = balance(text, language(language_id))
    assert (at_end.inside, at_end.delimiter) == (inside, delimiter)


@pytest.mark.parametrize(
    ("text", "stack", "excess"),
    [
        ("f(a[", "([", ""),
        ("f(a[0]) {", "{", ""),
        ("f(']') # )", "", ""),
        (") ]", "", ")]"),
        ("(]", "(", "]"),
        ("({)}", "(", ")"),
    ],
)
def test_brackets_that_stay_open_and_those_that_close_nothing(text: str, stack: str, excess: str) -> None:
    at_end = balance(text, language("python"))
    assert (at_end.stack, at_end.excess) == (stack, excess)


def test_brackets_close_what_was_open_before_the_text() -> None:
    at_end = balance(")]", language("python"), stack="{[(")
    assert (at_end.stack, at_end.excess) == ("{", "")


def test_brackets_do_not_count_where_they_need_not_balance() -> None:
    assert balance("1) a :(", language("markdown")).stack == ""
    assert closing("1) a", language("markdown")) == ""
    assert balance("a(", PLAIN).stack == "("


def test_the_balance_of_two_pieces_is_that_of_the_whole() -> None:
    lang = language("javascript")
    one, two = "f(a) ] {\n", "g(b, [ ) `c"
    joined = balance_behind(balance(one, lang), tokens(two, lang), lang)
    assert joined == balance(one + two, lang) == balance_of(tokens(one + two, lang), lang)


def test_what_ends_a_literal() -> None:
    ends = [close_of(mark, language("lua")) for mark in ("[[", "--[[", '"')]
    assert ends == ["]]", "]]", '"']
    assert close_of("/*", language("c")) == "*/"


@pytest.mark.parametrize(("text", "expected"), [("a) b]", ")]"), ("(a) }", "}"), ("[) ]", "]"), ("')' # )", ""), ("", "")])
def test_the_brackets_that_close_what_is_open_before_a_text(text: str, expected: str) -> None:
    assert closing(text, language("python")) == expected


@pytest.mark.parametrize(("stack", "closers", "owed"), [("([", "])", ""), ("([", ")", "["), ("([", "", "[("), ("(", "]", "(")])
def test_what_is_open_and_not_closed_is_owed_innermost_first(stack: str, closers: str, owed: str) -> None:
    assert unclosed(stack, closers) == owed


TEXTS = {
    "python": 'def f(a):\n    """b (\n    c\n    """\n    return {"d": [a,\n        1]}  # e (\n\nx = (\n',
    "javascript": "f(`a\n${b}\n`, [\n  1, // c [\n  /* d\n  { */\n]);\ng({\n",
    "lua": "a = [[b\nc(]]\n--[[ d\n( ]]\nf(\n",
}


@pytest.mark.parametrize("block_cp", [1, 7, 30, 2000])
@pytest.mark.parametrize("language_id", TEXTS)
def test_lexing_lines_in_blocks_equals_lexing_them_whole(language_id: str, block_cp: int) -> None:
    lang = language(language_id)
    lines = TEXTS[language_id].splitlines(keepends=True)
    for n in range(len(lines) + 1):
        text = "".join(lines[:n])
        lex_lines.cache_clear()
        with mock.patch("completer.syntax.lexer._BLOCK_CP", block_cp):
            lexed = lex_lines(text, lang)
        whole = tokens(text, lang)
        open_end = bool(whole) and not whole[-1].closed
        before = whole[:-1] if open_end else whole
        assert lexed.resume == (whole[-1].start if open_end else len(text))
        assert lexed.balance == balance_of(before, lang)
        assert lexed.last == (before[-1].start if before else -1)
        assert lexed.stack_before_last == balance_of(before[:-1], lang).stack
