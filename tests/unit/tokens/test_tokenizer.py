"""Text to tokens and back, special tokens that never come from text, and the vocabulary index of healing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from completer.errors import UnsupportedModel
from completer.tokens.fim import FORMATS, detect
from completer.tokens.tokenizer import Tokenizer, VocabularyIndex, tokenizer_json, whole_characters
from tests import tiny

SPECIAL_TEXT = st.sampled_from([*tiny.SPECIAL, "<|fim_mid", "dle|>", "def ", "é", "😀", "\r\n", "\t"])


@given(text=st.one_of(st.text(), st.lists(SPECIAL_TEXT).map("".join)))
def test_the_bytes_of_a_text_come_back_and_no_special_token_is_among_them(tokenizer: Tokenizer, text: str) -> None:
    text = text.encode("utf-8", "replace").decode()  # lone surrogates are no text
    ids = tokenizer.encode(text)
    assert tokenizer.bytes_of(ids) == text.encode()
    assert tokenizer.text_of(ids) == text
    assert all(id_ < tiny.N_ORDINARY for id_ in ids)


def test_the_name_of_a_special_token_in_a_document_is_plain_text(tokenizer: Tokenizer) -> None:
    assert tokenizer.fim.middle == tiny.N_ORDINARY + tiny.SPECIAL.index("<|fim_middle|>")
    ids = tokenizer.encode("a<|fim_middle|>b")
    assert tokenizer.fim.middle not in ids
    assert len(ids) > 3


def test_special_tokens_have_no_bytes(tokenizer: Tokenizer) -> None:
    assert tokenizer.bytes_of([tokenizer.fim.prefix, *tokenizer.encode("x"), *tokenizer.fim.end]) == b"x"


def test_ids_behind_the_vocabulary_have_no_bytes(tokenizer: Tokenizer) -> None:
    assert tokenizer.bytes_of([tiny.VOCAB_SIZE - 1]) == b""


def test_the_format_is_found_by_the_vocabulary(tokenizer: Tokenizer) -> None:
    fim = tokenizer.fim
    assert fim.format.name == "qwen"
    assert fim.bos is None
    assert {fim.prefix, fim.suffix, fim.middle, fim.repo_name, fim.file_sep} <= fim.end
    assert len(fim.end) == 8  # all special tokens but <|im_start|>


def test_a_vocabulary_without_fim_tokens_is_refused(tmp_path: Path) -> None:
    spec = json.loads(tiny.tokenizer_text())
    spec["added_tokens"] = spec["added_tokens"][:3]
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(spec), encoding="utf-8")
    with pytest.raises(UnsupportedModel, match="fill-in-the-middle"):
        Tokenizer.load(path)
    with pytest.raises(UnsupportedModel, match="fill-in-the-middle"):
        Tokenizer.load(path, fim="starcoder")


def test_text_is_taken_as_it_is_even_where_the_file_asks_for_normalisation(tmp_path: Path) -> None:
    spec = json.loads(tiny.tokenizer_text())
    spec["normalizer"] = {"type": "NFC"}
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(spec), encoding="utf-8")
    decomposed = "gro\u0308ße"
    loaded = Tokenizer.load(path)
    assert loaded.text_of(loaded.encode(decomposed)) == decomposed


def test_the_vocabulary_of_a_gguf_file_encodes_like_its_own(tokenizer: Tokenizer, tmp_path: Path) -> None:
    model = json.loads(tiny.tokenizer_text())["model"]
    tokens = [*model["vocab"], *tiny.SPECIAL]
    types = [1] * len(model["vocab"]) + [3] * len(tiny.SPECIAL)
    path = tmp_path / "tokenizer.json"
    path.write_text(tokenizer_json(tokens, [" ".join(m) for m in model["merges"]], types, "qwen2"), encoding="utf-8")
    loaded = Tokenizer.load(path)
    text = "def print_all(self):\n\treturn 'größe' 😀 1234\r\n\r\n   <|fim_prefix|>"
    assert loaded.encode(text) == tokenizer.encode(text)
    assert loaded.token_bytes == tokenizer.token_bytes
    assert loaded.fim == tokenizer.fim


def test_an_unknown_way_of_splitting_is_refused() -> None:
    with pytest.raises(UnsupportedModel, match="gpt-17"):
        tokenizer_json([], [], [], "gpt-17")


def test_a_vocabulary_with_byte_fallback_is_read(tmp_path: Path) -> None:
    vocab = ["<unk>", "<s>", "</s>", "<0x0A>", "<0x41>", "A", "▁def", "▁"]
    spec = {
        "version": "1.0",
        "added_tokens": [{"id": 8 + i, "content": t, "special": True} for i, t in enumerate(("▁<PRE>", "▁<SUF>", "▁<MID>"))],
        "model": {"type": "BPE", "vocab": {t: i for i, t in enumerate(vocab)}, "merges": [], "byte_fallback": True},
    }
    for token in spec["added_tokens"]:  # type: ignore[attr-defined]
        token.update(dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False))
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(spec), encoding="utf-8")
    loaded = Tokenizer.load(path)
    assert loaded.fim.format.name == "codellama"
    assert loaded.token_bytes[3:8] == [b"\n", b"A", b"A", b" def", b" "]
    assert set(loaded.index.allowed(b"A!").tolist()) == {4, 5}, "both tokens of the same byte"


@given(pending=st.one_of(st.text(min_size=1, max_size=8), st.sampled_from(["    ", "print_", "→ größe"])), cut=st.integers(0, 2))
def test_the_index_allows_what_a_search_of_the_whole_vocabulary_allows(tokenizer: Tokenizer, pending: str, cut: int) -> None:
    data = pending.encode("utf-8", "replace")[cut:] or b"x"  # also from inside a character
    allowed = tokenizer.index.allowed(data).tolist()
    assert len(set(allowed)) == len(allowed)
    assert set(allowed) == {i for i, b in enumerate(tokenizer.token_bytes) if b and (b.startswith(data) or data.startswith(b))}


def test_the_index_knows_bytes_up_to_the_highest() -> None:
    index = VocabularyIndex([b"\xff", b"\xff\xff\xff", b"", b"\xfe", b"\xff\x00"])
    assert sorted(index.allowed(b"\xff").tolist()) == [0, 1, 4]
    assert sorted(index.allowed(b"\xff\xff").tolist()) == [0, 1]


def test_an_unfinished_character_is_left_out() -> None:
    data = "a😀".encode()
    assert [whole_characters(data[:n]) for n in range(6)] == ["", "a", "a", "a", "a", "a😀"]
    assert whole_characters(b"\xffa") == "\N{REPLACEMENT CHARACTER}a"


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_each_format_is_detected_by_its_own_tokens(name: str) -> None:
    format_ = FORMATS[name]
    tokens = {format_.prefix, format_.suffix, format_.middle, format_.repo_name, format_.file_sep, format_.bos, *format_.end}
    found = detect(tokens - {""})
    assert found is not None
    assert found.name == name
