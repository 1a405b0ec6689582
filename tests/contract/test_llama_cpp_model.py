"""The engine `llama.cpp` with the real 0.5B model, from the file in the store: `pytest -m model -s` prints the figures."""

from __future__ import annotations

import time
from pathlib import Path

import psutil
import pytest

from completer.config import Settings
from completer.engines.factory import load_llama_cpp
from completer.engines.llama_cpp.engine import LlamaCppEngine
from completer.generate.stream import StreamGenerator
from completer.models.store import locate
from completer.types import Request, StopRule
from tests.law import prompt_of, submit

pytestmark = pytest.mark.model

HEAD = "def add(left, right):\n"


def test_it_completes_and_heals_with_the_prompt_in_its_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    files = locate("qwen2.5-coder-0.5b")
    monkeypatch.setattr("completer.engines.factory._folder_of_tokenizer", lambda _: tmp_path)
    started = time.monotonic()
    served = load_llama_cpp(files, Settings(engine="llama.cpp", threads=2))
    engine, tokenizer = served.engine, served.tokenizer
    assert isinstance(engine, LlamaCppEngine)
    memory_mb = psutil.Process(engine.pid).memory_info().rss / 2**20
    print(f"loaded in {time.monotonic() - started:.1f} s, {memory_mb:.0f} MB, {engine.costs}")
    generator, fim = StreamGenerator(engine, tokenizer), tokenizer.fim
    try:
        assert engine._remote.sends_ids and engine.constrains
        assert fim.middle is not None
        fixed = [fim.prefix, *tokenizer.encode(HEAD), fim.suffix, *tokenizer.encode("\n"), fim.middle]
        answers = []
        for number, typed in enumerate(("    return", "    ret"), 1):
            ids = [*fixed, *tokenizer.encode(typed)]
            request = Request(number, "a.py", prompt_of(tokenizer, ids, n_heal=1), StopRule(max_tokens=8))
            answers.append(submit(generator, request).wait())  # type: ignore[arg-type]
        healed = [tokenizer.text_of(answer.ids) for answer in answers]
        print(healed, [answer.stats for answer in answers])
        assert [("    return"[: -len(" return")] + text).strip() for text in healed] == ["return left + right"] * 2
        assert answers[1].stats.n_keep >= len(fixed) - 1
    finally:
        generator.close()
