"""What a key does costs no more than its text is long, whatever a file says.

Each shape is a text that made some pattern, walk or parse cost the square of its length, or more. Measured is the time of the
process, at 5,000 and at 20,000 characters: four times the text may take ten times as long, plus what a busy machine adds.
"""

import gc
import time
from collections.abc import Callable, Iterator

import pytest

from completer.config import Settings
from completer.document.secrets import SecretScan, find_secret
from completer.prompt.context.gather import base_names
from completer.prompt.context.imports import read_imports
from completer.prompt.context.resolvers import settings_of
from completer.prompt.context.skeleton import constant, listing, skeletons
from completer.suggest.block_end import stop_rule
from completer.suggest.partial import clean_partial
from completer.suggest.trim import Showing, trim
from completer.syntax.cursor import cursor_context
from completer.syntax.languages import LANGUAGES
from completer.syntax.tree import OVERDUE_S, PARSE_S, SyntaxTree
from completer.types import Edit, Snapshot

pytestmark = pytest.mark.slow

SHORT, LONG = 5_000, 20_000
SLACK_S = 0.05
MOST_S = 1.0
"""Nothing takes longer than this, a parse that is given up not counted."""

SHAPES = {  # a text begins with the first part; the second one fills it up; the cursor is before the last part
    "letters": ("class ", "a", ""),
    "spaces": ("x = ", " ", "y"),
    "newlines": ("x = [", "\n", "y"),
    "double quotes": ("", '"', ""),
    "single quotes": ("", "'", "\n"),
    "brackets": ("", "([{", ""),
    "closing brackets": ("", ")]}", ""),
    "a keyword": ("", "function ", ""),
    "definitions": ("", "class A(B): # c\n", ""),
    "backslashes": ('x = "', "\\", ""),
    "tags": ("", "<a ", ""),
    "comments": ("", "/* ", ""),
    "other comments": ("", "<!-- --[[ # ", "\n"),
    "blocks": ("", 'if (a) {"a":[', ""),
    "imports": ("", "let{pub(\nuse a::{", ""),
    "tokens": ("", "eyJa-", " ="),
    "mixed": ("", "a.b(\"[{'\\<!--/*", ""),
}
SUGGESTIONS = ('foo(a, b)\n    if x:\n        return [1, "a"]\n    x = {\n\n', 'a("b", [c, {d')


@pytest.fixture(autouse=True)
def _no_collection() -> Iterator[None]:
    """The garbage of other tests is not collected while a call is measured."""
    gc.disable()
    yield
    gc.enable()


def texts(shape: str) -> list[str]:
    head, filling, tail = SHAPES[shape]
    return [(head + filling * n)[:n] + tail for n in (SHORT, LONG)]


def in_code(language_id: str, text: str, tree: SyntaxTree) -> list[Callable[[], object]]:
    """What a key does, at the end of the text and in its middle."""
    calls: list[Callable[[], object]] = []
    for cursor_cp in (len(text), len(text) // 2):
        snapshot = Snapshot("file:///a", 1, language_id, text, cursor_cp)

        def key(snapshot: Snapshot = snapshot) -> None:
            cursor = cursor_context(snapshot, tree)
            stop_rule(Settings(), frozenset(), cursor, snapshot)
            for suggestion in SUGGESTIONS:
                trim(clean_partial(suggestion, snapshot, cursor), snapshot, cursor, Showing(explicit=True))

        calls.append(key)
    return calls


def in_trees(language_id: str, tree: SyntaxTree) -> list[Callable[[], object]]:
    """What the context reads of a file's tree."""
    return [
        lambda: read_imports(tree, language_id),
        lambda: list(skeletons(tree, {"a"})),
        lambda: listing(tree),
    ]


def in_texts(text: str) -> list[Callable[[], object]]:
    """What is read of a text whatever its language is."""
    return [
        lambda: constant(text, "a"),
        lambda: find_secret(text),
        lambda: base_names(text),
        lambda: settings_of(text),
    ]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("language_id", [language.ids[0] for language in LANGUAGES])
def test_a_key_costs_no_more_than_its_text_is_long(language_id: str, shape: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("completer.syntax.tree.PARSE_S", 0.05)  # what a parse costs has a test of its own
    calls = []
    for text in texts(shape):
        tree = SyntaxTree(language_id, text)
        _ = tree.root
        calls.append([*in_code(language_id, text, tree), *in_trees(language_id, tree)])
    check_growth(*calls)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_text_is_searched_in_no_more_time_than_it_is_long(shape: str) -> None:
    check_growth(*map(in_texts, texts(shape)))


def check_growth(short: list[Callable[[], object]], long: list[Callable[[], object]]) -> None:
    for n, (one, four) in enumerate(zip(short, long, strict=True)):
        one_s, four_s = process_time_of(one), process_time_of(four)
        if four_s > SLACK_S:  # perhaps the machine was busy
            one_s, four_s = max(one_s, process_time_of(one)), min(four_s, process_time_of(four))
        assert four_s < min(10 * one_s + SLACK_S, MOST_S), f"call {n}: {one_s * 1e3:.0f} ms, then {four_s * 1e3:.0f} ms"


def process_time_of(call: Callable[[], object]) -> float:
    started = time.process_time()
    call()
    return time.process_time() - started


@pytest.mark.parametrize("language_id", ["go", "c", "java", "lua", "css"])
def test_a_parse_is_given_up_and_the_document_lives_without_a_tree(language_id: str) -> None:
    text = "/* " * 10_000
    tree = SyntaxTree(language_id, text)
    assert process_time_of(lambda: tree.root) < PARSE_S + 0.5
    assert process_time_of(lambda: tree.root) < 0.05  # not tried again at each look
    tree.edit(Edit(0, 0, "x"))
    assert process_time_of(lambda: tree.settled_root) < 0.05
    assert cursor_context(Snapshot("file:///a", 1, language_id, "x" + text, 1), tree).kind


def test_an_overdue_parse_is_given_up_too(monkeypatch: pytest.MonkeyPatch) -> None:
    assert OVERDUE_S < 10
    monkeypatch.setattr("completer.syntax.tree.PARSE_S", 0.02)
    monkeypatch.setattr("completer.syntax.tree.OVERDUE_S", 0.05)
    tree = SyntaxTree("go", "/* " * 10_000)
    assert tree.root is None
    parse = tree.overdue()
    assert parse is not None and parse() is None
    tree.catch_up(None)
    assert tree.overdue() is None  # until it is edited
    tree.edit(Edit(0, 0, "x"))
    assert tree.overdue() is not None


UNSTOPPABLE = [("csharp", "<a "), ("java", "=>then "), ("shellscript", "</<,`"), ("javascript", "in def =>")]


@pytest.mark.parametrize(("language_id", "pattern"), UNSTOPPABLE)
def test_a_text_in_which_the_parser_cannot_be_stopped_is_not_parsed(language_id: str, pattern: str) -> None:
    tree = SyntaxTree(language_id, pattern * 4_000)
    assert process_time_of(lambda: tree.root) < PARSE_S + 0.5
    assert tree.root is None


LARGE = {
    "open brackets": "(" * 100_000,
    "quotes": '"' * 100_000,
    "newlines": "\n" * 1_000_000,
    "deep JSON": '{"a":[' * 20_000 + "1" + "]}" * 20_000,
    "one line of 20 MB": "a = " + "ab c(" * 4_000_000,
    "one word of 20 MB": "a" * 20_000_000,
}


@pytest.mark.parametrize("shape", LARGE)
@pytest.mark.parametrize("language_id", ["python", "json", "cpp"])
def test_a_key_in_a_large_file_is_answered_in_time(language_id: str, shape: str) -> None:
    text = LARGE[shape]
    tree = SyntaxTree(language_id, text)
    _ = tree.settled_root
    for call in in_code(language_id, text, tree):
        assert process_time_of(call) < MOST_S


def test_the_secrets_of_a_long_line_are_scanned_around_the_edit() -> None:
    text = "a = " + "ab c(" * 400_000
    scan = SecretScan(Snapshot("file:///a.py", 1, "python", text, 0))
    token = "ghp_" + "a1B2" * 10
    at = len(text) // 2
    changed = Snapshot("file:///a.py", 2, "python", f"{text[:at]} {token}{text[at:]}", at)
    assert process_time_of(lambda: scan.edit(changed, [Edit(at, at, f" {token}")])) < 0.05
    assert scan.found == "GitHub token"
