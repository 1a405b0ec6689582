"""Loads a checkpoint onto a graphics card: which weight format, how many slots, and what to give up when memory is short."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import torch

from completer.config import Settings
from completer.engines.cuda.engine import CudaCapture, CudaEngine
from completer.engines.cuda.linear import Int4DeviceLinear, Int8DeviceLinear, dense_on, int4_fits
from completer.engines.cuda.static import DeviceSlots
from completer.engines.kv import n_slots_for
from completer.engines.lean.build import Pack, Round, lean_model
from completer.engines.lean.decoder import Layer, LeanModel
from completer.engines.lean.linear import Linear
from completer.engines.weights.checkpoint import Checkpoint
from completer.engines.weights.quantize import Groups, int8_rows, nearest_groups
from completer.engines.weights.spec import ModelSpec
from completer.errors import EngineUnavailable

MAX_LEN = 4096
MIN_LEN = 512
WEIGHT_SHARE = 0.7
"""Of the free memory; the rest is for slots, graphs and what a prefill needs in between."""
BYTES_PER_WEIGHT = {"bf16": 2.0, "int8": 1.0, "int4": 0.56}


def load_on_cuda(checkpoint: Checkpoint, settings: Settings, n_ordinary: int) -> CudaEngine:
    """Return the engine with its graphs captured. n_ordinary: number of ids that the tokenizer knows.

    Raises: EngineUnavailable when the card has too little memory, saying how much is wanted; ModelError.
    """
    device = torch.device("cuda")
    free = torch.cuda.mem_get_info(device)[0]
    weights = choose_weights(checkpoint.spec, settings.weights, checkpoint.packing is not None, free)
    with _saying_what_is_wanted(checkpoint.spec, weights, free):
        model = model_on(checkpoint, weights, device, with_plain=3 * weight_bytes(checkpoint.spec, "int4") < free)
        slots = make_slots(model.spec, settings.kv_memory_mb, device)
        engine = CudaEngine(model, slots, device, n_ordinary, CudaCapture())
        engine.warm_up()
    return engine


def weight_bytes(spec: ModelSpec, weights: str) -> float:
    """Return about how many bytes the products of a model take in a format; the embedding comes on top of it in bf16."""
    per_layer = spec.hidden * (spec.qkv_rows + spec.heads * spec.head_dim + 3 * spec.ffn)
    table = spec.vocab_size * spec.hidden
    return (spec.n_layers * per_layer + table) * BYTES_PER_WEIGHT[weights] + table * 2.0


def choose_weights(spec: ModelSpec, setting: str, packed: bool, free_bytes: float) -> str:
    """Return the format: the setting; or 4 bits for what is quantised already; or the most exact one that fits."""
    if setting != "auto":
        return setting
    if packed:
        return "int4"
    return "bf16" if weight_bytes(spec, "bf16") <= WEIGHT_SHARE * free_bytes else "int4"


def model_on(checkpoint: Checkpoint, weights: str, device: torch.device, with_plain: bool) -> LeanModel:
    """Return the decoder with every tensor on `device`, one product after the other, so that main memory holds one at a time."""

    def pack(groups: Groups, bias: torch.Tensor | None) -> Linear:
        if int4_fits(groups):
            return Int4DeviceLinear(groups, bias, device, with_plain)
        return dense_on(device, groups.dequantise(), bias)

    rounds: dict[str, Round] = {
        "bf16": partial(dense_on, device),
        "int8": lambda weight, bias: Int8DeviceLinear(int8_rows(weight), bias, device),
        "int4": lambda weight, bias: pack(nearest_groups(weight, 4), bias),
    }
    keep: Pack | None = pack if weights == "int4" else None
    model = lean_model(checkpoint, rounds[weights], torch.bfloat16, keep)
    layers = tuple(_norms_on(device, layer) for layer in model.layers)
    assert isinstance(model.embed, torch.Tensor)
    embed = model.embed.to(device, torch.bfloat16)
    return replace(model, embed=embed, layers=layers, norm=model.norm.to(device))


def make_slots(spec: ModelSpec, memory_mb: int, device: torch.device, dtype: torch.dtype = torch.bfloat16) -> DeviceSlots:
    """Return as many slots as `memory_mb` holds, two at least; where the card has no room for them, shorter ones.

    Raises: torch.OutOfMemoryError when two of MIN_LEN positions do not fit.
    """
    max_len = min(MAX_LEN, spec.max_positions)
    n_slots = n_slots_for(spec, max_len, memory_mb, dtype.itemsize)
    while True:
        try:
            return DeviceSlots(spec, n_slots, max_len, device, dtype)
        except torch.OutOfMemoryError:
            if n_slots == 2 and max_len <= MIN_LEN:
                raise
        if n_slots > 2:
            n_slots = max(2, n_slots // 2)
        else:
            max_len = max(MIN_LEN, max_len // 2)


def _norms_on(device: torch.device, layer: Layer) -> Layer:
    names = ("attn_norm", "ffn_norm", "q_norm", "k_norm")
    found = {name: tensor.to(device) for name in names if (tensor := getattr(layer, name)) is not None}
    return replace(layer, **found)


@contextlib.contextmanager
def _saying_what_is_wanted(spec: ModelSpec, weights: str, free: float) -> Iterator[None]:
    try:
        yield
    except torch.OutOfMemoryError as error:
        wanted = weight_bytes(spec, weights)
        raise EngineUnavailable(
            f"the weights in {weights} take about {wanted / 1e9:.1f} GB and the card had {free / 1e9:.1f} GB free: "
            "set 'weights' to int4, choose a smaller model, or end what else uses the card"
        ) from error
