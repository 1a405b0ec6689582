"""Puts the lean decoder together from a checkpoint's own weights, in any format that `linear` has."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from completer.engines.lean.decoder import LeanModel
from completer.engines.lean.linear import DenseLinear, Int4Linear, Int8Linear, Linear
from completer.engines.weights.checkpoint import Checkpoint
from completer.engines.weights.convert import PARTS, fused, fused_bias, fused_groups, lean_layer, norms
from completer.engines.weights.quantize import Groups, int8_rows, nearest_groups

Round = Callable[[Tensor, Tensor | None], Linear]
"""Takes weight [out, in] and bias [out] in float32; returns the product in some format."""


Pack = Callable[[Groups, Tensor | None], Linear]
"""Takes weights that their publisher quantised, and bias [out]; returns the product over them as they are."""


def dense(dtype: torch.dtype) -> Round:
    """Return a Round that keeps the weights as `dtype`."""
    return lambda weight, bias: DenseLinear(weight.to(dtype), bias)


def int8(weight: Tensor, bias: Tensor | None) -> Linear:
    """Round to 8 bits, a scale for each row."""
    return Int8Linear(int8_rows(weight), bias)


def int4(weight: Tensor, bias: Tensor | None) -> Linear:
    """Round to 4 bits, a scale and a zero point for each group of inputs."""
    return Int4Linear(nearest_groups(weight, 4), bias)


def lean_model(
    checkpoint: Checkpoint, round_: Round, attention_dtype: torch.dtype = torch.float32, pack: Pack | None = None
) -> LeanModel:
    """Return the whole decoder with each product rounded by `round_`; the embedding stays as it is.

    pack: takes what is quantised already; None: that is dequantised and rounded like the rest.
    Raises: ModelError when a tensor is missing.
    """
    spec = checkpoint.spec

    def product(i: int, part: str) -> Linear:
        groups = fused_groups(checkpoint, i, part) if pack is not None else None
        if pack is None or groups is None:
            return round_(*fused(checkpoint, i, part))
        return pack(groups, fused_bias(checkpoint, i, part))

    layers = tuple(lean_layer(norms(checkpoint, i), {part: product(i, part) for part in PARTS}) for i in range(spec.n_layers))
    head = round_(checkpoint.get("head.weight"), None)
    return LeanModel(spec, checkpoint.get("embed.weight"), layers, checkpoint.get("norm.weight"), head, attention_dtype)
