"""Packs tiny models as the quantisers of the hub do, written down from the formats' own definitions, one word at a time.

AWQ: AutoAWQ, WQLinear_GEMM.from_linear.  GPTQ: AutoGPTQ, QuantLinear.pack; GPTQModel for the second version.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor

from tests import tiny

Words = NDArray[np.uint32]


@dataclass(frozen=True)
class Layout:
    """One way to lay out a quantised folder. side_file: the settings stand beside config.json, as older exporters have it."""

    method: str
    group: int
    zero_points: bool = True
    act_order: bool = False
    version: str = ""
    side_file: str = ""

    @property
    def name(self) -> str:
        marks = [("zeros", self.zero_points), ("act-order", self.act_order), (self.version, self.version)]
        return "-".join([self.method, str(self.group), *(mark for mark, on in marks if on), *filter(None, [self.side_file])])

    def config(self) -> dict[str, Any]:
        if self.method == "awq":
            widths = {"w_bit": 4, "q_group_size": self.group} if self.side_file else {"bits": 4, "group_size": self.group}
            named = {} if self.side_file else {"quant_method": "awq"}
            return {**named, **widths, "zero_point": self.zero_points, "version": "GEMM" if self.side_file else "gemm"}
        named = {} if self.side_file else {"quant_method": "gptq"}
        checkpoint = {"checkpoint_format": self.version} if self.version else {}
        return {
            **named,
            **checkpoint,
            "bits": 4,
            "group_size": self.group,
            "desc_act": self.act_order,
            "sym": not self.zero_points,
        }


def save_quantised(layout: Layout, folder: Path, family: str = "qwen2") -> Any:
    """Write a folder in the layout; return the transformers library's model with the weights that the words stand for."""
    model = tiny.transformers_model(family)
    tensors = {}
    state = model.state_dict()
    for key, weight in list(state.items()):
        if "_proj.weight" not in key:
            tensors[key] = weight.half().contiguous()
            state[key] = weight.half().float()
            continue
        packed, state[key] = _pack(weight, layout)
        product = key.removesuffix(".weight")
        tensors.update({f"{product}.{part}": tensor for part, tensor in packed.items()})
    model.load_state_dict(state)
    save_file(tensors, str(folder / "model.safetensors"))
    config = model.config.to_dict()
    if layout.side_file:
        (folder / layout.side_file).write_text(json.dumps(layout.config()), encoding="utf-8")
    else:
        config["quantization_config"] = layout.config()
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    tiny.tokenizer(folder)
    return model


def _pack(weight: Tensor, layout: Layout) -> tuple[dict[str, Tensor], Tensor]:
    """weight: [out, in] -> the file's tensors of one product, and the weight that they stand for, [out, in] float32."""
    n_out, n_in = weight.shape
    group_of = np.arange(n_in) // layout.group
    if layout.act_order:
        group_of = np.random.default_rng(n_in).permutation(group_of)
    w = weight.double().numpy().T  # [in, out], as both formats have it
    n_groups = n_in // layout.group
    scale, zero = np.zeros((n_groups, n_out), np.float16), np.full((n_groups, n_out), 8)
    for g in range(n_groups):
        rows = w[group_of == g]
        if layout.zero_points:
            low, high = np.minimum(rows.min(0), 0), np.maximum(rows.max(0), 0)
            scale[g] = np.maximum((high - low) / 15, 1e-6).astype(np.float16)
            zero[g] = np.clip(np.round(-low / scale[g]), 0, 15)
        else:
            scale[g] = (np.abs(rows).max(0) / 7).astype(np.float16)
    levels = np.clip(np.round(w / scale[group_of]) + zero[group_of], 0, 15).astype(np.uint32)
    exact = (levels.astype(np.float64) - zero[group_of]) * scale[group_of]
    packed: dict[str, Words] = {}
    if layout.method == "awq":
        packed["qweight"] = _awq_words(levels)
        if layout.zero_points:
            packed["qzeros"] = _awq_words(zero)
    else:
        packed["qweight"] = _gptq_words(levels.T).T
        packed["qzeros"] = _gptq_words((zero - (layout.version != "gptq_v2")) & 15)
    tensors = {name: torch.from_numpy(np.ascontiguousarray(words).view(np.int32)) for name, words in packed.items()}
    tensors["scales"] = torch.from_numpy(scale)
    if layout.method == "gptq":
        tensors["g_idx"] = torch.from_numpy(group_of.astype(np.int32))
    return tensors, torch.from_numpy(exact.T.astype(np.float32)).contiguous()


def _awq_words(numbers: NDArray[Any]) -> Words:
    """numbers: [rows, n] -> [rows, n / 8]"""
    words = np.zeros((numbers.shape[0], numbers.shape[1] // 8), np.uint32)
    for column in range(words.shape[1]):
        for i, place in enumerate([0, 2, 4, 6, 1, 3, 5, 7]):
            words[:, column] |= numbers[:, 8 * column + place].astype(np.uint32) << np.uint32(4 * i)
    return words


def _gptq_words(numbers: NDArray[Any]) -> Words:
    """numbers: [rows, n] -> [rows, n / 8]"""
    words = np.zeros((numbers.shape[0], numbers.shape[1] // 8), np.uint32)
    for column in range(words.shape[1]):
        for i in range(8):
            words[:, column] |= numbers[:, 8 * column + i].astype(np.uint32) << np.uint32(4 * i)
    return words
