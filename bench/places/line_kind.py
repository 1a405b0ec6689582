"""What kind of line is missing. Rules in the order in which they are tried; most read text and are rough.

comment     nothing but a comment, or inside a block comment
string      inside a string of several lines, or nothing but a string and punctuation
import      part of an import, as `completer.syntax.languages` has it, or a `require` into a variable
closer      nothing but closing brackets, `end` and the like, closing tags, and punctuation
header      ends with what opens a block or a bracket, or the next line is a lone `{`
arguments   inside parentheses or square brackets, or an entry with a comma at its end inside braces
statement   all others
"""

from __future__ import annotations

import re

from completer.syntax.languages import Language, language
from completer.syntax.lexer import balance, tokens
from completer.syntax.tree import SyntaxTree

KINDS = ("statement", "header", "arguments", "closer", "import", "string", "comment")

_REQUIRE = re.compile(r"(?:const|let|var)\s.*=\s*require\(")
_USING_STATEMENT = re.compile(r"using\s*(?:\(|var\b)")
"""C#: `using var x = …` and `using (…)` are statements, `using System;` is an import."""
_TAG = re.compile(r"</[\w.:-]*>|/>|\?>")
_STRING = re.compile(r"string|heredoc|text_block")
_CODE_IN_STRING = re.compile(r"substitution|interpolation$")
_NOTHING_BESIDES = re.compile(r"\s*[bBfFrRuU$@]{0,2}[\s,;+.\\()\[\]{}]*")
"""Beside a string: the letters before its quote (f"…", r"…") and punctuation."""
_CLOSERS = ")]};,. \t"


def line_kind(above: str, line: str, below: str, language_id: str) -> str:
    """Return one of KINDS for `line` (without its line break) between the text above and below it."""
    syntax = language(language_id)
    if around := _around(above, line, below, language_id):
        return around
    code, bare = _without(line, syntax, "comment"), line.strip()
    if not code.strip():
        return "comment"
    if _is_import(bare, syntax):
        return "import"
    if _is_closer(code.strip(), syntax):
        return "closer"
    if _opens(code.rstrip(), below, syntax):
        return "header"
    if _is_string(code, syntax):
        return "string"
    before = balance(above, syntax)
    # By the tree it is no string: where the lexer takes it for one, its brackets are wrong, too.
    opened = before.stack[-1:] if before.inside != "string" else ""
    if opened in ("(", "[") or (opened == "{" and code.rstrip().endswith(",")):
        return "arguments"
    return "statement"


def _around(above: str, line: str, below: str, language_id: str) -> str:
    """Return what the line's first character is in, by the tree: comment, string, import, or ""."""
    tree = SyntaxTree(language_id, above + line + below)
    for node in tree.ancestors(len(above) + len(line) - len(line.lstrip()) + 1):
        if _CODE_IN_STRING.search(node.type):
            return ""
        if "comment" in node.type:
            return "comment"
        if _STRING.search(node.type) and node.start_point[0] < above.count("\n"):
            return "string"
        if node.type in tree.language.imports:
            return "import"
    return ""


def _without(line: str, syntax: Language, what: str) -> str:
    """Return `line` without its tokens of which the kind ends with `what`."""
    for token in reversed(tokens(line, syntax)):
        if token.kind.endswith(what):
            line = line[: token.start] + line[token.end :]
    return line


def _is_import(bare: str, syntax: Language) -> bool:
    if _USING_STATEMENT.match(bare):
        return False
    return bool(re.match(syntax.import_line, bare) or _REQUIRE.match(bare))


def _is_closer(bare: str, syntax: Language) -> bool:
    rest = _TAG.sub("", bare)
    for ender in syntax.enders:
        rest = re.sub(rf"\b{ender}\b", "", rest)
    return not rest.strip(_CLOSERS)


def _opens(code: str, below: str, syntax: Language) -> bool:
    next_line = below.lstrip("\n").split("\n", 1)[0]
    if re.search(rf"(?:{syntax.opener}|[(\[{{])$", code):
        return True
    return next_line.strip() == "{" and not code.endswith((";", ","))


def _is_string(code: str, syntax: Language) -> bool:
    rest = _without(code, syntax, "string")
    return rest != code and _NOTHING_BESIDES.fullmatch(rest) is not None
