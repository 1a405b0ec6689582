"""Token healing over an engine that streams: what comes back must begin with the bytes that were taken back.

    prompt   p0 p1 p2 | r e t        the tokens of "ret" are not sent
    answer   ` return`               agrees: goes on in the same stream
    answer   ` self`                 disagrees: the likeliest token that agrees, else the typed text itself,
                                     is put after the prompt, and the engine goes on from there

An engine that can constrain its answer needs one stream; the others need a second one if their first choice
is another word.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

from completer.engines.base import StreamEngine, StreamPiece, StreamRequest
from completer.tokens.tokenizer import Tokenizer
from completer.types import Request

MAX_CHOICES = 2
"""Most likely tokens that are put in; each costs a round trip. After that the typed text is used as it is."""

N_TOP = 20
"""Alternatives among which an agreeing one is looked for: as many as vLLM allows by default."""


async def healed(
    engine: StreamEngine, tokenizer: Tokenizer, request: Request, deadline_s: float
) -> AsyncGenerator[StreamPiece, None]:
    """Yield the answer to `request`, which begins with its `heal_bytes`; probabilities are among what agrees.

    Raises: what the engine raises. Closing the generator closes the engine's stream.
    """
    prompt, stop = request.prompt, request.stop
    ids = prompt.ids[: len(prompt.ids) - prompt.n_heal]
    pending, n_left, n_choices = prompt.heal_bytes, stop.max_tokens, 0
    while n_left > 0:
        # A line break among the healed bytes would end a single-line answer before it began.
        ask = StreamRequest(
            ids,
            n_left,
            begins_with=pending if engine.constrains and _is_text(pending) else b"",
            n_top=N_TOP if pending else 1,
            single_line=stop.single_line and b"\n" not in pending,
            session=request.session,
            deadline_s=deadline_s,
        )
        last = StreamPiece()
        async with aclosing(engine.stream(ask)) as pieces:
            async for last in pieces:
                if pending and not _agrees(last, pending, tokenizer):
                    break
                if pending:
                    ids = (*ids, *last.ids)
                    last = replace(last, prob=_prob_among_agreeing(last, pending, tokenizer))
                    pending = pending[len(tokenizer.bytes_of(last.ids)) :]
                n_left -= len(last.ids)
                yield last
        if not pending:
            return
        n_choices += 1
        chosen = _likeliest_agreeing(last, pending, tokenizer) if n_choices <= MAX_CHOICES else None
        chosen = chosen or StreamPiece(tuple(tokenizer.encode(pending.decode(errors="replace"))) if _is_text(pending) else ())
        if not chosen.ids:  # half a character that the engine does not want to complete
            return
        pending = pending[len(tokenizer.bytes_of(chosen.ids)) :]
        ids, n_left = (*ids, *chosen.ids), n_left - len(chosen.ids)
        yield replace(chosen, n_cached=last.n_cached)


def _agrees(piece: StreamPiece, pending: bytes, tokenizer: Tokenizer) -> bool:
    return bool(piece.ids) and _agree(tokenizer.bytes_of(piece.ids), pending)


def _agree(data: bytes, pending: bytes) -> bool:
    return bool(data) and (data.startswith(pending) or pending.startswith(data))


def _agreeing(piece: StreamPiece, pending: bytes, tokenizer: Tokenizer) -> list[tuple[tuple[int, ...], float]]:
    return [(ids, prob) for ids, prob in piece.top if _agree(tokenizer.bytes_of(ids), pending)]


def _likeliest_agreeing(piece: StreamPiece, pending: bytes, tokenizer: Tokenizer) -> StreamPiece | None:
    """Return the likeliest of the engine's alternatives that agrees, or None."""
    agreeing = _agreeing(piece, pending, tokenizer)
    if not agreeing:
        return None
    ids, prob = max(agreeing, key=lambda one: one[1])
    return StreamPiece(ids, prob / sum(p for _, p in agreeing))


def _prob_among_agreeing(piece: StreamPiece, pending: bytes, tokenizer: Tokenizer) -> float:
    """Return the probability of a piece given that the answer must agree, as far as the alternatives tell.

    What an engine chose under constraint, outside its alternatives, is a guess: it counts as improbable.
    """
    if not piece.top:
        return piece.prob
    agreeing = _agreeing(piece, pending, tokenizer)
    if all(ids != piece.ids for ids, _ in agreeing):
        return 0.0
    return piece.prob / max(sum(p for _, p in agreeing), piece.prob)


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
