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

from completer.engines.base import ChoosingEngine, StepEngine
from completer.generate.choice import Bounds, Choice, allowed_ids, bounds_by_row, from_rows, remaining
from completer.generate.drafts.ngrams import NO_DRAFT, Draft, Drafter
from completer.generate.known_rows import KnownRows
from completer.generate.stop import Stopper
from completer.tokens.prefix import common_length
from completer.tokens.tokenizer import Tokenizer
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
    bounds = Bounds(request.prompt.heal_bytes, request.avoid)
    stopper = Stopper(request.stop, tokenizer, n_healed_bytes=len(bounds.pending))
    reason: FinishReason | None = None
    undecided = False
    while reason is None:
        if len(ids) > engine.max_len:
            return "length"
        n_generated = len(ids) - n_context
        known = None if undecided else rows.after(ids)
        drafts: tuple[Draft, ...] = ()
        if known is not None:
            choice = from_rows(known[None], [bounds], tokenizer, engine.costs.logit_noise)
        elif undecided:
            _feed_all_but_the_last(engine, slot, ids)
            choice = _forward(engine, slot, ids, [], bounds, tokenizer, rows)
            stats.n_forwards += 1
        else:
            drafts = _drafts(request, ids, n_context, bounds.pending, engine, slot, tokenizer, drafter)
            choice = _forward(engine, slot, ids, [id_ for draft in drafts for id_ in draft.ids], bounds, tokenizer, rows)
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
                bounds = bounds.behind(tokenizer.token_bytes[token.id])
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
    bounds: Bounds,
    tokenizer: Tokenizer,
    rows: KnownRows,
) -> Choice:
    """Feed what the slot lacks of `ids`, and `proposed` behind it; return the choices of the rows from the last of `ids` on.

    Mutates: slot, which then holds `ids` and `proposed`; rows, but where the engine chooses on its device: they stay there.
    """
    # At least the last token is fed again: its row is wanted.
    feed = list(ids[truncate(engine, slot, min(common_length(slot.ids, ids), len(ids) - 1)) :])
    left = bounds_by_row(bounds, proposed, tokenizer)
    if isinstance(engine, ChoosingEngine) and not bounds.avoid:  # the first rows of an alternative are worth their way here
        chosen = engine.forward_choices(slot.index, [*feed, *proposed], [allowed_ids(one.pending, tokenizer) for one in left])
        slot.ids.extend([*feed, *proposed])
        return lambda row: Token(*chosen[row])
    logits = engine.forward(slot.index, [*feed, *proposed], 1 + len(proposed))
    slot.ids.extend([*feed, *proposed])
    for n in range(1 + len(proposed)):
        rows.keep(slot.ids[: len(ids) + n], logits[n])
    n_fed = len(feed) + len(proposed)
    return from_rows(logits, left, tokenizer, engine.costs.logit_noise if n_fed > 1 else 0.0)


def _feed_all_but_the_last(engine: StepEngine, slot: SlotState, ids: Sequence[int]) -> None:
    """Bring the slot to `ids` but for the last one, whose forward then stands alone. Mutates: slot."""
    feed = list(ids[truncate(engine, slot, min(common_length(slot.ids, ids), len(ids) - 1)) : -1])
    if feed:
        engine.forward(slot.index, feed, 0)
        slot.ids.extend(feed)


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
