"""The memory in the pipeline: a line that was written before comes back where the model hesitates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from completer.complete.pipeline import Pipeline
from completer.engines.base import Logits
from completer.tokens.tokenizer import Tokenizer
from completer.types import Snapshot
from tests.by_hand import ByHand, model_of, snap
from tests.by_heart import HEAD, LINE, SETTINGS, ByHeart, pipeline, text_of
from tests.resting import Client

WITH_MEMORY = replace(SETTINGS, memory=True, budget_ms=10_000, explicit_budget_ms=10_000)
BEFORE = f"{HEAD}{LINE}\n    return result\n\n\n"


class Undecided(ByHeart):
    """Gives the script's next token a tenth, and the end of the line nearly all of the rest."""

    def logits_after(self, ids: Sequence[int]) -> Logits:
        row = np.full(self.vocab_size, -20.0, np.float32)
        row[self._tokenizer.encode("\n")[0]] = 2.0
        if (next_id := self.next_of(LINE + "\n", ids)) is not None:
            row[next_id] = max(row[next_id], 0.0)
        return row


def document(n_typed: int, version: int = 1) -> Snapshot:
    text = BEFORE + HEAD + LINE[:n_typed]
    return Snapshot("file:///a.py", version, "python", text, len(text))


async def answered(tokenizer: Tokenizer, n_typed: int, *, memory: bool) -> str:
    async with pipeline(Undecided(tokenizer), tokenizer, replace(WITH_MEMORY, memory=memory)) as made:
        snapshot = document(n_typed)
        made.did_open(snapshot)
        assert await made.settled(10)
        return text_of(await made.complete(snapshot, explicit=True))


async def test_a_line_that_was_written_before_comes_back_where_the_model_hesitates(tokenizer: Tokenizer) -> None:
    n_typed = len("    result = width *")
    assert await answered(tokenizer, n_typed, memory=True) == " height"
    assert await answered(tokenizer, n_typed, memory=False) != " height"


async def test_alternatives_and_the_explanation_know_of_it(tokenizer: Tokenizer) -> None:
    async with pipeline(Undecided(tokenizer), tokenizer, WITH_MEMORY) as made:
        snapshot = document(len("    result = width *"))
        made.did_open(snapshot)
        assert await made.settled(10)
        first = await made.complete(snapshot, explicit=True)
        assert text_of(first) == " height"
        explanation = made.explain(snapshot.uri)
        assert not isinstance(explanation, str)
        assert explanation.prompt["memory"] == " height\n"
        again = await made.complete(snapshot, explicit=True)
        assert text_of(again) == " height"


class Seeing(ByHand):
    """Sees its model's probabilities."""

    avoids = True


BY_HAND = replace(WITH_MEMORY, context="off")
EARLIER = "class First:\n    def sum_of_all(self, values):\n        total = sum(values)\n        return total\n\n\n"


async def test_a_block_at_rest_is_weighed_against_what_its_first_line_was(tokenizer: Tokenizer) -> None:
    generator = Seeing(tokenizer)
    client = Client(Pipeline(model_of(generator, tokenizer), BY_HAND), generator)
    asked = snap(f"{EARLIER}class Second:\n    def sum_of_all(self, values):\n        ‸\n\n\nx = 1\n")
    await client.open(asked)
    assert await client.pipeline.settled(10)
    await client.ask(asked, "total = sum(values)")
    assert client.foreground[-1].evidence is not None
    await client.rest()
    assert client.block.evidence == client.foreground[-1].evidence
    assert client.block.drafts == client.foreground[-1].drafts
    await client.pipeline.close()


@pytest.mark.parametrize(("body", "is_evidence"), [("pass", False), ("raise NotImplementedError", False), ("return self", True)])
async def test_that_bodies_are_empty_elsewhere_is_no_evidence(tokenizer: Tokenizer, body: str, is_evidence: bool) -> None:
    generator = Seeing(tokenizer)
    client = Client(Pipeline(model_of(generator, tokenizer), BY_HAND), generator)
    full = "".join(f"def f{n}(x):\n    return x + {n}\n\n\n" for n in range(4))
    asked = snap(
        f"{full}class A:\n    def sum_of_all(self):\n        {body}\n\n\nclass B:\n    def sum_of_all(self):\n        ‸\n"
    )
    await client.open(asked)
    assert await client.pipeline.settled(10)
    await client.ask(asked, "return 1")
    assert (client.foreground[0].evidence is not None) == is_evidence
    await client.pipeline.close()


@pytest.mark.parametrize(("kind", "is_read"), [(ByHand, False), (Seeing, True)])
async def test_nothing_is_read_for_a_generator_that_cannot_weigh_it(
    tokenizer: Tokenizer, kind: type[ByHand], is_read: bool
) -> None:
    generator = kind(tokenizer)
    client = Client(Pipeline(model_of(generator, tokenizer), BY_HAND), generator)
    client.pipeline.set_settings(replace(BY_HAND, memory=False))
    client.pipeline.set_settings(BY_HAND)
    await client.open(snap(f"{EARLIER}x‸"))
    assert await client.pipeline.settled(10)
    assert (client.pipeline._state.memory.n_bytes > 0) == is_read
    await client.pipeline.close()
