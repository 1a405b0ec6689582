"""The anchors of one document: which of them serves a snapshot, and when idle time should make a better one.

first key at a new place      small window, chosen so that its prefill fits COLD_MS
explicit request there        full window at once: the user waits for a good answer
then, in idle time            full window on another slot, later one after the context block; the next key finds it warm
cursor rests at a new place   the same, one after the other, before anything is typed
much typed, or suffix stale   the same: re-anchored in idle time while keys go on with the old anchor
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

from cachetools import LRUCache

from completer.engines.base import CostCurve
from completer.prompt.prompt import (
    Anchor,
    Match,
    Window,
    anchor_at,
    build_prompt,
    context_opening,
    set_anchor,
)
from completer.tokens.tokenizer import Tokenizer
from completer.types import Edit, Prompt, PromptForm, Snapshot

COLD_MS = 180.0
"""What the prefill of a first answer at a new place may take; its decoding comes on top."""
FULL_MS = 1500.0
"""What the prefill of a full window may take in idle time; a slower machine gets a smaller window."""
FULL_BEFORE = 768
FULL_AFTER = 192
MIN_FULL = 320
"""Tokens of a full window at the least: costs that were measured on a busy machine must not blind the model."""
MAX_TYPED = 160
"""Tokens after an anchor above which idle time moves it."""
MAX_ANCHORS = 4
MAX_COLD_CONTEXT = 16
"""Tokens of the context block that a first answer at a new place may have to prefill."""
CONTEXT_MS = 1200.0
"""What the prefill of the context block may take in idle time."""
PATH_TOKENS = 64
"""Kept for the document's own path after the block."""
MAX_CONTEXT = 720
"""Longest context block; each token after it costs a little in every decode step."""

RESERVE = MAX_TYPED + 128
"""Tokens of a slot for what is typed and what is generated."""

Cached = Callable[[Sequence[int]], int]
"""Returns how many tokens of a prompt the engine's slots hold already."""


def context_budget(costs: CostCurve, max_len: int) -> int:
    """Return the most tokens of a context block that idle time and a slot have room for beside a full window."""
    window = full_window(costs, max_len)
    n_full = window.n_before + window.n_after
    return max(0, int(min(MAX_CONTEXT, CONTEXT_MS / costs.prefill_ms_per_token, max_len - RESERVE - n_full - PATH_TOKENS)))


def full_window(costs: CostCurve, max_len: int) -> Window:
    """Return the window of idle time and of explicit requests on a machine with these costs."""
    n_full = min(max_len - RESERVE, max(MIN_FULL, FULL_MS / costs.prefill_ms_per_token))
    share = min(1.0, n_full / (FULL_BEFORE + FULL_AFTER))
    return Window(int(FULL_BEFORE * share), int(FULL_AFTER * share), full=True)


class Chosen(NamedTuple):
    """An anchor with the prompt it gives."""

    anchor: Anchor
    prompt: Prompt


class Anchors:
    """Owned by the event loop. Most recently used first."""

    def __init__(
        self, tokenizer: Tokenizer, costs: CostCurve, cached: Cached, max_len: int, name_ids: Sequence[int] = ()
    ) -> None:
        """name_ids: the tokens that name the document; they are part of every prompt, with or without a context block."""
        self._name_ids = tuple(name_ids)
        self._tokenizer = tokenizer
        self._costs = costs
        self._cached = cached
        self._anchors: list[Anchor] = []
        self._prompts: LRUCache[tuple[int, str], Prompt] = LRUCache(2 * MAX_ANCHORS)
        self._full = full_window(costs, max_len)
        self._longest = max_len - RESERVE
        n_cold = max(64, min(int(COLD_MS / costs.prefill_ms_per_token), FULL_BEFORE))
        self._cold = Window(n_cold * 3 // 4, n_cold // 4, full=False)

    def choose(
        self, snapshot: Snapshot, context_ids: Sequence[int] = (), *, explicit: bool = False, form: PromptForm = "middle"
    ) -> Chosen:
        """Return the anchor for a foreground request: one that matches and is warm, or a new one.

        explicit: the user waits, so the prompt always shows the full window, whatever its prefill costs. Otherwise an
        anchor with a full window goes before one with a small window, and a new place gets a small window.
        context_ids: the document's context block; a small window includes it only if some slot holds it already.
        form: of the prompt that the place wants; an anchor of another form does not serve it.
        Mutates: the order of the anchors; a new anchor is remembered.
        """
        for anchor, match in self._matching(snapshot, form):
            prompt = self.prompt(anchor, snapshot)
            if explicit:
                usable = self._is_good(anchor, match, prompt, snapshot) and self._begins_well(anchor, snapshot)
            else:
                usable = self._missing_ms(prompt) <= COLD_MS
            if usable:
                self.use(anchor)
                return Chosen(anchor, prompt)
        make = self._full_anchor if explicit else self._first_anchor
        anchor = make(snapshot, context_ids, form)
        self.use(anchor)
        return Chosen(anchor, self.prompt(anchor, snapshot))

    def better(self, snapshot: Snapshot, context_ids: Sequence[int] = (), form: PromptForm = "middle") -> Anchor | None:
        """Return the anchor that idle time should prefill for this snapshot, or None if there is nothing to do.

        First a small window, as the user may type before a full one is ready; then a full window; then a full window
        after the context block. The block takes the second step at once if a slot holds it already.
        context_ids: the document's context block. That it grew is no reason for a new anchor; that there is one now, is.
        """
        served = has_full = False
        for anchor, match in self._matching(snapshot, form):
            prompt = self.prompt(anchor, snapshot)
            warm = len(prompt.ids) - self._cached(prompt.ids) <= MAX_TYPED // 4
            if self._is_good(anchor, match, prompt, snapshot):
                if not warm:
                    return anchor
                if anchor.n_context or not context_ids:
                    return None
                has_full = True
            served = served or warm
        if not served:
            return self._first_anchor(snapshot, context_ids, form)
        led = has_full or self._is_warm(context_ids)
        anchor = self._full_anchor(snapshot, context_ids if led else (), form)
        return None if has_full and not anchor.n_context else anchor

    def _matching(self, snapshot: Snapshot, form: PromptForm) -> list[tuple[Anchor, Match]]:
        """Return the anchors that serve the snapshot, those with a full window first."""
        found = []
        for anchor in sorted(self._anchors, key=lambda anchor: not anchor.full):
            match = anchor.match(snapshot) if anchor.form == form else None
            if match is not None:
                found.append((anchor, match))
        return found

    def _begins_well(self, anchor: Anchor, snapshot: Snapshot) -> bool:
        """Whether a new anchor would have the same head. Without a suffix, an anchor from elsewhere matches, too; a new one
        costs what is between the two.
        """
        return anchor.form != "left" or (anchor.start_cp, anchor.anchor_cp) == anchor_at(snapshot, self._full)

    def prompt(self, anchor: Anchor, snapshot: Snapshot) -> Prompt:
        """Return the prompt of an anchor. One key asks for it several times. Mutates: the prompts that are kept."""
        key = anchor.number, anchor.typed(snapshot)
        prompt = self._prompts.get(key)
        if prompt is None:
            prompt = self._prompts[key] = build_prompt(anchor, key[1], self._tokenizer)
        return prompt

    def _full_anchor(self, snapshot: Snapshot, context_ids: Sequence[int], form: PromptForm) -> Anchor:
        """Return an anchor with the full window, as much of it as a slot has room for; the block gives way first.

        A window is measured in characters, and some texts make more tokens of them than code does.
        """
        anchor = self._set(snapshot, self._full, form, context_ids)
        window = self._full
        while (n_tokens := len(anchor.fixed_ids)) > self._longest and window.n_before:
            share = 1.0 if anchor.n_context else 0.9 * self._longest / n_tokens
            window = Window(int(window.n_before * share), int(window.n_after * share), full=True)
            anchor = self._set(snapshot, window, form)
        return anchor

    def _first_anchor(self, snapshot: Snapshot, context_ids: Sequence[int], form: PromptForm) -> Anchor:
        """Return the first anchor at a new place: with a small window, unless the slots hold most of a full one already.

        They do if the form of the prompt changes while the user types: both forms begin alike.
        """
        if any(anchor.full for anchor in self.others(snapshot, form)):
            anchor = self._full_anchor(snapshot, context_ids, form)
            if self._missing_ms(self.prompt(anchor, snapshot)) <= COLD_MS:
                return anchor
        return self._cold_anchor(snapshot, context_ids, form)

    def _cold_anchor(self, snapshot: Snapshot, context_ids: Sequence[int], form: PromptForm) -> Anchor:
        return self._set(snapshot, self._cold, form, context_ids if self._is_warm(context_ids) else ())

    def _set(self, snapshot: Snapshot, window: Window, form: PromptForm, context_ids: Sequence[int] = ()) -> Anchor:
        """Return an anchor after the context block, which ends with the document's name, or after the name alone."""
        anchor = set_anchor(snapshot, window, self._tokenizer, context_ids or self._name_ids, form)
        return anchor if context_ids else replace(anchor, n_context=0)

    def _is_warm(self, context_ids: Sequence[int]) -> bool:
        """Whether a prompt that begins with this block costs next to nothing for it."""
        opening = context_opening(self._tokenizer.fim, context_ids)
        return bool(context_ids) and self._cached(opening) >= len(opening) - MAX_COLD_CONTEXT

    def _missing_ms(self, prompt: Prompt) -> float:
        """Return what the prefill of the prompt would take now."""
        return (len(prompt.ids) - self._cached(prompt.ids)) * self._costs.prefill_ms_per_token

    def last_full(self, form: PromptForm) -> Anchor | None:
        """Return the anchor of a form with a full window that was used last."""
        return next((anchor for anchor in self._anchors if anchor.full and anchor.form == form), None)

    def others(self, snapshot: Snapshot, form: PromptForm) -> list[Anchor]:
        """Return the anchors of other forms that describe the document: a suggestion of theirs may still be typed along."""
        return [anchor for anchor in self._anchors if anchor.form != form and anchor.match(snapshot) == "exact"]

    def use(self, anchor: Anchor) -> None:
        """Put `anchor` first. Mutates: the anchors; the least recently used one is forgotten."""
        self._anchors = [anchor, *(a for a in self._anchors if a.number != anchor.number)][:MAX_ANCHORS]

    def edited(self, edits: Sequence[Edit]) -> None:
        """Follow edits in front of the windows. Mutates: the anchors' offsets; those edited inside no longer match."""
        for edit in edits:
            by_cp = len(edit.new_text) - (edit.old_end_cp - edit.start_cp)
            self._anchors = [a.moved(by_cp) if by_cp and _is_in_front(edit, a) else a for a in self._anchors]

    def _is_good(self, anchor: Anchor, match: Match, prompt: Prompt, snapshot: Snapshot) -> bool:
        """Whether a new anchor would not be better. One that is where a new one would be is not, however much is typed."""
        near = len(prompt.ids) - prompt.n_fixed <= MAX_TYPED or anchor.anchor_cp == anchor_at(snapshot, self._full)[1]
        return anchor.full and match == "exact" and not anchor.overtaken and near


def _is_in_front(edit: Edit, anchor: Anchor) -> bool:
    """Whether the anchor's window moves with the edit. What is inserted at an anchor without a head is typed after it."""
    return edit.old_end_cp <= anchor.start_cp and edit.start_cp < anchor.anchor_cp
