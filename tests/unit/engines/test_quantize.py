"""Rounding of weights: what comes back, how large its error is, and that GPTQ is worth its time."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from completer.engines.lean.linear import Int4Linear, Int8Linear
from completer.engines.weights.onnx_graph import pack, pack_zeros
from completer.engines.weights.quantize import GROUP, HESSIAN_BLOCK, gptq_groups, hessian_of, int8_rows, nearest_groups


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def correlated(n: int, n_in: int) -> Tensor:
    """Inputs that lie near a space of n_in / 4 dimensions, as the inputs of a real layer do."""
    return random(n, n_in // 4, seed=1) @ random(n_in // 4, n_in, seed=2) + 0.1 * random(n, n_in, seed=3)


def test_rows_of_8_bits_are_off_by_half_a_step_at_most() -> None:
    w = random(16, 64)
    values, scale = int8_rows(w)
    assert values.dtype == torch.int8
    assert ((values * scale.unsqueeze(1) - w).abs() <= scale.unsqueeze(1) * 0.5001).all()
    assert (values.abs().amax(dim=1) == 127).all()


def test_a_row_of_zeros_stays_zero() -> None:
    w = torch.zeros(2, 64)
    values, scale = int8_rows(w)
    assert (values * scale.unsqueeze(1) == 0).all()
    assert (nearest_groups(w, 4).dequantise() == 0).all()


@pytest.mark.parametrize(("bits", "size"), [(4, 32), (8, 32), (8, 128)])
def test_groups_are_off_by_one_step_at_most(bits: int, size: int) -> None:
    w = random(8, 256)
    groups = nearest_groups(w, bits, size)
    assert groups.values.shape == w.shape
    assert groups.scale.shape == groups.zero.shape == (8, 256 // size)
    assert int(groups.values.max()) <= 2**bits - 1
    # Half a step for the value and, at the ends of the range, half a step for the zero point.
    error = (groups.dequantise() - w).view(8, -1, size).abs()
    assert (error <= groups.scale.unsqueeze(-1) * 1.001).all()


def test_a_group_of_one_sign_can_still_say_zero() -> None:
    groups = nearest_groups(random(4, 64).abs() + 3.0, 4)
    assert (groups.zero == 0).all()


def test_numbers_on_the_levels_of_a_group_come_back_exactly() -> None:
    levels = torch.arange(16).repeat(2).float() - 5.0
    assert torch.equal(nearest_groups(levels.view(1, 32), 4).dequantise(), levels.view(1, 32))


def test_gptq_changes_the_output_less_than_rounding_to_the_nearest() -> None:
    w, x = random(48, 128), correlated(512, 128)
    hessian = hessian_of(x) / len(x)

    def output_error(rounded: Tensor) -> float:
        return float((x @ (rounded - w).t()).square().mean())

    nearest = output_error(nearest_groups(w, 4).dequantise())
    assert output_error(gptq_groups(w, hessian, 4).dequantise()) < 0.5 * nearest


def test_gptq_does_not_change_its_arguments() -> None:
    w, x = random(8, 64), correlated(128, 64)
    hessian = hessian_of(x)
    kept = w.clone(), hessian.clone()
    gptq_groups(w, hessian, 4)
    assert torch.equal(w, kept[0])
    assert torch.equal(hessian, kept[1])


def test_gptq_survives_inputs_that_were_never_seen() -> None:
    w = random(8, 64)
    assert torch.equal(gptq_groups(w, torch.zeros(1, 64, 64), 4).dequantise(), nearest_groups(w, 4).dequantise())


def test_the_hessian_is_the_sum_of_outer_products() -> None:
    x = random(20, 64)
    assert torch.allclose(hessian_of(x), torch.einsum("ni,nj->ij", x, x).unsqueeze(0), atol=1e-4)


def test_wide_layers_are_cut_into_blocks_of_whole_groups() -> None:
    n_in = 4864  # the feed-forward width of Qwen2.5 0.5B
    x = random(4, n_in)
    hessian = hessian_of(x)
    blocks, width, _ = hessian.shape
    assert blocks * width == n_in
    assert width % GROUP == 0
    assert width <= HESSIAN_BLOCK
    last = x[:, -width:]
    assert torch.allclose(hessian[-1], last.t() @ last, atol=1e-3)


def test_blocks_of_gptq_are_rounded_on_their_own() -> None:
    w, x = random(8, 128), correlated(256, 128)
    halves = torch.stack([hessian_of(x[:, :64])[0], hessian_of(x[:, 64:])[0]])
    whole = gptq_groups(w, halves, 4).dequantise()
    parts = [gptq_groups(w[:, i : i + 64], halves[n : n + 1], 4).dequantise() for n, i in enumerate((0, 64))]
    assert torch.equal(whole, torch.cat(parts, dim=1))


@pytest.mark.parametrize("n", [1, 3, 40])
def test_the_kernels_multiply_by_the_weights_that_they_were_given(n: int) -> None:
    w, x, bias = random(64, 128), random(n, 128, seed=5), random(64, seed=6)
    rows, groups = int8_rows(w), nearest_groups(w, 4)
    eight = x @ (rows.values * rows.scale.unsqueeze(1)).t() + bias
    four = x @ groups.dequantise().t() + bias
    # Activations have 8 bits (the second kernel's sums too); outputs are within about 40.
    assert (Int8Linear(rows, bias)(x) - eight).abs().max() < 0.5
    assert (Int4Linear(groups, bias)(x) - four).abs().max() < 0.5


@pytest.mark.parametrize("n", [1, 3, 40])
def test_the_largest_sums_of_the_8_bit_kernel_do_not_overflow(n: int) -> None:
    w, x = torch.ones(64, 128), torch.ones(n, 128)
    assert torch.allclose(Int8Linear(int8_rows(w), None)(x), x @ w.t(), rtol=0.01)


def test_pairs_are_made_small_enough_for_16_bits_and_rows_without_large_ones_left_alone() -> None:
    w = random(64, 128)
    w[0, ::2] = 0.0  # no pair of this row has two large ones
    rows = int8_rows(w)
    fewer = rows.with_small_pairs()
    pairs = fewer.values.int().view(64, -1, 2)
    assert (pairs.clamp_min(0).sum(2) * 255).max() <= 2**15 - 1
    assert (pairs.clamp_max(0).sum(2) * 255).min() >= -(2**15)
    assert torch.equal(fewer.values[0], rows.values[0])
    off = (fewer.values * fewer.scale.unsqueeze(1) - rows.values * rows.scale.unsqueeze(1)).abs()
    assert (off <= fewer.scale.unsqueeze(1) * 0.501).all()


def test_a_token_of_the_8_bit_kernel_does_not_depend_on_its_neighbours() -> None:
    linear, x = Int8Linear(int8_rows(random(64, 128)), None), random(9, 128, seed=5)
    assert torch.equal(linear(x)[4:5], linear(x[4:5]))


def test_packed_bytes_hold_the_lower_value_first() -> None:
    groups = nearest_groups(random(4, 96), 4)
    packed = torch.from_numpy(pack(groups.values, 4, 32)).view(4, 48)
    assert torch.equal(packed & 15, groups.values[:, ::2])
    assert torch.equal(packed >> 4, groups.values[:, 1::2])
    zeros = torch.from_numpy(pack_zeros(groups.zero, 4))  # three groups: the second byte is half empty
    assert zeros.shape == (4, 2)
    assert torch.equal(torch.stack([zeros[:, 0] & 15, zeros[:, 0] >> 4, zeros[:, 1]], dim=1), groups.zero)
