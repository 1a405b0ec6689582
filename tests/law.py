"""The slow paths that the decoder is held against, and what the law tests say things with."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from completer.engines.base import StepEngine
from completer.generate.decode import Decoding, Steps
from completer.generate.drafts.draft_model import DraftModel
from completer.generate.drafts.ngrams import AcceptanceRates, Drafter, NgramIndex
from completer.generate.known_rows import KnownRows
from completer.generate.scheduler import LocalGenerator
from completer.generate.slots import Slot
from completer.generate.stop import Stopper
from completer.tokens.tokenizer import Tokenizer
from completer.types import Done, Evidence, FinishReason, Prompt, Request, Stats, StopRule, Token, Tokens
from tests import tiny
from tests.fake_engine import FakeEngine

Ids = Sequence[int]


def prompt_of(tokenizer: Tokenizer, ids: Ids, n_heal: int = 0) -> Prompt:
    """Return a prompt of `ids` whose last `n_heal` tokens are to be healed."""
    return Prompt(tuple(ids), n_heal, tokenizer.bytes_of(ids[len(ids) - n_heal :]))


def plain_greedy(
    engine: FakeEngine, tokenizer: Tokenizer, prompt: Prompt, stop: StopRule, avoid: Sequence[bytes] = ()
) -> tuple[list[int], FinishReason]:
    """Generate one token at a time from scratch, looking at every token of the vocabulary: the law in its plainest words."""

    def is_avoided(token: bytes) -> bool:
        said = tokenizer.bytes_of(generated) + token
        ends_or_is_new = not token or len(said) > len(prompt.heal_bytes)
        return ends_or_is_new and said[len(prompt.heal_bytes) :] in avoid

    context = list(prompt.ids[: len(prompt.ids) - prompt.n_heal])
    pending = prompt.heal_bytes
    stopper = Stopper(stop, tokenizer, len(pending))
    generated: list[int] = []
    while len(context) + len(generated) <= engine.max_len:
        logits = engine.logits_after([*context, *generated])
        allowed: Sequence[int] = range(tokenizer.vocab_size)
        if pending:
            agrees = [t and (t.startswith(pending) or pending.startswith(t)) for t in tokenizer.token_bytes]
            allowed = [i for i in allowed if agrees[i]]
        allowed = [i for i in allowed if not is_avoided(tokenizer.token_bytes[i])]
        best = max(allowed, key=lambda i: logits[i])
        # Probabilities have a test of their own; here nothing may depend on them.
        if reason := stopper.before(Token(best, 1.0)):
            return generated, reason
        generated.append(best)
        pending = pending[len(tokenizer.token_bytes[best]) :]
        if reason := stopper.after(Token(best, 1.0)):
            return generated, reason
    return generated, "length"


@dataclass
class Run:
    """One request over `Decoding`, step by step. slot: an empty one if none is given."""

    engine: StepEngine
    tokenizer: Tokenizer
    prompt: Prompt
    stop: StopRule
    slot: Slot = None  # type: ignore[assignment]
    drafts: tuple[tuple[int, ...], ...] = ()
    corpora: tuple[Ids, ...] = ()
    avoid: tuple[bytes, ...] = ()
    scratch: bool = False
    evidence: Evidence | None = None
    draft_model: DraftModel | None = None
    rates: AcceptanceRates = field(default_factory=AcceptanceRates)
    rows: KnownRows = field(default_factory=lambda: KnownRows(tiny.VOCAB_SIZE))
    tokens: list[Token] = field(default_factory=list)
    reason: FinishReason | None = None

    def __post_init__(self) -> None:
        request = Request(1, "a", self.prompt, self.stop, 0, self.drafts, (), self.avoid, self.evidence, self.scratch)
        drafter = Drafter(self.drafts, [NgramIndex(ids) for ids in self.corpora], self.rates, self.engine.costs, self.draft_model)
        self.slot = self.slot or Slot(self.engine, 0)
        self.decoding = Decoding(self.slot, request, self.tokenizer, drafter, self.rows, self.on_event)
        self.steps: Steps = steps_of(self.decoding)

    def on_event(self, event: Tokens | Done) -> None:
        assert isinstance(event, Tokens)
        if event.tokens:
            self.tokens.extend(event.tokens)

    @property
    def stats(self) -> Stats:
        return self.decoding.stats

    def step(self) -> bool:
        """Run one piece of work; return whether there is more."""
        try:
            next(self.steps)
        except StopIteration as end:
            self.reason = end.value
            return False
        return True

    def finish(self) -> Run:
        while self.step():
            pass
        return self

    @property
    def ids(self) -> list[int]:
        return [token.id for token in self.tokens]


def steps_of(decoding: Decoding) -> Steps:
    """All of a request's work, without the draft model's reading of the prompt."""
    yield from decoding.prefill()
    return (yield from decoding.generate())


@dataclass
class Receiver:
    """The front's side of one request over a Generator."""

    events: list[tuple[str, str]] = field(default_factory=list)  # (name, "tokens" or the reason), in order of arrival
    name: str = ""
    tokens: list[Token] = field(default_factory=list)
    reasons: list[FinishReason] = field(default_factory=list)
    stats: Stats = field(default_factory=Stats)
    done: threading.Event = field(default_factory=threading.Event)

    def on_event(self, event: Tokens | Done) -> None:
        self.stats = event.stats
        if isinstance(event, Done):
            self.reasons.append(event.reason)
            self.events.append((self.name, event.reason))
            self.done.set()
        elif event.tokens:
            self.tokens.extend(event.tokens)
            self.events.append((self.name, "tokens"))

    @property
    def ids(self) -> list[int]:
        return [token.id for token in self.tokens]

    def wait(self) -> Receiver:
        assert self.done.wait(10), "the request never ended"
        return self


def submit(generator: LocalGenerator, request: Request, events: list[tuple[str, str]] | None = None) -> Receiver:
    """Submit `request` and return what receives its tokens."""
    receiver = Receiver([] if events is None else events, str(request.id))
    generator.submit(request, receiver.on_event)
    return receiver
