"""Prefill and greedy decoding with healing over a StepEngine, one forward at a time.

    prompt   p0 p1 p2 ... pk | h          h: healed tokens, fed as a draft of themselves
    slot     p0 p1 p2 | x                 keep 3, the rest is fed
    rows               pk h               row pk chooses the token at h: only tokens that reproduce h's bytes

A step of `Decoding.generate`: propose drafts, forward them, verify them row by row, commit what is right.
Between two steps the engine thread may do anything else.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from completer.engines.base import Logits
from completer.generate.choice import Bounds, RowChooser, allowed_ids, bounds_by_row, from_rows, remaining
from completer.generate.drafts.ngrams import NO_DRAFT, Draft, Drafter
from completer.generate.evidence import expected_of
from completer.generate.generator import OnEvent
from completer.generate.known_rows import KnownRows
from completer.generate.slots import PREFILL_FROM, Slot
from completer.generate.stop import Stopper
from completer.tokens.tokenizer import Tokenizer
from completer.types import FinishReason, Request, Stats, Token, Tokens

Steps = Generator[None, None, FinishReason]
"""One request at work: each `next` is a piece of work, the value at the end is the reason why it ended."""
Filling = Generator[None, None, None]
"""A prefill under way."""


class Verified(NamedTuple):
    """What the rows of a forward gave. n_right: of the drafted tokens.  reason: why generation ends, if so."""

    tokens: list[Token]
    n_right: int
    reason: FinishReason | None


@dataclass(slots=True, eq=False)
class Decoding:
    """One request at work on one slot: first `prefill`, then `generate`. Used by the engine thread only.

    rows, and the rates of the drafter, outlive the request.  on_event: called with `Tokens` when the request
    begins, and after each step.  stats: what the request has cost so far; a new value after each step.
    filling: the prefill under way. It may come from an earlier request for nearly the same prompt, and a
        later one may take it over.
    """

    slot: Slot
    request: Request
    tokenizer: Tokenizer
    drafter: Drafter
    rows: KnownRows
    on_event: OnEvent
    stats: Stats = field(default_factory=Stats)
    filling: Filling | None = None
    _ids: list[int] = field(init=False)  # the prompt without its healed tokens, then what was generated
    _bounds: Bounds = field(init=False)  # of the next token
    _stopper: Stopper = field(init=False)
    _started: float = field(init=False, default=0.0)
    _undecided: bool = field(init=False, default=False)  # the last row was too close to a tie

    def __post_init__(self) -> None:
        request, prompt = self.request, self.request.prompt
        self._ids = list(prompt.ids[: self._n_context])
        self._bounds = Bounds(prompt.heal_bytes, request.avoid, expected_of(request.evidence))
        self._stopper = Stopper(request.stop, self.tokenizer, n_healed_bytes=len(prompt.heal_bytes))
        n_keep = min(self.slot.n_shared(prompt.ids), prefill_end(request))
        self.stats = replace(self.stats, n_keep=n_keep, n_feed=len(prompt.ids) - n_keep)

    def prefill(self) -> Iterator[None]:
        """Bring the slot to the prompt, yielding between pieces of work. Mutates: the slot, stats.

        Raises: what the engine raises, after the slot was emptied; what `on_event` raises. Closing the
        iterator leaves the slot valid, and leaves `filling` to its new owner.
        """
        started = time.perf_counter()
        self._emit([])
        for _ in self.filling or ():
            yield
        self.filling = self._fill()
        for _ in self.filling:
            yield
        self.filling = None
        self.stats = replace(self.stats, prefill_ms=_ms_since(started))

    def generate(self) -> Steps:
        """Decode until a stop rule holds, yielding between forwards.

        Mutates: the slot, rows, stats, the drafter's rates.
        Returns (as the generator's value) the FinishReason.  With stop.max_tokens == 0 nothing is decoded.
        Raises: what the engine or `on_event` raises; the slot is emptied first. Closing the generator leaves
        the slot valid.
        """
        if self.request.stop.max_tokens == 0:
            return "length"
        self._started = time.perf_counter()
        if self.request.scratch:
            self.slot.scratch_from = self._n_context
        reason: FinishReason | None = None
        with self.slot.guard():
            while reason is None and len(self._ids) <= self.slot.engine.max_len:
                known = None if self._undecided else self.rows.after(self._ids)
                drafts = self._propose() if known is None else ()
                choose = self._from_known(known) if known is not None else self._forward(drafts)
                verified = self._verify(choose, drafts)
                self._commit(verified, drafts)
                reason = verified.reason
                if reason is None and known is None:
                    yield
        return reason or "length"

    def abandon(self) -> None:
        """End the prefill under way, if there is one.

        Mutates: the slot keeps what went through all layers.
        """
        if self.filling is not None:
            self.filling.close()
            self.filling = None

    def _fill(self) -> Filling:
        """Feed what the slot lacks of the prompt, up to the first row whose logits are wanted.

        A feed too short for a prefill is left for the first forward.  Mutates: the slot.
        """
        ids = self.request.prompt.ids[: prefill_end(self.request)]
        n_shared = self.slot.n_shared(ids)
        if len(ids) - n_shared < PREFILL_FROM and self.request.stop.max_tokens > 0:
            return
        with self.slot.guard():
            n_kept = self.slot.truncate(n_shared)
            yield from self.slot.prefill(ids[n_kept:])

    def _propose(self) -> tuple[Draft, ...]:
        """Return what to verify in the next forward: at first the healed tokens, then the drafter's."""
        if self._undecided:
            return ()
        context, generated = self._ids[: self._n_context], self._ids[self._n_context :]
        n_feed = max(1, len(self._ids) - len(self.slot.ids))
        room = min(self.slot.engine.max_len - len(self._ids), self.request.stop.max_tokens - len(generated) - 1)
        heal = NO_DRAFT if generated else self._healing_draft(context)
        n_heal = len(heal.ids)
        pending = remaining(self._bounds.pending, self.tokenizer.bytes_of(heal.ids))
        extra = self.drafter.propose(context, [*generated, *heal.ids], n_feed + n_heal, room - n_heal, pending)
        return tuple(draft for draft in (heal, extra) if draft.ids)

    def _healing_draft(self, context: Sequence[int]) -> Draft:
        """Return the likely tokens of the healed place: seen after the same text elsewhere, or as typed."""
        prompt = self.request.prompt
        if not prompt.n_heal:
            return NO_DRAFT
        seen = self.drafter.heal(context, prompt.heal_bytes, self.tokenizer.token_bytes)
        return Draft("heal", seen or list(prompt.ids[len(context) :]))

    def _from_known(self, row: Logits) -> RowChooser:
        """Return the chooser of a row that was computed before; no forward is needed."""
        return from_rows(row[None], [self._bounds], self.tokenizer, self.slot.engine.costs.logit_noise)

    def _forward(self, drafts: Sequence[Draft]) -> RowChooser:
        """Feed what the slot lacks, then the drafts; return the chooser of their rows and the one before.

        Mutates: the slot, rows (unless the engine chooses on its device: then they stay there), stats.
        """
        slot, proposed = self.slot, _ids_of(drafts)
        feed = slot.keep(self._ids)
        if self._undecided and len(feed) > 1:
            slot.forward(feed[:-1], 0)  # a near-tie is decided by a forward over one token
            feed = feed[-1:]
        self.stats = replace(self.stats, n_forwards=self.stats.n_forwards + 1)
        bounds = bounds_by_row(self._bounds, proposed, self.tokenizer)
        # The first rows of an alternative must travel, and those that are weighed against evidence.
        if slot.can_choose and not self._bounds.avoid and not self._bounds.expected.text:
            allowed = [allowed_ids(one.pending, self.tokenizer) for one in bounds]
            chosen = slot.forward_choices([*feed, *proposed], allowed)
            return lambda row: Token(*chosen[row])
        logits = slot.forward([*feed, *proposed], len(bounds))
        if not self.request.scratch:
            for n, row in enumerate(logits, len(self._ids)):
                self.rows.keep(slot.ids[:n], row)
        is_alone = len(feed) + len(proposed) == 1
        return from_rows(logits, bounds, self.tokenizer, 0.0 if is_alone else slot.engine.costs.logit_noise)

    def _verify(self, choose: RowChooser, drafts: Sequence[Draft]) -> Verified:
        """Choose a token in each row as long as the drafts are right.

        Mutates: the bounds, the stop rule's state.
        """
        tokens: list[Token] = []
        n_right = 0
        reason: FinishReason | None = None
        for row, drafted in enumerate((*_ids_of(drafts), None)):
            token = choose(row)
            self._undecided = token is None
            if token is None:
                break
            reason = self._stopper.before(token)
            if reason is None:
                self._bounds = self._bounds.after(self.tokenizer.token_bytes[token.id])
                tokens.append(token)
                reason = self._stopper.after(token)
            n_right += token.id == drafted
            if reason is not None or token.id != drafted:
                break
        return Verified(tokens, n_right, reason)

    def _commit(self, verified: Verified, drafts: Sequence[Draft]) -> None:
        """Keep the right drafts in the slot, count, and hand out the tokens.

        Mutates: the slot, stats, the drafter's rates.
        """
        if drafts:
            self.slot.truncate(len(self._ids) + verified.n_right)
        self._ids.extend(token.id for token in verified.tokens)
        self._credit(drafts, verified.n_right)
        decode_ms, stats = _ms_since(self._started), self.stats
        self.stats = replace(
            stats,
            ttft_ms=stats.ttft_ms or stats.queue_ms + stats.prefill_ms + decode_ms,
            n_generated=len(self._ids) - self._n_context,
            decode_ms=decode_ms,
        )
        if verified.tokens:
            self._emit(verified.tokens)

    def _credit(self, drafts: Sequence[Draft], n_right: int) -> None:
        """Credit the right tokens to the drafts in their order. Mutates: stats, the drafter's rates."""
        if not drafts:
            return
        drafted, accepted = Counter(self.stats.drafted), Counter(self.stats.accepted)
        for draft in drafts:
            n = min(n_right, len(draft.ids))
            drafted[draft.source] += len(draft.ids)
            accepted[draft.source] += n
            if draft.source != "heal":
                self.drafter.record(draft, n)
            if n < len(draft.ids):
                break  # the next draft was not looked at
            n_right -= n
        self.stats = replace(self.stats, drafted=dict(drafted), accepted=dict(accepted))

    def _emit(self, tokens: Sequence[Token]) -> None:
        self.on_event(Tokens(self.request.id, tuple(tokens), self.stats))

    @property
    def _n_context(self) -> int:
        """How many of the prompt's tokens stay: all but the healed ones."""
        return len(self.request.prompt.ids) - self.request.prompt.n_heal


def prefill_end(request: Request) -> int:
    """Return how many of a prompt's tokens a prefill feeds: those before the first row that is wanted."""
    return max(0, len(request.prompt.ids) - 1 - request.prompt.n_heal)


def _ids_of(drafts: Sequence[Draft]) -> list[int]:
    return [id_ for draft in drafts for id_ in draft.ids]


def _ms_since(start: float) -> float:
    return (time.perf_counter() - start) * 1e3
