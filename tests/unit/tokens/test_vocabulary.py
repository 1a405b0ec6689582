"""The kept form of a vocabulary gives back what was kept, or nothing."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from completer.tokens.vocabulary import Vocabulary, keep, load_kept, sorted_ids

BYTES = [b"b", b"", b"a", b"\xff", b"ab", b"a"]
NAMES = {"<fim>", "<end>"}
ENCODER = json.dumps({"model": "größe"}, ensure_ascii=False)


def kept(folder: Path) -> Vocabulary:
    words = Vocabulary(BYTES, sorted_ids(BYTES), {"<fim>": 1})
    keep(folder, words, ENCODER, NAMES)
    return words


@given(st.lists(st.binary(max_size=3), max_size=30))
def test_the_order_is_that_of_the_bytes_and_leaves_out_tokens_without_any(token_bytes: list[bytes]) -> None:
    ids = sorted_ids(token_bytes).tolist()
    assert [token_bytes[i] for i in ids] == sorted(token for token in token_bytes if token)
    assert len(set(ids)) == len(ids)


def test_what_was_kept_is_loaded(tmp_path: Path) -> None:
    words = kept(tmp_path)
    found = load_kept(tmp_path, NAMES)
    assert found is not None
    loaded, encoder = found
    assert (loaded.token_bytes, loaded.named, encoder) == (words.token_bytes, words.named, ENCODER)
    assert np.array_equal(loaded.order, words.order)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["encoder.json", "vocabulary.npz"]


def test_an_empty_vocabulary_is_kept_too(tmp_path: Path) -> None:
    keep(tmp_path, Vocabulary([], sorted_ids([]), {}), "{}", ())
    found = load_kept(tmp_path, ())
    assert found is not None and found[0].token_bytes == []


def test_nothing_was_kept(tmp_path: Path) -> None:
    assert load_kept(tmp_path, NAMES) is None


def test_what_was_kept_for_other_prompt_formats_is_not_used(tmp_path: Path) -> None:
    kept(tmp_path)
    assert load_kept(tmp_path, {*NAMES, "<new>"}) is None


@pytest.mark.parametrize("name", ["encoder.json", "vocabulary.npz"])
def test_one_file_alone_is_not_used(tmp_path: Path, name: str) -> None:
    kept(tmp_path)
    (tmp_path / name).unlink()
    assert load_kept(tmp_path, NAMES) is None


def test_an_encoder_of_another_time_is_not_used(tmp_path: Path) -> None:
    kept(tmp_path)
    (tmp_path / "encoder.json").write_text(ENCODER + " ", encoding="utf-8")
    assert load_kept(tmp_path, NAMES) is None


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.99])
def test_an_archive_that_was_cut_off_is_not_used(tmp_path: Path, share: float) -> None:
    kept(tmp_path)
    file = tmp_path / "vocabulary.npz"
    data = file.read_bytes()
    file.write_bytes(data[: int(len(data) * share)])
    assert load_kept(tmp_path, NAMES) is None


def test_a_folder_that_cannot_be_written_to_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder can be made here")
    kept(tmp_path / "file")
    assert load_kept(tmp_path / "file", NAMES) is None
