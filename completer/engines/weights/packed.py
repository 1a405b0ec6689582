"""The 4-bit layouts in which the hub's quantised models lie: AWQ (gemm) and GPTQ, read without their packages.

              qweight             packs 8 numbers into an int32 along        scales           qzeros
    AWQ       [in, out / 8]       outputs, in the order 0 2 4 6 1 3 5 7      [groups, out]    [groups, out / 8]
    GPTQ      [in / 8, out]       inputs, in their order                     [groups, out]    [groups, out / 8]

Sources: AutoAWQ's WQLinear_GEMM; AutoGPTQ's and GPTQModel's QuantLinear. GPTQ's first version stores zero points less one,
its second as they are (`checkpoint_format`). With act-order (`desc_act`) `g_idx` gives the group of each input.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from completer.engines.weights.quantize import Groups
from completer.errors import ModelError, UnsupportedModel

AWQ_ORDER = (0, 2, 4, 6, 1, 3, 5, 7)
"""The output that each half-byte holds of an AWQ word, the lowest first."""
_SIDE_FILES = {"quantize_config.json": "gptq", "quant_config.json": "awq"}
"""Where older exporters write what newer ones put into config.json, and the method that they mean."""
_BITS = 4


@dataclass(frozen=True, slots=True)
class Packing:
    """How the quantised weights of a folder are laid out. zero_offset: added to a stored zero point."""

    method: Literal["awq", "gptq"]
    zero_offset: int = 0


def read_packing(folder: Path, config: Mapping[str, Any]) -> Packing | None:
    """Return the layout that config.json (or an older exporter's file) describes; None for a folder that is not quantised.

    Raises: UnsupportedModel for other methods, widths and layouts, naming what can be read.
    """
    described = config.get("quantization_config")
    for name, method in _SIDE_FILES.items():
        if not described and (folder / name).is_file():
            described = {"quant_method": method, **json.loads((folder / name).read_text(encoding="utf-8"))}
    if not described:
        return None
    method = str(described.get("quant_method", "unknown")).lower()
    bits = described.get("bits", described.get("w_bit"))
    layout = str(described.get("version" if method == "awq" else "checkpoint_format", "")).lower()
    wanted = {"awq": ("", "gemm"), "gptq": ("", "gptq", "gptq_v2")}
    if method not in wanted or bits != _BITS or layout not in wanted[method] or described.get("is_marlin_format"):
        raise UnsupportedModel(
            f"{folder} is quantised as {method}, {bits} bits, layout {layout or 'unnamed'}: "
            "4 bits of awq (gemm) or gptq (gptq, gptq_v2) can be read; name such a folder, the unquantised one, or a GGUF file"
        )
    if method == "awq":
        return Packing("awq")
    return Packing("gptq", zero_offset=0 if layout == "gptq_v2" else 1)


def unpack(packing: Packing, name: str, tensors: Mapping[str, Tensor]) -> Groups:
    """Return the groups of one product. tensors: qweight, scales and, where the file has them, qzeros and g_idx.

    Raises: ModelError when shapes contradict each other, naming the product `name`.
    """
    scale = tensors["scales"].float()  # [groups, out]
    n_groups, n_out = scale.shape
    awq = packing.method == "awq"
    values = _along_outputs(tensors["qweight"], AWQ_ORDER) if awq else _along_inputs(tensors["qweight"])  # [in, out]
    zero = torch.full_like(scale, 2 ** (_BITS - 1), dtype=torch.uint8)  # symmetric, where none is stored
    if "qzeros" in tensors:
        stored = _along_outputs(tensors["qzeros"], AWQ_ORDER if awq else tuple(range(8)))
        zero = (stored + packing.zero_offset) % 2**_BITS  # GPTQ stores a zero point of 0 as 15
    n_in = values.shape[0]
    if values.shape[1] != n_out or zero.shape != scale.shape or n_in % n_groups:
        shapes = {key: tuple(tensor.shape) for key, tensor in tensors.items()}
        raise ModelError(f"{name}: the shapes {shapes} do not belong together: the folder is damaged or of another layout")
    size = n_in // n_groups
    order = None if "g_idx" not in tensors else _order(tensors["g_idx"], size, name)
    if order is not None:
        values = values[order]
    return Groups(values.t().contiguous(), scale.t().contiguous(), zero.t().contiguous(), _BITS, size, order)


def _along_outputs(words: Tensor, order: tuple[int, ...]) -> Tensor:
    """words: [rows, n / 8] int32 -> [rows, n] uint8. order: which of the 8 each half-byte holds."""
    halves = _half_bytes(words.unsqueeze(-1), torch.arange(8, dtype=torch.int32, device=words.device))  # [rows, n / 8, 8]
    places = torch.tensor(order).argsort()
    return halves[..., places].reshape(words.shape[0], -1)


def _along_inputs(words: Tensor) -> Tensor:
    """words: [n / 8, columns] int32 -> [n, columns] uint8, the lowest half-byte first."""
    places = torch.arange(8, dtype=torch.int32, device=words.device).view(1, 8, 1)
    halves = _half_bytes(words.unsqueeze(1), places)  # [n / 8, 8, columns]
    return halves.reshape(-1, words.shape[1])


def _half_bytes(words: Tensor, places: Tensor) -> Tensor:
    halves: Tensor = (words >> (places * _BITS)) & (2**_BITS - 1)
    return halves.to(torch.uint8)


def _order(group_of: Tensor, size: int, name: str) -> Tensor | None:
    """Return the inputs in the order of their groups, [in]; None if they are in that order already."""
    counts = torch.bincount(group_of.long())
    if not bool((counts == size).all()):
        raise ModelError(f"{name}: groups of unequal size: the folder is damaged or of another layout")
    order = group_of.long().argsort(stable=True)
    return None if bool((order == torch.arange(len(order), device=order.device)).all()) else order
