"""The prompts that are compared, over a vocabulary of which every token can be seen."""

from __future__ import annotations

import pytest

from bench.arms import ARMS, LINES_AFTER, LINES_BEFORE, n_word_tokens, window
from bench.cursors import Case
from completer.tokens.tokenizer import Tokenizer, tokenizer_json

CASE = Case("c", "python", "a\nb\nc\nd\n  return", " x", "\ne\n")


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    """A byte-level vocabulary with one merge: "Ġr"."""
    letters = [chr(b) for b in range(33, 127)] + ["Ġ", "Ċ"]
    special = ["<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", "<|endoftext|>", "<|file_sep|>"]
    tokens = [*letters, "Ġr", *special]
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    kinds = [1] * (len(letters) + 1) + [3] * len(special)
    path.write_text(tokenizer_json(tokens, ["Ġ r"], kinds, "qwen2"), encoding="utf-8")
    return Tokenizer.load(path, "qwen")


@pytest.mark.parametrize("name", ARMS)
def test_every_arm_shows_the_same_text_and_heals_its_end(name: str, tokenizer: Tokenizer) -> None:
    prompt = ARMS[name](CASE, tokenizer)
    ids, fim = list(prompt.ids), tokenizer.fim
    suffix, middle = ids.index(fim.suffix), ids.index(fim.middle)
    before = tokenizer.bytes_of(ids[:suffix]) + tokenizer.bytes_of(ids[middle:])
    assert before.decode() == CASE.prefix
    assert tokenizer.bytes_of(ids[suffix:middle]).decode() == CASE.suffix
    assert tokenizer.bytes_of(ids[len(ids) - prompt.n_heal :]) == prompt.heal_bytes


def test_anchored_arms_have_only_what_was_typed_behind_the_middle(tokenizer: Tokenizer) -> None:
    typed = {name: tokenizer.bytes_of((p := make(CASE, tokenizer)).ids[p.n_fixed :]) for name, make in ARMS.items()}
    assert typed == {"plain": b"", "healed": b"n", "line": b"  return", "word": b"  return", "word-3": b"b\nc\nd\n  return"}


def test_the_last_word_is_healed_back_to_its_first_token(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode("x retu")
    assert tokenizer.bytes_of(ids[-n_word_tokens(ids, tokenizer) :]) == b" retu"
    assert n_word_tokens(tokenizer.encode("x ="), tokenizer) == 1
    assert n_word_tokens(tokenizer.encode("(ab"), tokenizer) == 2


def test_windows_are_whole_lines_around_the_cursor() -> None:
    lines = [f"line {i}\n" for i in range(200)]
    before, after = window(Case("c", "python", "".join(lines) + "here", "x", "\n" + "".join(lines)))
    assert before == "".join(lines[-LINES_BEFORE:]) + "here"
    assert after == "\n" + "".join(lines[:LINES_AFTER])
