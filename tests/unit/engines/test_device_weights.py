"""Weights for a graphics card, on tensors without one: a format computes what it stands for, a checkpoint arrives whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from completer.engines.cuda import load as on_cuda
from completer.engines.cuda.engine import CudaEngine
from completer.engines.cuda.linear import Int4DeviceLinear, Int8DeviceLinear, int4_fits, widen
from completer.engines.lean.linear import DenseLinear
from completer.engines.weights.checkpoint import open_checkpoint
from completer.engines.weights.quantize import int8_rows, nearest_groups
from tests import tiny
from tests.quantised import Layout, save_quantised
from tests.unit.engines.test_cuda import CPU, IDS, Recorder

pytestmark = pytest.mark.slow


def test_eight_bit_rows_on_a_device_compute_what_they_stand_for() -> None:
    w, x = torch.randn(48, 128), torch.randn(5, 128)
    rows = int8_rows(w)
    exact = DenseLinear(rows.values * rows.scale.unsqueeze(1), torch.ones(48))(x)
    assert (Int8DeviceLinear(rows, torch.ones(48), CPU)(x) - exact).abs().max() < 0.02 * exact.abs().max()


def test_four_bit_groups_are_widened_to_what_they_stand_for() -> None:
    groups = nearest_groups(torch.randn(48, 128), 4)
    plain = (groups.values[:, ::2] << 4) | groups.values[:, 1::2]
    shift = (8.0 - groups.zero.float()) * groups.scale
    scales_shifts = torch.stack([groups.scale.t(), shift.t()], dim=-1).bfloat16()
    wide = widen(plain, groups.size, scales_shifts).float()
    assert (wide - groups.dequantise()).abs().max() < 0.02 * groups.dequantise().abs().max()


@pytest.mark.parametrize("size", [32, 64, 128])
@pytest.mark.parametrize("with_plain", [False, True])
def test_four_bit_groups_have_the_shapes_that_the_kernels_want(size: int, with_plain: bool) -> None:
    # PyTorch's own shape functions of the CUDA kernels: the packing and the product run on tensors without memory.
    with FakeTensorMode():
        groups = nearest_groups(torch.empty(64, 256), 4, size)
        assert int4_fits(groups)
        product = Int4DeviceLinear(groups, torch.ones(64), CPU, with_plain)
        assert product.packed.dtype == torch.int32
        for n in (1, 8, 16, 17, 100):
            assert product(torch.empty(n, 256)).shape == (n, 64)


def test_sizes_that_the_four_bit_kernel_does_not_take_are_kept_in_bfloat16(tmp_path: Path) -> None:
    assert not int4_fits(nearest_groups(torch.randn(60, 256), 4))
    model = on_cuda.model_on(lopsided(tmp_path), "bf16", CPU, with_plain=False)
    engine = CudaEngine(model, on_cuda.make_slots(model.spec, 1, CPU), CPU, tiny.VOCAB_SIZE)
    assert np.isfinite(engine.forward(0, IDS[:9], 2)).all()


def lopsided(folder: Path) -> on_cuda.Checkpoint:
    save_quantised(Layout("awq", 64), folder)
    return open_checkpoint(folder)


@pytest.mark.parametrize("weights", ["bf16", "int8"])
def test_a_checkpoint_loaded_onto_a_device_stays_near_the_exact_one(weights: str, tmp_path: Path) -> None:
    reference = tiny.reference_logits(save_quantised(Layout("gptq", 64, act_order=True), tmp_path), IDS[:40]).numpy()
    model = on_cuda.model_on(open_checkpoint(tmp_path), weights, CPU, with_plain=True)
    assert model.embed.dtype == torch.bfloat16
    engine = CudaEngine(model, on_cuda.make_slots(model.spec, 1, CPU), CPU, tiny.VOCAB_SIZE, Recorder())
    logits = engine.forward(0, IDS[:40], 40)
    cosine = (logits * reference).sum(1) / np.linalg.norm(logits, axis=1) / np.linalg.norm(reference, axis=1)
    assert np.median(cosine) > 0.99


@pytest.mark.parametrize("weights", ["bf16", "int8"])
@pytest.mark.parametrize("layout", [None, Layout("awq", 64)], ids=["plain", "awq"])
def test_nothing_on_the_way_mixes_the_device_with_the_cpu(weights: str, layout: Layout | None, tmp_path: Path) -> None:
    # "meta" stands for the card: shapes and devices are checked as there, no number is computed.
    meta = torch.device("meta")
    if layout is None:
        tiny.save_folder("qwen3", tmp_path)
    else:
        save_quantised(layout, tmp_path)
    model = on_cuda.model_on(open_checkpoint(tmp_path, "meta"), weights, meta, with_plain=True)
    slots = on_cuda.make_slots(model.spec, 1, meta)
    engine = CudaEngine(model, slots, meta, tiny.VOCAB_SIZE, Recorder())
    engine.warm_up()
    assert len(list(engine.prefill(0, IDS))) == 2
    engine.copy(0, 1, 200)
    for n in (1, 3, 8, 9):
        logits, choices = engine._forward(1, IDS[:n], n)
        assert (logits.device, choices.device) == (meta, meta)
        assert (logits.shape, choices.shape) == ((n, tiny.VOCAB_SIZE), (2, n))
    assert engine.length(1) == 221
