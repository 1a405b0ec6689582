"""The lean decoder against the transformers library's own models, and the laws of its slots."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from completer.engines.base import Logits
from completer.engines.kv import KvSlots
from completer.engines.lean.build import Round, dense, int4, int8, lean_model
from completer.engines.lean.decoder import LeanEngine
from completer.engines.lean.linear import DenseLinear, Linear
from completer.engines.weights.checkpoint import open_checkpoint
from completer.engines.weights.quantize import int8_rows, nearest_groups
from completer.errors import ContextOverflow, EngineClosed, UnsupportedModel
from tests import tiny

pytestmark = pytest.mark.slow  # the transformers library takes seconds to import

TOLERANCE = 2e-4
"""Largest difference of a logit in float32; the logits themselves are within about 10."""
IDS = tiny.some_ids(40)


def engine_of(path: Path, round_: Round, attention: torch.dtype = torch.float32) -> LeanEngine:
    model = lean_model(open_checkpoint(path), round_, attention)
    return LeanEngine(model, KvSlots(model.spec, n_slots=2, max_len=300))


def logits_of(engine: LeanEngine, ids: list[int]) -> Logits:
    engine.truncate(0, 0)
    return engine.forward(0, ids, len(ids)).copy()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("qwen2")
    tiny.save_folder("qwen2", path)
    return path


@pytest.fixture
def engine(folder: Path) -> LeanEngine:
    return engine_of(folder, dense(torch.float32))


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_logits_equal_the_transformers_library_for_a_folder_of_each_family(family: str, tmp_path: Path) -> None:
    reference = tiny.reference_logits(tiny.save_folder(family, tmp_path), IDS).numpy()
    assert np.abs(reference).max() > 1.0, "the comparison would say little"
    assert np.abs(logits_of(engine_of(tmp_path, dense(torch.float32)), IDS) - reference).max() < TOLERANCE


@pytest.mark.parametrize("family", ["llama", "qwen2"])
def test_logits_equal_the_transformers_library_for_a_gguf_file(family: str, tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    reference = tiny.reference_logits(tiny.save_gguf(family, path), IDS).numpy()
    assert np.abs(logits_of(engine_of(path, dense(torch.float32)), IDS) - reference).max() < TOLERANCE


def dequantised_int8(weight: Tensor, bias: Tensor | None) -> Linear:
    values, scale = int8_rows(weight)
    return DenseLinear(values * scale.unsqueeze(1), bias)


def dequantised_int4(weight: Tensor, bias: Tensor | None) -> Linear:
    return DenseLinear(nearest_groups(weight, 4).dequantise(), bias)


@pytest.mark.parametrize(
    ("round_", "stands_for"),
    [
        pytest.param(dense(torch.bfloat16), dense(torch.float32), id="bf16"),
        pytest.param(int8, dequantised_int8, id="int8"),
        pytest.param(int4, dequantised_int4, id="int4"),
    ],
)
def test_rounded_formats_compute_what_their_weights_stand_for(round_: Round, stands_for: Round, folder: Path) -> None:
    # What is left is the rounding of the activations, which random weights make much of.
    exact, rounded = logits_of(engine_of(folder, stands_for), IDS), logits_of(engine_of(folder, round_), IDS)
    cosine = (exact * rounded).sum(1) / np.linalg.norm(exact, axis=1) / np.linalg.norm(rounded, axis=1)
    assert np.median(cosine) > 0.995
    assert cosine.min() > 0.97


def test_attention_in_bfloat16_stays_near_float32(folder: Path, engine: LeanEngine) -> None:
    exact = logits_of(engine, IDS)
    rounded = logits_of(engine_of(folder, dense(torch.float32), attention=torch.bfloat16), IDS)
    assert np.abs(exact - rounded).mean() < 0.02 * np.abs(exact).mean()


def test_prefill_in_chunks_equals_one_forward(engine: LeanEngine) -> None:
    ids = tiny.some_ids(280, seed=1)  # two chunks and a rest
    whole = logits_of(engine, ids)[-1]
    engine.truncate(0, 0)
    n_pieces = sum(1 for _ in engine.prefill(0, ids[:-1]))
    assert engine.length(0) == len(ids) - 1
    assert n_pieces == 3 * 2  # a piece is a layer of a chunk
    assert np.abs(engine.forward(0, ids[-1:], 1)[0] - whole).max() < TOLERANCE


def test_an_abandoned_prefill_counts_only_whole_chunks(engine: LeanEngine) -> None:
    ids = tiny.some_ids(280, seed=1)
    whole = logits_of(engine, ids)[-1]
    for n_pieces in range(6):
        engine.truncate(0, 0)
        work = engine.prefill(0, ids)
        for _ in range(n_pieces):
            next(work)
        work.close()  # type: ignore[attr-defined]
        assert engine.length(0) == 128 * (max(n_pieces - 1, 0) // 2)
        rest = ids[engine.length(0) :]
        assert np.abs(engine.forward(0, rest, 1)[0] - whole).max() < TOLERANCE


def test_a_prefill_lets_other_slots_work_between_its_pieces(engine: LeanEngine) -> None:
    ids, other = tiny.some_ids(200, seed=1), tiny.some_ids(20, seed=2)
    whole, alone = logits_of(engine, ids)[-1], logits_of(engine, other)[-1]
    engine.truncate(0, 0)
    for n, _ in enumerate(engine.prefill(0, ids[:-1])):
        engine.truncate(1, 0)
        assert np.abs(engine.forward(1, other, 1)[0] - alone).max() < TOLERANCE, n
    assert np.abs(engine.forward(0, ids[-1:], 1)[0] - whole).max() < TOLERANCE


def test_truncating_and_appending_equals_a_fresh_slot(engine: LeanEngine) -> None:
    fresh = logits_of(engine, IDS)
    engine.truncate(0, 0)
    engine.forward(0, [*IDS[:25], *tiny.some_ids(30, seed=3)], 1)
    assert engine.truncate(0, 25) == 25
    assert np.abs(engine.forward(0, IDS[25:], 15) - fresh[25:]).max() < TOLERANCE


def test_a_copied_prefix_goes_on_like_its_source(engine: LeanEngine) -> None:
    fresh = logits_of(engine, IDS)
    engine.forward(1, tiny.some_ids(50, seed=4), 0)
    engine.copy(0, 1, 25)
    assert (engine.length(0), engine.length(1)) == (40, 25)
    assert np.abs(engine.forward(1, IDS[25:], 15) - fresh[25:]).max() < TOLERANCE


def test_overflow_raises_and_leaves_the_slot_unchanged(engine: LeanEngine) -> None:
    fresh = logits_of(engine, IDS)
    engine.truncate(0, 39)
    with pytest.raises(ContextOverflow):
        engine.forward(0, tiny.some_ids(262), 1)
    with pytest.raises(ContextOverflow):
        next(iter(engine.prefill(0, tiny.some_ids(262))))
    assert engine.length(0) == 39
    assert np.abs(engine.forward(0, IDS[39:], 1)[0] - fresh[-1]).max() < TOLERANCE
    engine.forward(0, tiny.some_ids(260), 1)
    assert engine.length(0) == engine.max_len


def test_a_closed_engine_says_so(engine: LeanEngine) -> None:
    engine.close()
    with pytest.raises(EngineClosed):
        engine.forward(0, IDS, 1)


def test_an_unknown_architecture_is_refused_by_name(folder: Path, tmp_path: Path) -> None:
    config = (folder / "config.json").read_text(encoding="utf-8").replace('"qwen2"', '"mamba"')
    (tmp_path / "config.json").write_text(config, encoding="utf-8")
    with pytest.raises(UnsupportedModel, match="mamba"):
        open_checkpoint(tmp_path)


def test_a_slot_is_never_longer_than_the_window_of_a_sliding_attention(tmp_path: Path) -> None:
    tiny.save_folder("mistral", tmp_path)
    assert open_checkpoint(tmp_path).spec.max_positions == 256 < tiny.MAX_POSITIONS
