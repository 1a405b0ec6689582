"""The command `complete`: what it reports if there is nothing to print."""

from __future__ import annotations

import pytest

from completer.cli.complete import _complete
from completer.config import Settings
from completer.errors import EngineError
from completer.tokens.tokenizer import Tokenizer
from tests.by_heart import LINE, ByHeart, at, pipeline


async def test_a_model_that_writes_nothing_in_time_is_an_error(tokenizer: Tokenizer) -> None:
    slow = ByHeart(tokenizer, delay_s=0.3)
    async with pipeline(slow, tokenizer, Settings(budget_ms=20, explicit_budget_ms=20)) as made:
        with pytest.raises(EngineError, match="wrote nothing within"):
            await _complete(made, at(len(LINE) // 2))
