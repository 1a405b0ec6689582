"""Rounding of weights to 8 and 4 bits: one scale for each row, or a scale and a zero point for each group of inputs."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from completer.errors import UnsupportedModel

GROUP = 32
"""Inputs that share a scale in 4 bits."""
HESSIAN_BLOCK = 1280
"""Most inputs whose correlations GPTQ follows; wider layers are cut, which costs no measurable quality and saves minutes."""

_PAIR = 127
"""Rounding adds one at the most, and 255 * 128 fits 16 bits."""
_BLOCK_ROWS = 1024
"""What is worked on at once stays in the cache: whole matrices take three times as long, which a start would feel."""


class Int8Rows(NamedTuple):
    """Weights with one scale for each output row: w = values * scale."""

    values: Tensor  # [out, in] int8, within -127..127
    scale: Tensor  # [out] float32

    def with_small_pairs(self) -> Int8Rows:
        """Return these weights rounded so that a byte times each of two neighbours of a row, together, fits 16 bits.

        Of like sign, two neighbours are then at most 128 together: a row loses what its largest pair asks for, half a bit or so.
        """
        blocks = zip(torch.split(self.values, _BLOCK_ROWS), torch.split(self.scale, _BLOCK_ROWS), strict=True)
        values, scale = zip(*(_with_small_pairs(*block) for block in blocks), strict=True)
        return Int8Rows(torch.cat(values), torch.cat(scale))


class Groups(NamedTuple):
    """Weights in groups of `size` inputs: w = (values - zero) * scale.

    order: [in] int64, the input that each column of `values` belongs to; None if they are in their own order.
    """

    values: Tensor  # [out, in] uint8, 0..2**bits - 1
    scale: Tensor  # [out, in / size] float32
    zero: Tensor  # [out, in / size] uint8
    bits: int
    size: int
    order: Tensor | None = None

    def dequantise(self) -> Tensor:
        """Return the weights that these groups represent: [out, in] float32."""
        out, n_in = self.values.shape
        grouped = self.values.view(out, -1, self.size).float() - self.zero.unsqueeze(-1)
        weight = (grouped * self.scale.unsqueeze(-1)).view(out, n_in)
        return weight if self.order is None else weight[:, self.order.argsort()]

    def split(self, largest: int = 128) -> Groups:
        """Return the same weights in groups of a size that kernels have: a power of two up to `largest`, GROUP at the least.

        Raises: UnsupportedModel.
        """
        size = math.gcd(self.size, largest)
        if size < GROUP:
            raise UnsupportedModel(
                f"groups of {self.size} inputs: the kernels want multiples of {GROUP}; choose another checkpoint"
            )
        parts = self.size // size
        if parts == 1:
            return self
        scale, zero = (tensor.repeat_interleave(parts, dim=1) for tensor in (self.scale, self.zero))
        return self._replace(scale=scale, zero=zero, size=size)


def _with_small_pairs(values: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    pairs = values.view(torch.int16)  # two neighbours each
    low, high = (pairs << 8) >> 8, pairs >> 8
    alike = (low ^ high) >= 0
    largest = ((low + high).abs() * alike).amax(1)
    share = (_PAIR / largest.clamp_min(_PAIR)).unsqueeze(1)
    return (values * share).round_().to(torch.int8), scale / share.squeeze(1)


def int8_rows(w: Tensor) -> Int8Rows:
    """Round w: [out, in] to 8 bits with one symmetric scale for each row."""
    scale = w.abs().amax(dim=1).clamp_min(1e-12) / 127.0
    return Int8Rows((w / scale.unsqueeze(1)).round_().clamp_(-127, 127).to(torch.int8), scale)


def nearest_groups(w: Tensor, bits: int, size: int = GROUP) -> Groups:
    """Round w: [out, in] to the nearest of `2**bits` levels between each group's minimum and maximum."""
    out, n_in = w.shape
    grouped = w.view(out, n_in // size, size)
    scale, zero = _range(grouped, bits)
    values = (grouped / scale.unsqueeze(-1)).add_(zero.unsqueeze(-1)).round_().clamp_(0, 2**bits - 1)
    return Groups(values.view(out, n_in).to(torch.uint8), scale, zero.to(torch.uint8), bits, size)


def gptq_groups(w: Tensor, hessian: Tensor, bits: int, size: int = GROUP) -> Groups:
    """Round w: [out, in] so that the layer's *output* changes least: each column's error is put into the columns after it.

    hessian: [blocks, in / blocks, in / blocks], the mean of x xT over the layer's inputs x (see `hessian_of`).
    Mutates: nothing.  Source: GPTQ (2210.17323), with a zero point for each group and without reordering of columns.
    """
    width = hessian.shape[1]
    parts = [_gptq_block(w[:, i * width : (i + 1) * width], h, bits, size) for i, h in enumerate(hessian)]
    values, scale, zero = (torch.cat(tensors).t().contiguous() for tensors in zip(*parts, strict=True))
    return Groups(values, scale, zero.to(torch.uint8), bits, size)


def hessian_of(x: Tensor) -> Tensor:
    """Return the sum of x xT over the rows of x: [n, in], for each block of inputs: [blocks, width, width]."""
    n_in = x.shape[1]
    blocks = next(b for b in range(1, n_in + 1) if n_in % (b * GROUP) == 0 and n_in // b <= HESSIAN_BLOCK)
    columns = x.view(x.shape[0], blocks, n_in // blocks).transpose(0, 1)  # [blocks, n, width]
    return columns.transpose(1, 2) @ columns


def _gptq_block(w: Tensor, hessian: Tensor, bits: int, size: int, damping: float = 0.01, batch: int = 128) -> tuple[Tensor, ...]:
    """Round w: [out, in]; return values [in, out], scale and zero [in / size, out]."""
    n_out, n_in = w.shape
    rest = w.t().contiguous()  # [in, out]: a column of w is a row here
    share = _inverse_factor(hessian, damping)  # [in, in] upper triangular
    values = torch.empty(n_in, n_out, dtype=torch.uint8)
    scale, zero = torch.empty(n_in // size, n_out), torch.empty(n_in // size, n_out)
    for first in range(0, n_in, batch):
        stop = min(first + batch, n_in)
        errors = torch.empty(stop - first, n_out)
        for i in range(first, stop):
            g = i // size
            if i % size == 0:
                scale[g], zero[g] = _range(rest[i : i + size].t(), bits)
            level = (rest[i] / scale[g]).add_(zero[g]).round_().clamp_(0, 2**bits - 1)
            values[i] = level.to(torch.uint8)
            error = errors[i - first] = (rest[i] - (level - zero[g]) * scale[g]) / share[i, i]
            rest[i + 1 : stop].addr_(share[i, i + 1 : stop], error, alpha=-1.0)
        rest[stop:].addmm_(share[first:stop, stop:].t(), errors, alpha=-1.0)
    return values, scale, zero


def _range(grouped: Tensor, bits: int) -> tuple[Tensor, Tensor]:
    """Return scale and zero point that span min..max (and zero) of the last axis."""
    low = grouped.amin(-1).clamp_max(0.0)
    high = grouped.amax(-1).clamp_min(0.0)
    levels = 2**bits - 1
    scale = ((high - low) / levels).clamp_min(1e-12)
    return scale, (-low / scale).round_().clamp_(0, levels)


def _inverse_factor(hessian: Tensor, damping: float) -> Tensor:
    """Return the upper Cholesky factor of the damped Hessian's inverse."""
    damped = hessian.clone()
    diagonal = damped.diagonal()
    diagonal.add_(damping * diagonal.mean() + 1e-8)
    factor: Tensor = torch.linalg.cholesky(torch.cholesky_inverse(torch.linalg.cholesky(damped)), upper=True)
    return factor
