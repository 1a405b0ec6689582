"""Law: whatever idle time prepared, a suggestion continues what is in front of the cursor now."""

from __future__ import annotations

import random
import zlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from completer.complete.pipeline import Pipeline
from completer.engines.base import CostCurve, Logits
from completer.tokens.tokenizer import Tokenizer
from completer.types import Edit, Snapshot
from tests.by_heart import SETTINGS, ByHeart, pipeline, text_of
from tests.seeds import seeds

LETTERS = "abcdefgh"
PATIENT = replace(SETTINGS, budget_ms=10_000)
"""A busy machine must not change what is said."""
N_READ = 4
"""Characters before the cursor that decide what follows."""


def continuation(prefix: str) -> str:
    """Return the word that follows `prefix`, one letter after the other; "" if none does."""
    word = ""
    while len(word) < 100:
        seed = zlib.crc32((prefix + word)[-N_READ:].encode())
        if seed % 6 == 0:
            return word
        word += LETTERS[seed // 6 % len(LETTERS)]
    return word


class Reader(ByHeart):
    """Continues the text that its prompt shows before the cursor, letter by letter."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        super().__init__(tokenizer)
        self.max_len = 2048
        self.costs = CostCurve({1: 1.0, 8: 2.0}, 1.5)
        self._ids = {letter: tokenizer.encode(letter)[0] for letter in LETTERS}

    def logits_after(self, ids: Sequence[int]) -> Logits:
        fim = self._tokenizer.fim
        at = {id_: i for i, id_ in enumerate(ids) if id_ in (fim.prefix, fim.suffix, fim.middle)}
        row = np.zeros(self.vocab_size, np.float32)
        row[list(self._ids.values())] = 10.0  # a word to be healed comes back letter by letter
        if fim.prefix in at and (fim.middle in at or fim.suffix not in at):
            head = ids[at[fim.prefix] + 1 : at.get(fim.suffix)]
            typed = ids[at[fim.middle] + 1 :] if fim.middle in at else []  # from left to right it is part of the head
            seen = self._tokenizer.bytes_of([*head, *typed]).decode(errors="replace")
            word = continuation(seen)
            row[self._ids[word[0]] if word else min(fim.end)] = 20.0
        return row


class Typist:
    """A document that is edited at random, and the pipeline that is told of it."""

    def __init__(self, made: Pipeline, text: str, cursor: int) -> None:
        self._made = made
        self._version = 0
        self.text, self.cursor = text, cursor
        made.did_open(self.snapshot)

    @property
    def snapshot(self) -> Snapshot:
        return Snapshot("file:///a.txt", self._version, "plaintext", self.text, self.cursor)

    def edit(self, start: int, end: int, text: str) -> None:
        self._version += 1
        self.text = self.text[:start] + text + self.text[end:]
        self.cursor = start + len(text)
        self._made.did_change(self.snapshot, [Edit(start, end, text)])

    async def act(self, chance: random.Random, shown: str) -> None:
        match chance.randrange(8):
            case 0 | 1 | 2:
                self.edit(self.cursor, self.cursor, chance.choice([*LETTERS, " "]))
            case 3 if shown:
                self.edit(self.cursor, self.cursor, shown[0])
            case 4:
                self.edit(self.cursor, self.cursor, "\n")
            case 5 if self.cursor:
                self.edit(self.cursor - chance.randrange(1, min(self.cursor, 6) + 1), self.cursor, "")
            case 6:
                self.cursor = chance.choice([0, len(self.text), chance.randrange(len(self.text) + 1)])
                self._made.did_move_cursor(self.snapshot)
            case _:
                await self._made.settled(5)


@pytest.mark.parametrize("seed", seeds(40, fast=10))
async def test_a_suggestion_continues_what_is_in_front_of_the_cursor_now(tokenizer: Tokenizer, seed: int) -> None:
    chance = random.Random(seed)
    text = chance.choice(["", "\n", "\n\nab cd\nef\n", "ab\n" * 3, "abc def\n" * 80])
    async with pipeline(Reader(tokenizer), tokenizer, PATIENT) as made:
        typist = Typist(made, text, chance.choice([0, len(text), len(text) // 2]))
        made.did_move_cursor(typist.snapshot)
        shown = ""
        for _ in range(12):
            await typist.act(chance, shown)
            explicit = chance.random() < 0.2
            shown = text_of(await made.complete(typist.snapshot, explicit=explicit))
            prefix = typist.text[: typist.cursor]
            # Text that was inserted in front of a window is read by explicit requests at once, by others after a rest.
            starts = [0] if explicit else range(prefix.rfind("\n") + 2)
            assert any(continuation(prefix[start:]).startswith(shown) for start in starts), (seed, prefix[-20:], shown)


async def test_what_is_typed_into_an_empty_document_after_a_rest_is_read(tokenizer: Tokenizer) -> None:
    async with pipeline(Reader(tokenizer), tokenizer, PATIENT) as made:
        typist = Typist(made, "", 0)
        made.did_move_cursor(typist.snapshot)
        assert await made.settled(5)
        answers = []
        for letter in "abcbahgd":
            typist.edit(typist.cursor, typist.cursor, letter)
            answers.append(text_of(await made.complete(typist.snapshot, explicit=True)))
        assert answers == [continuation("abcbahgd"[: n + 1]) for n in range(8)]
