"""The ways to ask for the rest of a line that are compared, as prompts, and an engine that answers them one at a time.

plain      <prefix> text before the cursor <suffix> after <middle>
healed     the same, with the last token behind <middle>, to be healed
line       anchored at the start of the cursor's line, the line so far behind <middle>, its last token healed
word       the same, healed back to the token in which the cursor's word begins ("retur" may be " ret" + "ur")
word-3     the same, anchored three lines further up
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from queue import SimpleQueue

from bench.cursors import Case
from completer.config import Settings
from completer.generate.scheduler import LocalGenerator
from completer.prompt.prompt import frame, n_word_tokens
from completer.suggest.confidence import TokenSpan, sure_part
from completer.tokens.tokenizer import Tokenizer, whole_characters
from completer.types import Done, Prompt, Request, Stats, StopRule, Token, Tokens

LINES_BEFORE, LINES_AFTER = 60, 20
MAX_TOKENS = 64


def plain(case: Case, tokenizer: Tokenizer) -> Prompt:
    before, after = window(case)
    ids = frame(tokenizer.encode(before), tokenizer.encode(after), tokenizer.fim)
    return Prompt(tuple(ids), n_fixed=len(ids))


def healed(case: Case, tokenizer: Tokenizer) -> Prompt:
    before, after = window(case)
    before_ids = tokenizer.encode(before)
    return _anchored(before_ids[:-1], tokenizer.encode(after), before_ids[-1:], tokenizer)


def line(case: Case, tokenizer: Tokenizer) -> Prompt:
    return _anchored_lines(case, tokenizer, 0, by_word=False)


def word(case: Case, tokenizer: Tokenizer) -> Prompt:
    return _anchored_lines(case, tokenizer, 0, by_word=True)


def word_3(case: Case, tokenizer: Tokenizer) -> Prompt:
    return _anchored_lines(case, tokenizer, 3, by_word=True)


ARMS: dict[str, Callable[[Case, Tokenizer], Prompt]] = {
    "plain": plain,
    "healed": healed,
    "line": line,
    "word": word,
    "word-3": word_3,
}


def window(case: Case) -> tuple[str, str]:
    """Return the text before and after the cursor that goes into the prompt: whole lines, the same for every arm."""
    before = case.prefix.splitlines(keepends=True)
    after = case.suffix.splitlines(keepends=True)
    return "".join(before[-1 - LINES_BEFORE :]), "".join(after[: LINES_AFTER + 1])


def _anchored_lines(case: Case, tokenizer: Tokenizer, lines_up: int, by_word: bool) -> Prompt:
    before, after = window(case)
    rows = before.splitlines(keepends=True)
    head, typed = "".join(rows[: -1 - lines_up]), "".join(rows[-1 - lines_up :])
    typed_ids = tokenizer.encode(typed)
    n_heal = n_word_tokens(typed_ids, tokenizer) if by_word else 1
    return _anchored(tokenizer.encode(head), tokenizer.encode(after), typed_ids, tokenizer, n_heal)


def _anchored(head_ids: list[int], tail_ids: list[int], typed_ids: list[int], tokenizer: Tokenizer, n_heal: int = 1) -> Prompt:
    fixed = frame(head_ids, tail_ids, tokenizer.fim)
    return Prompt((*fixed, *typed_ids), n_heal, tokenizer.bytes_of(typed_ids[-n_heal:]), len(fixed))


@dataclass(frozen=True, slots=True)
class Answer:
    """ids: what was generated, healed tokens included.  text: the rest of the line that they say.

    sure: as much of it as the confidence rule shows by default.
    """

    ids: tuple[int, ...]
    text: str
    sure: str
    stats: Stats


class Asker:
    """Sends requests to a generator and waits for each answer: greedy, one line, never cut."""

    def __init__(self, generator: LocalGenerator, tokenizer: Tokenizer) -> None:
        self._generator = generator
        self._tokenizer = tokenizer
        self._rule = StopRule(max_tokens=MAX_TOKENS, single_line=True, confidence=0.0, end_ids=tokenizer.fim.end)
        self._numbers = count(1)

    def forget(self, n_kept: int) -> None:
        """Let the next answer find nothing of the earlier ones but the first `n_kept` tokens of its prompt."""
        self._generator.forget(n_kept)

    def ask(self, prompt: Prompt, drafts: tuple[tuple[int, ...], ...] = ()) -> Answer:
        """Return the answer. Raises: RuntimeError when the engine failed."""
        tokens: list[Token] = []
        ended: SimpleQueue[Done] = SimpleQueue()

        def on_event(event: Tokens | Done) -> None:
            if isinstance(event, Done):
                ended.put(event)
            else:
                tokens.extend(event.tokens)

        self._generator.submit(Request(next(self._numbers), "bench", prompt, self._rule, drafts=drafts), on_event)
        done = ended.get()
        if done.reason == "error":
            raise RuntimeError("the engine failed: see the log above")
        ids = tuple(token.id for token in tokens)
        n_healed = len(prompt.heal_bytes)
        text, *_ = whole_characters(self._tokenizer.bytes_of(ids)[n_healed:]).split("\n", 1)
        ends = (len(whole_characters(self._tokenizer.bytes_of(ids[: n + 1])[n_healed:])) for n in range(len(ids)))
        spans = [TokenSpan(end, token.prob) for end, token in zip(ends, tokens, strict=True)]
        sure = text[: sure_part(text, spans, 0, Settings().confidence).end_cp]
        return Answer(ids, text.rstrip(), sure.rstrip(), done.stats)
