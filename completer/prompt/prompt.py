"""From snapshot to prompt: an anchor freezes the prefix, and what is typed since follows the middle token.

    document  ......|start ........... anchor|typed|cursor ......... end|......
    prompt    context <prefix> text[start:anchor] <suffix> text[cursor:end] <middle> typed

While the user types, everything up to <middle> stays byte-identical, so a keystroke feeds only the end of `typed`.
Source: EFIM (2505.21889), with token healing in place of training.

What follows is not always told: a small model takes the function after an empty body for the body's continuation.
Where nothing of the cursor's block follows, the form is "left":

    prompt    context <prefix> text[start:anchor] typed
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from completer.tokens.tokenizer import FimIds, Tokenizer
from completer.types import Prompt, PromptForm, Snapshot

LONG_LINE_CP = 480
"""In a longer line an anchor is set at a multiple of half of this: all after it is tokenised anew at each key, and what is
typed after an anchor is not part of a window, which a first answer must be able to prefill."""
TOKENS_PER_QUANTUM = 48
"""A full window starts at a multiple of a number of lines, so that its first token stays where it is while the cursor
moves: 16 lines for 768 tokens before the cursor, fewer in a smaller window, which would lose up to half of its lines."""
CHARS_PER_TOKEN = 3.0
"""Low estimate for code; real text has 3 to 4."""

MAX_LEFT_CP = 2_000
"""How far after an anchor without a suffix its prompt serves."""

MAX_HEAL = 4
"""Most tokens that are taken back; each costs a row of the first forward."""

Match = Literal["exact", "near"]
_CLOSERS = re.compile(r"""[)\]}>"'`;, \t\r]{0,200}\n""")
"""The rest of a line, its end included, that an editor may have put there itself."""

_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Window:
    """How much of the document goes into a prompt, in tokens. full: False for the small window of a cold start."""

    n_before: int
    n_after: int
    full: bool


@dataclass(frozen=True, slots=True)
class Anchor:
    """A frozen prompt head. start_cp <= anchor_cp; head = text[start_cp:anchor_cp]; tail: the suffix as it was.

    form: of the prompt; an anchor "left" has no tail, so it never goes stale.

    fixed_ids: all tokens in front of the typed ones.  n_context: how many of them are the context block.
    overtaken: the window began where the document did, and text was inserted there since: an import, often.
    number: unique, so that what was made for one anchor is never taken for another's.
    """

    uri: str
    start_cp: int
    anchor_cp: int
    head: str
    tail: str
    fixed_ids: tuple[int, ...]
    full: bool
    n_context: int = 0
    form: PromptForm = "middle"
    overtaken: bool = False
    number: int = field(default_factory=lambda: next(_numbers))

    def match(self, snapshot: Snapshot) -> Match | None:
        """Say whether the anchor still describes the document.

        "exact": only typed text differs.  "near": closing brackets and quotes after the cursor differ too (an editor that
        closes them does that at every key), so the prompt is a little stale.  None: it cannot be used; least of all
        when its suffix holds a text that was deleted meanwhile, which the model would give back.
        """
        text, cursor = snapshot.text, snapshot.cursor_cp
        if cursor < self.anchor_cp or not text.startswith(self.head, self.start_cp):
            return None
        if self.form == "left" and cursor - self.anchor_cp > MAX_LEFT_CP:
            return None  # without a suffix, every place farther down would match
        if text.startswith(self.tail, cursor):
            return "exact"
        rest, found, below = self.tail.partition("\n")
        closers = _CLOSERS.match(text, cursor)
        if found and closers and _CLOSERS.fullmatch(rest + found) and below.strip() and text.startswith(below, closers.end()):
            return "near"
        return None

    def typed(self, snapshot: Snapshot) -> str:
        return snapshot.text[self.anchor_cp : snapshot.cursor_cp]

    def moved(self, by_cp: int) -> Anchor:
        """Return the same anchor after text in front of its window grew by `by_cp`; it keeps its number."""
        overtaken = self.overtaken or self.start_cp == 0
        return replace(self, start_cp=self.start_cp + by_cp, anchor_cp=self.anchor_cp + by_cp, overtaken=overtaken)


def set_anchor(
    snapshot: Snapshot, window: Window, tokenizer: Tokenizer, context_ids: Sequence[int] = (), form: PromptForm = "middle"
) -> Anchor:
    """Freeze an anchor at the start of the cursor's line, with as many whole lines around it as the window takes.

    In a very long line the anchor is nearer to the cursor.
    context_ids: the context block, which the prompt begins with.  form: of the prompt.
    """
    text = snapshot.text
    start_cp, anchor_cp = anchor_at(snapshot, window)
    head, tail = text[start_cp:anchor_cp], ""
    if start_cp and text[start_cp - 1] not in "\r\n":  # one endless line, perhaps of much more tokens than code has
        head = head[-_n_fitting(head, window.n_before, tokenizer) :]
    tail_ids = None
    if form == "middle":
        end_cp = _window_end(text, snapshot.cursor_cp, int(window.n_after * CHARS_PER_TOKEN))
        tail = text[snapshot.cursor_cp : end_cp]
        tail = tail if end_cp == len(text) or tail.endswith("\n") else tail[: _n_fitting(tail, window.n_after, tokenizer)]
        tail_ids = tokenizer.encode(lf(tail))
    fixed_ids = frame(tokenizer.encode(lf(head)), tail_ids, tokenizer.fim, context_ids)
    start_cp = anchor_cp - len(head)
    return Anchor(snapshot.uri, start_cp, anchor_cp, head, tail, tuple(fixed_ids), window.full, len(context_ids), form)


def _n_fitting(text: str, n_tokens: int, tokenizer: Tokenizer) -> int:
    """Return how many characters of a text that is one line make about `n_tokens` tokens, at least one."""
    return max(1, len(text) * n_tokens // max(n_tokens, len(tokenizer.encode(text)), 1))


def anchor_at(snapshot: Snapshot, window: Window) -> tuple[int, int]:
    """Return start_cp and anchor_cp of an anchor for the snapshot."""
    anchor_cp = snapshot.line_start_cp
    if (column := snapshot.cursor_cp - anchor_cp) > LONG_LINE_CP:
        anchor_cp += column // (LONG_LINE_CP // 2) * (LONG_LINE_CP // 2)
    return _window_start(snapshot.text, anchor_cp, window), anchor_cp


def frame(head_ids: list[int], tail_ids: list[int] | None, fim: FimIds, context_ids: Sequence[int] = ()) -> list[int]:
    """Put prefix and suffix tokens between the special tokens of the family, up to where the typed text goes.

    tail_ids: None: there is no suffix, and the model writes on from left to right. The prefix token stays: it does no
    harm, and all up to the anchor is in the slot already where the middle was filled in before.
    """
    opening = context_opening(fim, context_ids)
    middle = [] if fim.middle is None else [fim.middle]
    if tail_ids is not None and fim.format.order == "spm":
        return [*opening, fim.suffix, *tail_ids, fim.prefix, *head_ids, *middle]
    prefix = [] if fim.format.context_in_prefix else [fim.prefix]
    head = [*opening, *prefix, *head_ids]
    return head if tail_ids is None else [*head, fim.suffix, *tail_ids, *middle]


def context_opening(fim: FimIds, context_ids: Sequence[int]) -> list[int]:
    """Return what a prompt with this context block begins with, whatever the document contains."""
    bos = [] if fim.bos is None else [fim.bos]
    prefix = [fim.prefix] if fim.format.context_in_prefix else []
    return [*bos, *prefix, *context_ids]


def build_prompt(anchor: Anchor, typed: str, tokenizer: Tokenizer) -> Prompt:
    """Return the prompt for the text typed after the anchor; the tokens of its last word are to be healed.

    A line break is left alone: no token worth generating begins with one, and healing it would invite blank lines.
    """
    typed_ids = tokenizer.encode(lf(typed))
    n_heal = n_word_tokens(typed_ids, tokenizer) if typed_ids and not typed.endswith("\n") else 0
    heal_bytes = tokenizer.bytes_of(typed_ids[-n_heal:]) if n_heal else b""
    return Prompt((*anchor.fixed_ids, *typed_ids), n_heal, heal_bytes, len(anchor.fixed_ids))


def n_word_tokens(ids: Sequence[int], tokenizer: Tokenizer) -> int:
    """Return how many tokens at the end of `ids` reach back to the start of its last word, 1 to MAX_HEAL.

    A word begun is often split otherwise than the whole word (`retur` is ` ret` + `ur`): with only the last of its
    tokens healed, the model goes on from a split that it never saw. A word here: letters, and whatever is not ASCII.
    """
    n = 1
    while n < min(len(ids), MAX_HEAL):
        first, before = tokenizer.bytes_of(ids[-n:])[:1], tokenizer.bytes_of(ids[-n - 1 : -n])[-1:]
        if not (_is_letter(first) and _is_letter(before)):
            break
        n += 1
    return n


def _is_letter(byte: bytes) -> bool:
    return byte.isalpha() or byte >= b"\x80"


def lf(text: str) -> str:
    """Models saw line feeds: CRLF documents are shown to them as such, and suggestions have line feeds, too."""
    return text.replace("\r\n", "\n")


def _window_start(text: str, anchor_cp: int, window: Window) -> int:
    """Return where the prefix begins: a line start within the budget, at a multiple of some lines in a full window."""
    earliest = anchor_cp - int(window.n_before * CHARS_PER_TOKEN)
    if earliest <= 0:
        return 0
    start = text.find("\n", earliest, anchor_cp) + 1
    if start == 0:
        return earliest  # one endless line: take its end
    if not window.full:
        return start
    line, quantised = text.count("\n", 0, start), start
    for _ in range(-line % max(1, window.n_before // TOKENS_PER_QUANTUM)):
        later = text.find("\n", quantised, anchor_cp) + 1
        if later == 0 or anchor_cp - later < (anchor_cp - earliest) // 2:
            return start  # too much would be lost, as between a line of data and the cursor
        quantised = later
    return quantised


def _window_end(text: str, cursor_cp: int, n_chars: int) -> int:
    """Return where the suffix ends: the last line end within `n_chars` after the cursor, the cursor's own line at least."""
    if cursor_cp + n_chars >= len(text):
        return len(text)
    end = text.rfind("\n", cursor_cp, cursor_cp + n_chars)
    return end + 1 if end >= 0 else cursor_cp + n_chars
