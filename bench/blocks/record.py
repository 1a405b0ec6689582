"""The model's answer to each body, with the probability of every token, so that rules can be compared without it.

Greedy, with the prompt of a full window, to the end of the block by indentation or MAX_TOKENS; no rule cuts it.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from bench.blocks.pick import Body
from completer.generate.scheduler import LocalGenerator
from completer.prompt.prompt import Window, build_prompt, lf, set_anchor
from completer.suggest.confidence import TokenSpan
from completer.syntax.cursor import cursor_context
from completer.tokens.tokenizer import Tokenizer, whole_characters
from completer.types import Done, FinishReason, Prompt, Request, StopRule, Token, Tokens

Form = Literal["fim", "left-to-right"]
WINDOW = Window(256, 128, full=True)
MAX_TOKENS = 128


@dataclass(frozen=True, slots=True)
class Said:
    """What the model said at a body: `text` without the healed bytes, each token's end in it and its probability."""

    name: str
    form: Form
    text: str
    spans: list[TokenSpan]
    reason: FinishReason


class Recorder:
    """Asks one generator, which stays the caller's."""

    def __init__(self, generator: LocalGenerator, tokenizer: Tokenizer) -> None:
        self._generator = generator
        self._tokenizer = tokenizer
        self._n_asked = 0

    def ask(self, body: Body, form: Form) -> Said:
        """Return the model's answer. Raises: TimeoutError after five minutes."""
        self._n_asked += 1
        prompt, snapshot = self._prompt(body, form), body.snapshot
        rule = StopRule(
            max_tokens=MAX_TOKENS,
            single_line=False,
            end_ids=self._tokenizer.fim.end,
            block_indent=cursor_context(snapshot).block_indent,
        )
        tokens: list[Token] = []
        reasons: list[FinishReason] = []
        over = threading.Event()

        def take(event: Tokens | Done) -> None:
            if isinstance(event, Done):
                reasons.append(event.reason)
                over.set()
            else:
                tokens.extend(event.tokens)

        self._generator.submit(Request(self._n_asked, body.name, prompt, rule), take)
        if not over.wait(300):
            raise TimeoutError(body.name)
        ids, spans, text = [], [], ""
        for token in tokens:
            ids.append(token.id)
            text = whole_characters(self._tokenizer.bytes_of(ids)[len(prompt.heal_bytes) :])
            spans.append(TokenSpan(len(text), token.prob))
        return Said(body.name, form, text, spans, reasons[0])

    def _prompt(self, body: Body, form: Form) -> Prompt:
        anchor = set_anchor(body.snapshot, WINDOW, self._tokenizer)
        if form == "left-to-right":
            head = self._tokenizer.encode(lf(anchor.head)) or [self._tokenizer.fim.prefix]  # a prompt needs a token
            anchor = replace(anchor, fixed_ids=tuple(head))
        return build_prompt(anchor, anchor.typed(body.snapshot), self._tokenizer)


def write(said: Said, file: Path) -> None:
    """Add one answer. Raises: OSError."""
    with file.open("a", encoding="utf-8") as out:
        out.write(json.dumps(asdict(said), ensure_ascii=False) + "\n")


def read(file: Path) -> Iterator[Said]:
    """Yield the answers of a file, nothing without one. Raises: OSError, ValueError, TypeError."""
    if file.exists():
        for line in file.read_text(encoding="utf-8").split("\n"):
            if line:
                row = json.loads(line)
                yield Said(**{**row, "spans": [TokenSpan(*span) for span in row["spans"]]})
