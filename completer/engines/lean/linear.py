"""The matrix products of the lean decoder, one class for each weight format. x: [n, in] float32 -> [n, out] float32."""

from __future__ import annotations

from functools import cache
from typing import Protocol

import torch
from torch import Tensor

from completer.engines.weights.quantize import Groups, Int8Rows


class Linear(Protocol):
    """A weight matrix ready for its kernel."""

    def __call__(self, x: Tensor) -> Tensor: ...


class DenseLinear:
    """bf16 or fp32 weights; the activations are cast to the weights' type."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self.weight = weight  # [out, in]
        self.bias = bias

    def __call__(self, x: Tensor) -> Tensor:
        y = torch.nn.functional.linear(x.to(self.weight.dtype), self.weight).float()
        return y if self.bias is None else y.add_(self.bias)


class Int8Linear:
    """8-bit weights and activations with 32-bit sums (oneDNN, VNNI): the fastest prefill we know on a CPU.

    Each token's activations get a scale of their own; oneDNN wants them unsigned, hence the zero point of 128.
    The sums are exact integers, so a token's result does not depend on what is forwarded beside it. Where pairs
    of products would overflow, on a CPU without VNNI, rows with large pairs are rounded more coarsely.
    """

    def __init__(self, rows: Int8Rows, bias: Tensor | None) -> None:
        if pairs_overflow():
            rows = rows.with_small_pairs()
        n_out, n_in = rows.values.shape
        self.weight = torch.ops.onednn.qlinear_prepack(rows.values, [128, n_in])
        self.scale = rows.scale
        self.zeros = torch.zeros(n_out, dtype=torch.int64)
        self.bias = bias

    def __call__(self, x: Tensor) -> Tensor:
        step = torch.linalg.vector_norm(x, torch.inf, dim=1, keepdim=True).clamp_min_(1e-8).div_(127.0)  # [n, 1]
        quantised = (x / step).add_(128.5).to(torch.uint8)  # truncation after +.5 rounds, values are positive
        y = _multiply(quantised, self.weight, self.scale, self.zeros).mul_(step)
        return y if self.bias is None else y.add_(self.bias)


@cache
def pairs_overflow() -> bool:
    """Whether this CPU adds two products of 8 bits in 16, which twice 255 * 127 does not fit (x86 without VNNI)."""
    n = 64
    weight = torch.ops.onednn.qlinear_prepack(torch.full((n, n), 127, dtype=torch.int8), [n, n])
    largest = torch.full((n, n), 255, dtype=torch.uint8)
    sums = _multiply(largest, weight, torch.ones(n), torch.zeros(n, dtype=torch.int64))
    return bool((sums != n * (255 - 128) * 127).any())


def _multiply(x: Tensor, weight: Tensor, scale: Tensor, zeros: Tensor) -> Tensor:
    """x: [n, in] uint8 with a zero point of 128; weight: [out, in] as packed by oneDNN; scale, zeros: [out]. Returns [n, out]."""
    y: Tensor = torch.ops.onednn.qlinear_pointwise(x, 1.0, 128, weight, scale, zeros, None, 1.0, 0, torch.float32, "none", [], "")
    return y


class Int4Linear:
    """4-bit weights in groups, unpacked inside PyTorch's own CPU kernel."""

    def __init__(self, group: Groups, bias: Tensor | None) -> None:
        group = group.split()
        self.size, self.order = group.size, group.order
        self.packed = torch.ops.aten._convert_weight_to_int4pack_for_cpu(group.values.int(), 1)
        # The kernel computes (q - 8) * scale + shift, so the zero point moves into the shift.
        shift = (8.0 - group.zero.float()) * group.scale
        self.scales_shifts = torch.stack([group.scale.t(), shift.t()], dim=-1).bfloat16().contiguous()
        self.bias = bias

    def __call__(self, x: Tensor) -> Tensor:
        if self.order is not None:
            x = x[:, self.order]
        y: Tensor = torch.ops.aten._weight_int4pack_mm_for_cpu(x.bfloat16(), self.packed, self.size, self.scales_shifts)
        return y.float() if self.bias is None else y.float().add_(self.bias)
