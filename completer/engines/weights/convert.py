"""Converts a checkpoint, once, into the files that the engines map into memory (see `converted`)."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from completer.engines.kv import KvSlots
from completer.engines.lean.decoder import Embedding, Layer, LeanEngine, LeanModel
from completer.engines.lean.linear import Int8Linear, Linear
from completer.engines.weights.checkpoint import Checkpoint, GgufCheckpoint, open_checkpoint
from completer.engines.weights.converted import MAX_LEN, is_converted, lock_of, seal
from completer.engines.weights.onnx_graph import GraphWriter
from completer.engines.weights.quantize import GROUP, Groups, Int8Rows, gptq_groups, hessian_of, int8_rows, nearest_groups
from completer.engines.weights.spec import ModelSpec
from completer.errors import CompleterError, ModelError
from completer.models.calibration import calibration_texts
from completer.system.replace import replace_folder
from completer.tokens.tokenizer import Tokenizer
from completer.types import Progress

CALIBRATION_TOKENS = 400  # of each text
PARTS = ("qkv", "o", "gate_up", "down")
_PROJECTIONS = {"qkv": ("q", "k", "v"), "o": ("o",), "gate_up": ("gate", "up"), "down": ("down",)}


def convert(source: Path, folder: Path, progress: Progress = lambda *_: None) -> None:
    """Write the engines' files for the GGUF file or Hugging Face folder `source` to `folder`, all or nothing.

    What is there already and undamaged stays. progress: called with (what is being done, steps done, steps in all).
    Raises: ModelError, UnsupportedModel, OSError (no space); CacheError when another program has the old files open.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with lock_of(folder):  # several editors may be the first to need a model
        if not is_converted(folder):
            _convert(source, folder, progress)


def _convert(source: Path, folder: Path, progress: Progress) -> None:
    work = folder.with_name(folder.name + ".partial")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    checkpoint = open_checkpoint(source)
    spec = checkpoint.spec
    total = 3 * spec.n_layers + 2
    (work / "spec.json").write_text(spec.to_json(), encoding="utf-8")
    tokenizer = write_tokenizer(checkpoint, source, work)
    progress("reading weights", 0, total)
    embed = checkpoint.get("embed.weight").bfloat16()
    np.save(work / "embed.npy", embed.view(torch.uint16).numpy())
    rows = _write_prefill(checkpoint, work, lambda done: progress("rounding to 8 bits", done, total))
    hessians: dict[tuple[int, str], Tensor] = {}
    if checkpoint.packing is None:  # else the publisher calibrated it
        hessians = _calibrate(spec, embed, rows, tokenizer, lambda done: progress("calibrating", spec.n_layers + done, total))
    _write_decode(checkpoint, hessians, work, lambda done: progress("rounding to 4 bits", 2 * spec.n_layers + done, total))
    seal(work)
    replace_folder(work, folder)
    progress("ready", total, total)


def fused(checkpoint: Checkpoint, layer: int, part: str) -> tuple[Tensor, Tensor | None]:
    """Return weight [out, in] and bias [out] of one of PARTS of a layer, its projections stacked."""
    weight = torch.cat([checkpoint.get(f"layers.{layer}.{name}.weight") for name in _PROJECTIONS[part]])
    return weight, fused_bias(checkpoint, layer, part)


def fused_bias(checkpoint: Checkpoint, layer: int, part: str) -> Tensor | None:
    biases = [b for name in _PROJECTIONS[part] if (b := checkpoint.find(f"layers.{layer}.{name}.bias")) is not None]
    return torch.cat(biases) if biases else None


def fused_groups(checkpoint: Checkpoint, layer: int, part: str) -> Groups | None:
    """Return one of PARTS of a layer in the groups that its publisher chose, its projections stacked.

    None where it is not quantised, or where its projections cannot be stacked: other sizes, another order of inputs.
    """
    found = [checkpoint.find_groups(f"layers.{layer}.{name}.weight") for name in _PROJECTIONS[part]]
    groups = [one for one in found if one is not None]
    first = groups[0] if groups else None
    if first is None or len(groups) < len(found) or not all(_alike(first, other) for other in groups[1:]):
        return None
    values, scale, zero = (torch.cat(tensors) for tensors in zip(*(one[:3] for one in groups), strict=True))
    return first._replace(values=values, scale=scale, zero=zero)


def _alike(a: Groups, b: Groups) -> bool:
    if a.size != b.size or (a.order is None) != (b.order is None):
        return False
    return a.order is None or b.order is None or torch.equal(a.order, b.order)


def norms(checkpoint: Checkpoint, layer: int) -> dict[str, Tensor]:
    """Return the norm weights of a layer by name; q_norm and k_norm only where the family has them."""
    names = ("attn_norm", "ffn_norm", "q_norm", "k_norm")
    found = {name: checkpoint.find(f"layers.{layer}.{name}.weight") for name in names}
    return {name: tensor for name, tensor in found.items() if tensor is not None}


def lean_layer(norms: dict[str, Tensor], products: dict[str, Linear]) -> Layer:
    """Put a layer together from its norms and its PARTS."""
    return Layer(
        attn_norm=norms["attn_norm"],
        ffn_norm=norms["ffn_norm"],
        q_norm=norms.get("q_norm"),
        k_norm=norms.get("k_norm"),
        **products,
    )


def write_tokenizer(checkpoint: Checkpoint, source: Path, work: Path, fim: str = "") -> Tokenizer:
    """Write tokenizer.json to the folder `work` and load it. Raises: ModelError when the source has none, or a damaged one."""
    target = work / "tokenizer.json"
    if not isinstance(checkpoint, GgufCheckpoint) and not (source / "tokenizer.json").is_file():
        raise ModelError(
            f"{source} has no tokenizer.json: take it from the model's page, or export it with the tokenizers library"
        )
    try:
        if isinstance(checkpoint, GgufCheckpoint):
            target.write_text(checkpoint.tokenizer_json(), encoding="utf-8")
        else:
            shutil.copyfile(source / "tokenizer.json", target)
        return Tokenizer.load(target, fim)
    except (CompleterError, OSError):
        raise
    except Exception as error:  # the tokenizers library raises plain Exception
        raise ModelError(f"{source} has a vocabulary that cannot be read ({error}): download it again") from error


def _write_prefill(checkpoint: Checkpoint, work: Path, step: Callable[[int], None]) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for i in range(checkpoint.spec.n_layers):
        for part in PARTS:
            weight, bias = fused(checkpoint, i, part)
            tensors[f"layers.{i}.{part}.values"], tensors[f"layers.{i}.{part}.scale"] = int8_rows(weight)
            if bias is not None:
                tensors[f"layers.{i}.{part}.bias"] = bias
        tensors.update({f"layers.{i}.{name}": tensor.clone() for name, tensor in norms(checkpoint, i).items()})
        step(i + 1)
    tensors["norm"] = checkpoint.get("norm.weight").clone()
    tensors["head.values"], tensors["head.scale"] = int8_rows(checkpoint.get("head.weight"))
    save_file(tensors, str(work / "prefill.safetensors"))
    return tensors


def _calibrate(
    spec: ModelSpec, embed: Tensor, rows: dict[str, Tensor], tokenizer: Tokenizer, step: Callable[[int], None]
) -> dict[tuple[int, str], Tensor]:
    """Return the mean of x xT of every product that is rounded to 4 bits, over the calibration texts."""
    hessians: dict[tuple[int, str], Tensor] = {}
    model = int8_model(spec, embed, rows, with_head=False, wrap=lambda at, inner: _Recorder(hessians, at, inner))
    texts = [ids[:CALIBRATION_TOKENS] for text in calibration_texts() if len(ids := tokenizer.encode(text)) > 32]
    engine = LeanEngine(model, KvSlots(spec, 1, CALIBRATION_TOKENS))
    for n, ids in enumerate(texts):
        engine.truncate(0, 0)
        engine.forward(0, ids, 0)
        step(spec.n_layers * (n + 1) // len(texts))
    n_tokens = sum(map(len, texts))
    return {at: total / n_tokens for at, total in hessians.items()}


class _Recorder:
    """A Linear that adds up x xT of its inputs where the weights will be rounded to 4 bits."""

    def __init__(self, hessians: dict[tuple[int, str], Tensor], at: tuple[int, str], inner: Linear) -> None:
        self._hessians, self._at, self._inner = hessians, at, inner

    def __call__(self, x: Tensor) -> Tensor:
        if self._at[1] in ("gate_up", "down"):
            product = hessian_of(x.float()).clone()
            self._hessians[self._at] = self._hessians[self._at] + product if self._at in self._hessians else product
        return self._inner(x)


def int8_model(
    spec: ModelSpec,
    embed: Embedding,
    rows: dict[str, Tensor],
    with_head: bool,
    wrap: Callable[[tuple[int, str], Linear], Linear] = lambda _, linear: linear,
) -> LeanModel:
    """Build the lean decoder over 8-bit rows (the tensors of prefill.safetensors)."""

    def small(name: str) -> Tensor:
        # A copy: a view would keep the whole mapped file resident beside the weights packed from it.
        return rows[name].clone()

    def product(name: str) -> Linear:
        bias = small(f"{name}.bias") if f"{name}.bias" in rows else None
        return Int8Linear(Int8Rows(rows[f"{name}.values"], small(f"{name}.scale")), bias)

    layers = []
    for i in range(spec.n_layers):
        names = ("attn_norm", "ffn_norm", "q_norm", "k_norm")
        layer_norms = {name: small(f"layers.{i}.{name}") for name in names if f"layers.{i}.{name}" in rows}
        layers.append(lean_layer(layer_norms, {part: wrap((i, part), product(f"layers.{i}.{part}")) for part in PARTS}))
    head = product("head") if with_head else None
    return LeanModel(spec, embed, tuple(layers), small("norm"), head, torch.bfloat16)


def _write_decode(
    checkpoint: Checkpoint, hessians: dict[tuple[int, str], Tensor], work: Path, step: Callable[[int], None]
) -> None:
    spec = checkpoint.spec
    writer = GraphWriter(work / "decode.onnx", spec, min(MAX_LEN, spec.max_positions))
    for i in range(spec.n_layers):
        rounded, biases = {}, {}
        for part in PARTS:
            weight, bias = fused(checkpoint, i, part)
            rounded[part] = _rounded(fused_groups(checkpoint, i, part), weight, hessians.get((i, part)))
            if bias is not None:
                biases[part] = bias
        gate_up = rounded["gate_up"]
        halves = zip(*(tensor.chunk(2) for tensor in gate_up[:3]), strict=True)
        gate, up = (gate_up._replace(values=v, scale=s, zero=z) for v, s, z in halves)
        products = {"qkv": rounded["qkv"], "o": rounded["o"], "gate": gate, "up": up, "down": rounded["down"]}
        if "gate_up" in biases:
            biases["gate"], biases["up"] = biases["gate_up"].chunk(2)
        writer.layer(i, norms(checkpoint, i), products, biases)
        step(i + 1)
    # The head in 4 bits and groups of 64 elsewhere save a fifth of the bytes, but cost 1.2 % NLL and 3 % of the choices.
    writer.finish(checkpoint.get("norm.weight"), _to_8_bits(checkpoint.get("head.weight")))


def _rounded(own: Groups | None, weight: Tensor, hessian: Tensor | None) -> Groups:
    """Return the publisher's own groups, or round: to 4 bits where a Hessian was collected, to 8 bits elsewhere."""
    if own is not None:
        return own.split()
    # Attention is an eighth of the weights and the most sensitive part: 8 bits there cost 0.5 ms and win 0.5 % NLL.
    return _to_8_bits(weight) if hessian is None else gptq_groups(weight, hessian, 4)


def _to_8_bits(weight: Tensor) -> Groups:
    return nearest_groups(weight, 8, 128 if weight.shape[1] % 128 == 0 else GROUP)
