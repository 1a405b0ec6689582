"""The matrix products of the lean decoder on a graphics card. x: [n, in] float32 -> [n, out] float32, as in `linear`.

Decoding reads all weights for a few rows, so there the format decides; a prefill multiplies in bfloat16 in each of them.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import linear

from completer.engines.lean.linear import DenseLinear, Linear
from completer.engines.weights.quantize import Groups, Int8Rows

FEW_ROWS = 16
"""Up to so many rows the 4-bit kernel is bound by memory, and is used; more rows are multiplied in bfloat16."""
_INNER_TILES = (8, 4, 2)
"""Inner tiles of the 4-bit kernel, the widest first; each wants the inputs to be a multiple of 16 times itself."""


class Int8DeviceLinear:
    """8-bit rows, widened before the product: half the memory of bf16, not quicker than it."""

    def __init__(self, rows: Int8Rows, bias: Tensor | None, device: torch.device) -> None:
        self.values = rows.values.to(device)  # [out, in] int8
        self.scale = rows.scale.to(device)  # [out]
        self.bias = None if bias is None else bias.to(device)

    def __call__(self, x: Tensor) -> Tensor:
        y = linear(x.bfloat16(), self.values.bfloat16()).float().mul_(self.scale)
        return y if self.bias is None else y.add_(self.bias)


class Int4DeviceLinear:
    """4-bit groups in PyTorch's tinygemm kernel for few rows, widened for many.

    with_plain: a second copy of the weights in plain half-bytes, for the widening; without it the 4-bit kernel does all.
    """

    def __init__(self, groups: Groups, bias: Tensor | None, device: torch.device, with_plain: bool) -> None:
        groups = groups.split()
        n_in = groups.values.shape[1]
        values = groups.values.to(device)
        plain = (
            (values[:, ::2] << 4) | values[:, 1::2]
        ).contiguous()  # [out, in / 2]: the kernel wants the even input in the upper half
        tiles = next(tiles for tiles in _INNER_TILES if n_in % (16 * tiles) == 0)
        self.packed = torch.ops.aten._convert_weight_to_int4pack(plain, tiles)
        # The kernel computes (q - 8) * scale + shift, so the zero point moves into the shift.
        shift = (8.0 - groups.zero.float()) * groups.scale
        self.scales_shifts = torch.stack([groups.scale.t(), shift.t()], dim=-1).bfloat16().contiguous().to(device)
        self.size = groups.size
        self.order = None if groups.order is None else groups.order.to(device)
        self.bias = None if bias is None else bias.to(device)
        self.plain = plain if with_plain else None

    def __call__(self, x: Tensor) -> Tensor:
        if self.order is not None:
            x = x[:, self.order]
        if self.plain is None or x.shape[0] <= FEW_ROWS:
            y: Tensor = torch.ops.aten._weight_int4pack_mm(x.bfloat16(), self.packed, self.size, self.scales_shifts)
        else:
            y = linear(x.bfloat16(), widen(self.plain, self.size, self.scales_shifts))
        return y.float() if self.bias is None else y.float().add_(self.bias)


def widen(plain: Tensor, size: int, scales_shifts: Tensor) -> Tensor:
    """Return the weights that plain: [out, in / 2] uint8 and scales_shifts: [in / size, out, 2] represent: [out, in] bfloat16."""
    n_out = plain.shape[0]
    values = torch.stack([plain >> 4, plain & 15], dim=-1).reshape(n_out, -1, size).bfloat16() - 8
    scale, shift = scales_shifts.transpose(0, 1).unbind(-1)  # [out, in / size] each
    return torch.addcmul(shift.unsqueeze(-1), values, scale.unsqueeze(-1)).reshape(n_out, -1)


def int4_fits(groups: Groups) -> bool:
    """Whether the 4-bit kernel takes these sizes."""
    n_out, n_in = groups.values.shape
    return n_out % 8 == 0 and n_in % (16 * _INNER_TILES[-1]) == 0 and n_in % groups.size == 0


def dense_on(device: torch.device, weight: Tensor, bias: Tensor | None) -> Linear:
    """Return the product in bfloat16 on `device`."""
    return DenseLinear(weight.to(device, torch.bfloat16), None if bias is None else bias.to(device))
