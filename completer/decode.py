"""Prefill and greedy decoding with healing over a StepEngine, one forward at a time.

    prompt   p0 p1 p2 ... pk | h          h: healed tokens, fed as a draft of themselves
    slot     p0 p1 p2 | x                 keep 3, the rest is fed
    rows               pk h               row pk chooses what stands at h: only tokens that reproduce h's bytes

`decode` is a generator: between two of its steps the engine thread may do anything else. It owns the commit of token
ids to the slot: `SlotState.ids` names a token only after the forward that wrote it, and is cleared by an exception.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field

import numpy as np

from completer.engines.base import Logits, StepEngine
from completer.prefix import diff
from completer.speculate import NO_DRAFT, Draft, Drafter
from completer.stopping import Stopper
from completer.tokenizer import Tokenizer
from completer.types import FinishReason, GenerateRequest, GenerateStats, Token

PREFILL_FROM = 12
"""Shortest feed that goes through `prefill`; shorter ones ride in the first forward."""


@dataclass(slots=True)
class SlotState:
    """What the caller knows of one slot. ids: the tokens it holds; session: whose they are; used: a clock for eviction."""

    index: int
    ids: list[int] = field(default_factory=list)
    session: str = ""
    used: int = 0


Emit = Callable[[list[Token]], None]
Steps = Generator[None, None, FinishReason]
"""One request at work: each `next` is a piece of work, the value at the end says why it ended."""


def decode(
    engine: StepEngine,
    slot: SlotState,
    request: GenerateRequest,
    tokenizer: Tokenizer,
    drafter: Drafter,
    stats: GenerateStats,
    emit: Emit,
) -> Steps:
    """Bring the slot to the prompt, then generate until a stop rule holds; yield between forwards.

    Returns (as the generator's value) the FinishReason.  With stop.max_tokens == 0 only the prompt is prefilled.
    emit: called with the tokens of each forward, healed ones included.  Mutates: slot, stats, the drafter's rates.
    Raises: what the engine raises; the slot is emptied first. Closing the generator leaves the slot valid.
    """
    started = time.perf_counter()
    return (yield from guarded(engine, slot, _decode(engine, slot, request, tokenizer, drafter, stats, emit, started)))


def guarded(engine: StepEngine, slot: SlotState, steps: Steps) -> Steps:
    """Pass on the steps of `steps`; whatever ends them, `slot.ids` is then what the engine's slot holds. Mutates: slot."""
    try:
        return (yield from steps)
    except GeneratorExit:
        raise  # abandoned between two forwards: the slot holds what was committed, and nothing else
    except BaseException:
        slot.ids.clear()
        engine.truncate(slot.index, 0)
        raise


def prefill(engine: StepEngine, slot: SlotState, request: GenerateRequest, stats: GenerateStats) -> Steps:
    """Truncate to the common prefix and feed all of the prompt but the rows whose logits are wanted.

    A feed too short to be worth it is left for the first forward.  Mutates: slot, stats (keep and feed, once).
    """
    prompt_ids = request.prompt.ids
    plan = diff(slot.ids, prompt_ids, 1 + request.prompt.n_heal)
    if not stats.n_feed:
        stats.n_keep, stats.n_feed = plan
    del slot.ids[engine.truncate(slot.index, plan.keep) :]
    end = prefill_end(request)
    if end - len(slot.ids) < PREFILL_FROM and request.stop.max_tokens > 0:
        return "length"
    feed = prompt_ids[len(slot.ids) : end]
    start = len(slot.ids)
    for _ in engine.prefill(slot.index, feed):
        # A prefill may commit part by part; what is whole can be kept if it is abandoned.
        slot.ids.extend(prompt_ids[len(slot.ids) : engine.length(slot.index)])
        yield
    slot.ids[start:] = feed
    return "length"


def prefill_end(request: GenerateRequest) -> int:
    """Return how many of the prompt's tokens a prefill feeds: all in front of the first row whose logits are wanted."""
    return len(request.prompt.ids) - 1 - request.prompt.n_heal


def _decode(
    engine: StepEngine,
    slot: SlotState,
    request: GenerateRequest,
    tokenizer: Tokenizer,
    drafter: Drafter,
    stats: GenerateStats,
    emit: Emit,
    started: float,
) -> Steps:
    yield from prefill(engine, slot, request, stats)
    stats.prefill_ms += _ms_since(started)
    if request.stop.max_tokens == 0:
        return "length"
    return (yield from _generate(engine, slot, request, tokenizer, drafter, stats, emit, time.perf_counter()))


def _generate(
    engine: StepEngine,
    slot: SlotState,
    request: GenerateRequest,
    tokenizer: Tokenizer,
    drafter: Drafter,
    stats: GenerateStats,
    emit: Emit,
    started: float,
) -> Steps:
    prompt_ids, n_heal = request.prompt.ids, request.prompt.n_heal
    context = prompt_ids[: len(prompt_ids) - n_heal]
    draft = _healing_draft(request, context, tokenizer, drafter)
    pending = request.prompt.heal_bytes
    stopper = Stopper(request.stop, tokenizer, n_healed_bytes=len(pending))
    generated: list[int] = []
    reason: FinishReason | None = None
    while reason is None:
        # Usually the last token alone: its forward is still due. An engine that could not truncate so far gets more.
        feed = [*context, *generated][len(slot.ids) :]
        base = len(slot.ids) + len(feed)
        if base > engine.max_len:
            return "length"
        limit = min(engine.max_len - base, request.stop.max_tokens - len(generated) - 1) - len(draft.ids)
        extra = drafter.propose(context, [*generated, *draft.ids], len(feed) + len(draft.ids), limit)
        proposed = [*draft.ids, *extra.ids]
        logits = engine.forward(slot.index, [*feed, *proposed], 1 + len(proposed))
        slot.ids.extend([*feed, *proposed])
        stats.n_forwards += 1
        tokens: list[Token] = []
        n_right = 0
        for row in range(1 + len(proposed)):
            token = choose(logits[row], pending, tokenizer)
            reason = stopper.before(token)
            if reason is None:
                pending = remaining(pending, tokenizer.token_bytes[token.id])
                tokens.append(token)
                reason = stopper.after(token)
            right = row < len(proposed) and token.id == proposed[row]
            n_right += right
            if reason is not None or not right:
                break
        generated.extend(t.id for t in tokens)
        del slot.ids[engine.truncate(slot.index, base + n_right) :]
        _count(stats, draft, extra, n_right, drafter)
        if stats.ttft_ms == 0.0:
            stats.ttft_ms = stats.queue_ms + stats.prefill_ms + _ms_since(started)
        stats.n_generated = len(generated)
        stats.decode_ms = _ms_since(started)
        if tokens:
            emit(tokens)
        draft = NO_DRAFT
        if reason is None:
            yield
    return reason


def _healing_draft(request: GenerateRequest, context: Sequence[int], tokenizer: Tokenizer, drafter: Drafter) -> Draft:
    """Return what probably stands at the healed place: a longer token seen after the same text, or the typed token itself."""
    n_heal, heal_bytes = request.prompt.n_heal, request.prompt.heal_bytes
    if not n_heal:
        return NO_DRAFT
    seen = drafter.propose(context, [], 1, 1)
    if seen.ids and tokenizer.bytes_of(seen.ids).startswith(heal_bytes):
        return seen
    return Draft("heal", list(request.prompt.ids[len(context) :]))


def choose(row: Logits, pending: bytes, tokenizer: Tokenizer) -> Token:
    """Return the likeliest token among those that agree with `pending`, and its probability among them.

    row: [vocab] logits; the padding that some models have behind their vocabulary is never chosen.
    pending: bytes still to be reproduced, b"" when all are.
    """
    row = row[: tokenizer.vocab_size]
    if pending:
        allowed = tokenizer.index.allowed(pending)
        scores = row[allowed]
        best = int(scores.argmax())
        return Token(int(allowed[best]), _probability(scores, best))
    best = int(row.argmax())
    return Token(best, _probability(row, best))


def remaining(pending: bytes, token: bytes) -> bytes:
    """Return what is left of `pending` behind `token`, which agrees with it."""
    return pending[len(token) :]


def _probability(scores: Logits, best: int) -> float:
    return float(1.0 / np.exp(scores - scores[best]).sum())


def _count(stats: GenerateStats, draft: Draft, extra: Draft, n_right: int, drafter: Drafter) -> None:
    """Credit the right tokens to the drafts in their order. Mutates: stats, the drafter's rates."""
    for part, n_before in ((draft, 0), (extra, len(draft.ids))):
        if not part.ids or n_right < n_before:
            continue  # no draft, or one that was never looked at
        right = min(n_right - n_before, len(part.ids))
        stats.drafted[part.source] = stats.drafted.get(part.source, 0) + len(part.ids)
        stats.accepted[part.source] = stats.accepted.get(part.source, 0) + right
        if part.source != "heal":
            drafter.record(part, right)


def _ms_since(start: float) -> float:
    return (time.perf_counter() - start) * 1e3
