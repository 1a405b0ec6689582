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

from completer.engines.base import ChoosingEngine, Logits, StepEngine
from completer.prefix import common_length
from completer.rows import KnownRows
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
Choice = Callable[[int], Token | None]
"""Tells the token that is chosen in a row of a forward, None where it is too close to tell there; valid until the next one."""
Steps = Generator[None, None, FinishReason]
"""One request at work: each `next` is a piece of work, the value at the end says why it ended."""


def decode(
    engine: StepEngine,
    slot: SlotState,
    request: GenerateRequest,
    tokenizer: Tokenizer,
    drafter: Drafter,
    rows: KnownRows,
    stats: GenerateStats,
    emit: Emit,
) -> Steps:
    """Bring the slot to the prompt, then generate until a stop rule holds; yield between forwards.

    Returns (as the generator's value) the FinishReason.  With stop.max_tokens == 0 only the prompt is prefilled.
    emit: called with the tokens of each step, healed ones included.  Mutates: slot, rows, stats, the drafter's rates.
    Raises: what the engine raises; the slot is emptied first. Closing the generator leaves the slot valid.
    """
    started = time.perf_counter()
    return (yield from guarded(engine, slot, _decode(engine, slot, request, tokenizer, drafter, rows, stats, emit, started)))


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
    """Feed all of the prompt that the slot lacks but the rows whose logits are wanted.

    A feed too short to be worth it is left for the first forward, and the slot as it was.
    Mutates: slot, stats (keep and feed, once).
    """
    ids = request.prompt.ids[: prefill_end(request)]
    keep = common_length(slot.ids, ids)
    if not stats.n_feed:
        stats.n_keep, stats.n_feed = keep, len(request.prompt.ids) - keep
    if len(ids) - keep < PREFILL_FROM and request.stop.max_tokens > 0:
        return "length"
    start = truncate(engine, slot, keep)
    for _ in engine.prefill(slot.index, ids[start:]):
        # A prefill may commit part by part; what is whole can be kept if it is abandoned.
        slot.ids.extend(ids[len(slot.ids) : engine.length(slot.index)])
        yield
    slot.ids[start:] = ids[start:]
    return "length"


def truncate(engine: StepEngine, slot: SlotState, length: int) -> int:
    """Drop what the slot holds from `length` on; return the length kept, which may be less. Mutates: slot."""
    if length < len(slot.ids):
        del slot.ids[engine.truncate(slot.index, length) :]
    return len(slot.ids)


def prefill_end(request: GenerateRequest) -> int:
    """Return how many of the prompt's tokens a prefill feeds: all in front of the first row whose logits are wanted."""
    return len(request.prompt.ids) - 1 - request.prompt.n_heal


def _decode(
    engine: StepEngine,
    slot: SlotState,
    request: GenerateRequest,
    tokenizer: Tokenizer,
    drafter: Drafter,
    rows: KnownRows,
    stats: GenerateStats,
    emit: Emit,
    started: float,
) -> Steps:
    yield from prefill(engine, slot, request, stats)
    stats.prefill_ms += _ms_since(started)
    if request.stop.max_tokens == 0:
        return "length"
    return (yield from _generate(engine, slot, request, tokenizer, drafter, rows, stats, emit, time.perf_counter()))


def _generate(
    engine: StepEngine,
    slot: SlotState,
    request: GenerateRequest,
    tokenizer: Tokenizer,
    drafter: Drafter,
    rows: KnownRows,
    stats: GenerateStats,
    emit: Emit,
    started: float,
) -> Steps:
    ids = list(request.prompt.ids[: len(request.prompt.ids) - request.prompt.n_heal])  # grows by what is generated
    n_context = len(ids)
    pending = request.prompt.heal_bytes
    stopper = Stopper(request.stop, tokenizer, n_healed_bytes=len(pending))
    reason: FinishReason | None = None
    undecided = False
    while reason is None:
        if len(ids) > engine.max_len:
            return "length"
        n_generated = len(ids) - n_context
        known = None if undecided else rows.after(ids)
        drafts: tuple[Draft, ...] = ()
        if known is not None:
            choice = _from_rows(known[None], [pending], tokenizer, engine.costs.logit_noise)
        elif undecided:
            _feed_all_but_the_last(engine, slot, ids)
            choice = _forward(engine, slot, ids, [], pending, tokenizer, rows)
            stats.n_forwards += 1
        else:
            drafts = _drafts(request, ids, n_context, pending, engine, slot, tokenizer, drafter)
            choice = _forward(engine, slot, ids, [id_ for draft in drafts for id_ in draft.ids], pending, tokenizer, rows)
            stats.n_forwards += 1
        proposed = [id_ for draft in drafts for id_ in draft.ids]
        tokens: list[Token] = []
        n_right = 0
        for row in range(1 + len(proposed)):
            token = choice(row)
            undecided = token is None
            if token is None:
                break  # a forward over this token alone decides it, as it would without drafts
            reason = stopper.before(token)
            if reason is None:
                pending = remaining(pending, tokenizer.token_bytes[token.id])
                tokens.append(token)
                reason = stopper.after(token)
            right = row < len(proposed) and token.id == proposed[row]
            n_right += right
            if reason is not None or not right:
                break
        if proposed:
            truncate(engine, slot, len(ids) + n_right)
        ids.extend(t.id for t in tokens)
        _count(stats, drafts, n_right, drafter)
        if stats.ttft_ms == 0.0:
            stats.ttft_ms = stats.queue_ms + stats.prefill_ms + _ms_since(started)
        stats.n_generated = n_generated + len(tokens)
        stats.decode_ms = _ms_since(started)
        if tokens:
            emit(tokens)
        if reason is None and known is None:
            yield
    return reason


def _forward(
    engine: StepEngine,
    slot: SlotState,
    ids: Sequence[int],
    proposed: list[int],
    pending: bytes,
    tokenizer: Tokenizer,
    rows: KnownRows,
) -> Choice:
    """Feed what the slot lacks of `ids`, and `proposed` behind it; return the choices of the rows from the last of `ids` on.

    Mutates: slot, which then holds `ids` and `proposed`; rows, but where the engine chooses on its device: they stay there.
    """
    # At least the last token is fed again: its row is wanted.
    feed = list(ids[truncate(engine, slot, min(common_length(slot.ids, ids), len(ids) - 1)) :])
    left = _pending_by_row(pending, proposed, tokenizer)
    if isinstance(engine, ChoosingEngine):
        allowed = [tokenizer.index.allowed(one) if one else None for one in left]
        chosen = engine.forward_choices(slot.index, [*feed, *proposed], allowed)
        slot.ids.extend([*feed, *proposed])
        return lambda row: Token(*chosen[row])
    logits = engine.forward(slot.index, [*feed, *proposed], 1 + len(proposed))
    slot.ids.extend([*feed, *proposed])
    for n in range(1 + len(proposed)):
        rows.keep(slot.ids[: len(ids) + n], logits[n])
    n_fed = len(feed) + len(proposed)
    return _from_rows(logits, left, tokenizer, engine.costs.logit_noise if n_fed > 1 else 0.0)


def _feed_all_but_the_last(engine: StepEngine, slot: SlotState, ids: Sequence[int]) -> None:
    """Bring the slot to `ids` but for the last one, whose forward then stands alone. Mutates: slot."""
    feed = list(ids[truncate(engine, slot, min(common_length(slot.ids, ids), len(ids) - 1)) : -1])
    if feed:
        engine.forward(slot.index, feed, 0)
        slot.ids.extend(feed)


def _from_rows(logits: Logits, pending: Sequence[bytes], tokenizer: Tokenizer, noise: float = 0.0) -> Choice:
    def choice(row: int) -> Token | None:
        token = choose(logits[row], pending[row], tokenizer)
        return None if noise and _is_close(logits[row], token, pending[row], tokenizer, 2 * noise) else token

    return choice


def _is_close(row: Logits, token: Token, pending: bytes, tokenizer: Tokenizer, margin: float) -> bool:
    """Return whether another allowed token lies within `margin` of the chosen one."""
    if token.prob > 1.0 / (1.0 + np.exp(-margin)):
        return False  # nothing else can be so near
    scores = row[tokenizer.index.allowed(pending)] if pending else row[: tokenizer.vocab_size]
    return int(np.count_nonzero(scores >= row[token.id] - margin)) > 1


def _pending_by_row(pending: bytes, proposed: Sequence[int], tokenizer: Tokenizer) -> list[bytes]:
    """Return the bytes still to be reproduced in each row, if all tokens proposed in front of it are right."""
    rows = [pending]
    for id_ in proposed:
        rows.append(remaining(rows[-1], tokenizer.bytes_of([id_])))
    return rows


def _drafts(
    request: GenerateRequest,
    ids: Sequence[int],
    n_context: int,
    pending: bytes,
    engine: StepEngine,
    slot: SlotState,
    tokenizer: Tokenizer,
    drafter: Drafter,
) -> tuple[Draft, ...]:
    """Return what to verify in the forward behind `ids`: at the first step the healed tokens, then what the drafter knows."""
    n_feed = max(1, len(ids) - len(slot.ids))
    context, generated = ids[:n_context], list(ids[n_context:])
    room = min(engine.max_len - len(ids), request.stop.max_tokens - len(generated) - 1)
    heal = NO_DRAFT if generated else _healing_draft(request, context, tokenizer, drafter)
    n_heal = len(heal.ids)
    left = remaining(pending, tokenizer.bytes_of(heal.ids))
    extra = drafter.propose(context, [*generated, *heal.ids], n_feed + n_heal, room - n_heal, left)
    return tuple(draft for draft in (heal, extra) if draft.ids)


def _healing_draft(request: GenerateRequest, context: Sequence[int], tokenizer: Tokenizer, drafter: Drafter) -> Draft:
    """Return what probably stands at the healed place: what was seen there elsewhere, or the typed tokens themselves."""
    if not request.prompt.n_heal:
        return NO_DRAFT
    seen = drafter.heal(context, request.prompt.heal_bytes, tokenizer.token_bytes)
    return Draft("heal", seen or list(request.prompt.ids[len(context) :]))


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


def choose_next(engine: StepEngine, slot: int, ids: Sequence[int], pending: bytes, tokenizer: Tokenizer) -> Token:
    """Append `ids` to a slot and return the token chosen behind them, as `choose` does. Mutates: the engine's slot."""
    if isinstance(engine, ChoosingEngine):
        return Token(*engine.forward_choices(slot, ids, [tokenizer.index.allowed(pending) if pending else None])[0])
    return choose(engine.forward(slot, ids, 1)[0], pending, tokenizer)


def remaining(pending: bytes, token: bytes) -> bytes:
    """Return what is left of `pending` behind `token`, which agrees with it."""
    return pending[len(token) :]


def _probability(scores: Logits, best: int) -> float:
    return float(1.0 / np.exp(scores - scores[best]).sum())


def _count(stats: GenerateStats, drafts: Sequence[Draft], n_right: int, drafter: Drafter) -> None:
    """Credit the right tokens to the drafts in their order. Mutates: stats, the drafter's rates."""
    for draft in drafts:
        if n_right < 0:
            return  # it was never looked at
        right = min(n_right, len(draft.ids))
        stats.drafted[draft.source] = stats.drafted.get(draft.source, 0) + len(draft.ids)
        stats.accepted[draft.source] = stats.accepted.get(draft.source, 0) + right
        if draft.source != "heal":
            drafter.record(draft, right)
        n_right = n_right - len(draft.ids) if right == len(draft.ids) else -1


def _ms_since(start: float) -> float:
    return (time.perf_counter() - start) * 1e3
