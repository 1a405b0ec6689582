"""Anchors freeze the head of a prompt; what is typed after them is all that changes from key to key."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from completer.prompt.prompt import (
    CHARS_PER_TOKEN,
    LONG_LINE_CP,
    MAX_HEAL,
    TOKENS_PER_QUANTUM,
    Window,
    build_prompt,
    context_opening,
    frame,
    set_anchor,
)
from completer.tokens.fim import FORMATS
from completer.tokens.tokenizer import FimIds, Tokenizer
from completer.types import Snapshot
from tests.by_hand import snap

WHOLE = Window(1000, 1000, full=True)
DOCUMENT = "".join(f"total_{n:03} = {n}\n" for n in range(200))  # 16 characters a line and more
PREFIX, SUFFIX, MIDDLE, BOS = 1, 2, 3, 4


def fim_of(name: str) -> FimIds:
    format_ = FORMATS[name]
    middle, bos = (MIDDLE if format_.middle else None), (BOS if format_.bos else None)
    return FimIds(format_, PREFIX, SUFFIX, middle, bos, repo_name=None, file_sep=None, end=frozenset())


def at_line(n: int, text: str = DOCUMENT) -> Snapshot:
    """Return the document with the cursor after the first 4 characters of its line `n`."""
    start = sum(len(line) for line in text.splitlines(keepends=True)[:n])
    return Snapshot("file:///a", 1, "python", text, start + 4)


def test_an_anchor_is_set_at_the_start_of_the_cursors_line(tokenizer: Tokenizer) -> None:
    snapshot = snap("a = 1\nb = ‸2\nc = 3\n")
    anchor = set_anchor(snapshot, WHOLE, tokenizer)
    assert (anchor.head, anchor.typed(snapshot), anchor.tail) == ("a = 1\n", "b = ", "2\nc = 3\n")
    assert (anchor.start_cp, anchor.anchor_cp, anchor.uri, anchor.full) == (0, 6, snapshot.uri, True)


def test_in_a_very_long_line_the_anchor_is_near_the_cursor_and_stays_while_the_user_types(tokenizer: Tokenizer) -> None:
    half = LONG_LINE_CP // 2
    lengths = (LONG_LINE_CP, LONG_LINE_CP + 1, 3 * half - 1, 3 * half)
    anchors = [set_anchor(snap("x\n" + "a" * n + "‸\n"), WHOLE, tokenizer).anchor_cp for n in lengths]
    assert anchors == [2, 2 + LONG_LINE_CP, 2 + LONG_LINE_CP, 2 + 3 * half]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("qwen", [9, PREFIX, 10, 11, SUFFIX, 20, MIDDLE]),
        ("codegemma", [BOS, 9, PREFIX, 10, 11, SUFFIX, 20, MIDDLE]),
        ("deepseek", [BOS, PREFIX, 9, 10, 11, SUFFIX, 20, MIDDLE]),  # this family saw files only as one prefix
        ("codestral", [BOS, 9, SUFFIX, 20, PREFIX, 10, 11]),
        ("mellum", [9, SUFFIX, 20, PREFIX, 10, 11, MIDDLE]),
    ],
)
def test_the_frame_has_the_order_of_the_family(name: str, expected: list[int]) -> None:
    framed = frame([10, 11], [20], fim_of(name), context_ids=[9])
    assert framed == expected
    opening = context_opening(fim_of(name), [9])
    assert framed[: len(opening)] == opening


def test_from_left_to_right_the_prompt_is_the_head_of_the_same_prompt_with_a_suffix(tokenizer: Tokenizer) -> None:
    """So that the prefix cache serves both."""
    assert frame([10, 11], None, fim_of("qwen"), context_ids=[9]) == [9, PREFIX, 10, 11]
    assert frame([10, 11], None, fim_of("deepseek"), context_ids=[9]) == [BOS, PREFIX, 9, 10, 11]
    assert frame([10, 11], None, fim_of("codestral"), context_ids=[9]) == [BOS, 9, PREFIX, 10, 11]
    snapshot = snap("a = 1\nb = ‸\nc = 3\n")
    middle, left = set_anchor(snapshot, WHOLE, tokenizer), set_anchor(snapshot, WHOLE, tokenizer, form="left")
    assert (left.form, left.tail, left.head) == ("left", "", middle.head)
    assert middle.fixed_ids[: len(left.fixed_ids)] == left.fixed_ids


def test_an_anchor_without_a_suffix_does_not_go_stale_but_serves_only_what_is_near(tokenizer: Tokenizer) -> None:
    anchor = set_anchor(snap("a = 1\n‸\nb = 2\n"), WHOLE, tokenizer, form="left")
    assert anchor.match(snap("a = 1\nprint(‸)\nc = 3\n")) == "exact"
    assert anchor.match(snap("a = 2\nprint(‸)\nc = 3\n")) is None
    assert anchor.match(snap("a = 1\n" + "b = 2\n" * 1_000 + "‸")) is None


def test_the_context_block_is_counted_and_comes_first(tokenizer: Tokenizer) -> None:
    anchor = set_anchor(snap("a = 1\n‸\n"), WHOLE, tokenizer, context_ids=[7, 8])
    assert anchor.n_context == 2
    assert anchor.fixed_ids[:2] == (7, 8)


def test_typing_changes_nothing_before_the_typed_text(tokenizer: Tokenizer) -> None:
    anchor = set_anchor(snap("a = 1\n‸\nb\n"), WHOLE, tokenizer)
    prompts = [build_prompt(anchor, "print_total(items)"[:n], tokenizer) for n in range(19)]
    assert {prompt.ids[: prompt.n_fixed] for prompt in prompts} == {anchor.fixed_ids}
    assert tokenizer.bytes_of(prompts[-1].ids[prompts[-1].n_fixed :]) == b"print_total(items)"


@given(typed=st.text("ab rint(_é\n", max_size=20))
def test_what_is_healed_is_the_end_of_the_last_word(tokenizer: Tokenizer, typed: str) -> None:
    prompt = build_prompt(set_anchor(snap("‸"), WHOLE, tokenizer), typed, tokenizer)
    assert prompt.heal_bytes == tokenizer.bytes_of(prompt.ids[len(prompt.ids) - prompt.n_heal :])
    assert typed.encode().endswith(prompt.heal_bytes)
    assert prompt.n_heal <= min(MAX_HEAL, len(prompt.ids) - prompt.n_fixed)
    assert (prompt.n_heal == 0) == (typed == "" or typed.endswith("\n"))


@pytest.mark.parametrize(("typed", "healed"), [("x = qxzw", b"qxzw"), ("qxzwqxzw", b"qxzw"), ("x.q", b"q"), ("x = (", b" (")])
def test_a_word_in_several_tokens_is_healed_as_one_up_to_a_limit(tokenizer: Tokenizer, typed: str, healed: bytes) -> None:
    prompt = build_prompt(set_anchor(snap("‸"), WHOLE, tokenizer), typed, tokenizer)
    assert prompt.heal_bytes.strip() == healed.strip()


def test_a_document_with_crlf_gets_the_prompt_of_one_with_lf(tokenizer: Tokenizer) -> None:
    marked = "a = 1\nb = ‸2\nc = 3\n"
    prompts = []
    for snapshot in (snap(marked), snap(marked.replace("\n", "\r\n"))):
        anchor = set_anchor(snapshot, WHOLE, tokenizer)
        prompts.append(build_prompt(anchor, anchor.typed(snapshot), tokenizer))
    assert prompts[0] == prompts[1]


def test_several_typed_lines_with_crlf_get_line_feeds_too(tokenizer: Tokenizer) -> None:
    anchor = set_anchor(snap("a\r\n‸"), WHOLE, tokenizer)
    assert build_prompt(anchor, "b\r\nc", tokenizer) == build_prompt(anchor, "b\nc", tokenizer)


@pytest.mark.parametrize("n", range(60, 76))
def test_a_full_window_starts_at_a_multiple_of_the_quantum_and_loses_little_by_it(tokenizer: Tokenizer, n: int) -> None:
    anchor = set_anchor(at_line(n), Window(200, 50, full=True), tokenizer)
    assert DOCUMENT.count("\n", 0, anchor.start_cp) % (200 // TOKENS_PER_QUANTUM) == 0
    assert len(anchor.head) >= 600 * 0.7
    assert DOCUMENT[anchor.start_cp - 1] == "\n"
    assert 0 < len(anchor.head) <= 600


def test_the_start_of_a_full_window_stays_while_the_cursor_moves_down_some_lines(tokenizer: Tokenizer) -> None:
    window = Window(200, 50, full=True)
    starts = {set_anchor(at_line(n), window, tokenizer).start_cp for n in range(60, 76)}
    assert len(starts) <= 5


def test_a_small_window_starts_at_the_first_whole_line_that_fits(tokenizer: Tokenizer) -> None:
    anchor = set_anchor(at_line(100), Window(21, 10, full=False), tokenizer)
    lines = DOCUMENT.splitlines(keepends=True)
    assert anchor.head == "".join(lines[96:100])
    assert len(anchor.head) <= 63 < len(lines[95] + anchor.head)


def test_a_suffix_ends_with_a_line_if_one_ends_within_the_window(tokenizer: Tokenizer) -> None:
    ended = set_anchor(snap("‸ab\ncd\n" + "e" * 100), Window(10, 5, full=True), tokenizer)
    endless = set_anchor(snap("‸" + "e" * 100), Window(10, 5, full=True), tokenizer)
    assert (ended.tail, endless.tail) == ("ab\ncd\n", "e" * 5)


@pytest.mark.parametrize("piece", ["a(b,c);", "width * height + ", "QmFzZTY0", "漢字", "\x00\xff"])
@pytest.mark.parametrize("n_cp", [1_000, 4_800, 38_560, 1_000_000])
def test_of_one_endless_line_a_window_takes_as_many_tokens_as_it_has_room_for(
    tokenizer: Tokenizer, piece: str, n_cp: int
) -> None:
    line = (piece * n_cp)[:n_cp]
    window = Window(100, 40, full=False)
    snapshot = snap(f"{line}‸{line}")
    anchor = set_anchor(snapshot, window, tokenizer)
    assert anchor.head and 0 <= snapshot.cursor_cp - anchor.anchor_cp <= LONG_LINE_CP
    assert snapshot.text[anchor.start_cp : anchor.anchor_cp] == anchor.head
    assert anchor.match(snapshot) == "exact"
    for side, n_tokens in ((anchor.head, window.n_before), (anchor.tail, window.n_after)):
        n = len(tokenizer.encode(side))
        assert n <= 1.2 * n_tokens + 2
        assert n > 0.7 * n_tokens or len(side) > 0.9 * CHARS_PER_TOKEN * n_tokens


@pytest.mark.parametrize("n_lines", [1, 2, 5, 12])
@pytest.mark.parametrize("n_cp", [4_800, 36_000])
def test_all_lines_between_a_giant_line_and_the_cursor_are_in_a_full_window(
    tokenizer: Tokenizer, n_cp: int, n_lines: int
) -> None:
    lines = "".join(f"const x{n} = f({n});\n" for n in range(n_lines))
    anchor = set_anchor(
        snap(f'const LOGO = "{"QmFz" * (n_cp // 4)}";\n{lines}return ‸\n'), Window(768, 192, full=True), tokenizer
    )
    assert anchor.head == lines


def match(before: str, after: str, tokenizer: Tokenizer) -> str | None:
    return set_anchor(snap(before), WHOLE, tokenizer).match(snap(after))


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        ("a = 1\n‸\nreturn a\n", "exact"),
        ("a = 1\nprint‸\nreturn a\n", "exact"),
        ("a = 1\nprint(‸)\nreturn a\n", "near"),  # the editor closed the bracket
        ("a = 1\nprint('‸')\nreturn a\n", "near"),
        ("a = 1\nprint(‸ + b)\nreturn a\n", None),  # code, not only closers
        ("a = 1\nprint‸\n", None),  # the suffix was deleted
        ("a = 1\n‸", None),
        ("a = 1\nx‸\nreturn b\n", None),
        ("a = 2\nx‸\nreturn a\n", None),  # the head was edited
        ("a = ‸1\n\nreturn a\n", None),  # the cursor is before the anchor
    ],
)
def test_an_anchor_matches_as_long_as_only_typed_text_and_auto_closed_brackets_differ(
    tokenizer: Tokenizer, after: str, expected: str | None
) -> None:
    assert match("a = 1\n‸\nreturn a\n", after, tokenizer) == expected


def test_where_no_text_follows_the_line_auto_closed_brackets_are_no_near_match(tokenizer: Tokenizer) -> None:
    assert match("a = 1\n‸\n\n", "a = 1\nprint(‸)\n\n", tokenizer) is None


def test_closing_brackets_that_were_typed_over_are_a_near_match(tokenizer: Tokenizer) -> None:
    assert match("f(‸)\nreturn a\n", "f(x)‸\nreturn a\n", tokenizer) == "near"


def test_an_anchor_that_moved_keeps_its_number_and_matches_the_moved_document(tokenizer: Tokenizer) -> None:
    snapshot = at_line(100)
    anchor = set_anchor(snapshot, Window(20, 10, full=False), tokenizer)
    later = Snapshot("file:///a", 2, "python", "import os\n" + DOCUMENT, snapshot.cursor_cp + 10)
    assert anchor.match(later) is None
    assert anchor.moved(10).match(later) == "exact"
    assert anchor.moved(10).number == anchor.number != set_anchor(snapshot, WHOLE, tokenizer).number
