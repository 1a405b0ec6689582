"""The engines and weight formats that are compared, built from one model. Imports the engine side: this measures it from inside.

phased   8-bit torch for prefill, onnxruntime for decode (the default)
onnx     onnxruntime alone, 4-bit groups (attention and head 8 bits)
int8     the lean torch decoder, 8-bit weights and activations
int4     the lean torch decoder, 4-bit groups rounded to the nearest, head in 8 bits
bf16     the lean torch decoder, the GGUF file's weights dequantised
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from completer.engines.base import StepEngine
    from completer.engines.lean.linear import Linear
    from completer.models.store import ModelFiles
    from completer.tokens.tokenizer import Tokenizer

FORMATS = ("phased", "onnx", "int8", "int4", "bf16")
_LOADED = {"phased": "phased", "onnx": "onnx", "int8": "torch"}
ON_CUDA = ("bf16", "int8", "int4")
"""Formats of the lean decoder on a graphics card."""
MAX_LEN = 2048


@dataclass(frozen=True, slots=True)
class Built:
    """An engine ready to run.

    weight_bytes: what one decode step reads, without the embedding rows.  product_weights: weights that every prefilled
    token is multiplied with (all but embedding and head).
    """

    engine: StepEngine
    tokenizer: Tokenizer
    weight_bytes: int
    product_weights: int


def build(name: str, files: ModelFiles, threads: int) -> Built:
    """Build one of FORMATS. What is converted already is loaded as the server loads it; the others are made from `files`.

    Raises: ModelError, EngineUnavailable.
    """
    import torch

    from completer.config import Settings
    from completer.engines.factory import load
    from completer.engines.weights.spec import ModelSpec

    torch.set_num_threads(threads)
    if name in _LOADED:
        loaded = load(files, Settings(engine=_LOADED[name], threads=threads))
        engine, tokenizer = loaded.engine, loaded.tokenizer
        n_bytes = _converted_bytes(name, files.converted)
    else:
        engine, tokenizer, n_bytes = _lean(name, files)
    spec = ModelSpec.from_json((files.converted / "spec.json").read_text(encoding="utf-8"))
    per_layer = spec.hidden * (spec.qkv_rows + spec.heads * spec.head_dim + 3 * spec.ffn)
    return Built(engine, tokenizer, n_bytes, spec.n_layers * per_layer)


def build_on_cuda(name: str, files: ModelFiles) -> Built:
    """Build one of ON_CUDA as the server does. Raises: ModelError, EngineUnavailable."""
    from completer.config import Settings
    from completer.engines.cuda.load import weight_bytes
    from completer.engines.factory import load
    from completer.engines.weights.checkpoint import open_checkpoint

    loaded = load(files, Settings(engine="torch", weights=name))  # type: ignore[arg-type]
    spec = open_checkpoint(files.path).spec
    per_layer = spec.hidden * (spec.qkv_rows + spec.heads * spec.head_dim + 3 * spec.ffn)
    n_bytes = weight_bytes(spec, name) - 2 * spec.vocab_size * spec.hidden  # of the embedding, rows are looked up only
    return Built(loaded.engine, loaded.tokenizer, int(n_bytes), spec.n_layers * per_layer)


def _converted_bytes(name: str, folder: Path) -> int:
    return (folder / ("prefill.safetensors" if name == "int8" else "decode.onnx.data")).stat().st_size


def _lean(name: str, files: ModelFiles) -> tuple[StepEngine, Tokenizer, int]:
    """Build the lean decoder over weights made from the checkpoint (ten to twenty seconds for half a billion of them)."""
    import torch

    from completer.engines.kv import KvSlots
    from completer.engines.lean.decoder import LeanEngine, LeanModel
    from completer.engines.weights.checkpoint import open_checkpoint
    from completer.engines.weights.convert import PARTS, fused, lean_layer, norms
    from completer.tokens.tokenizer import Tokenizer

    sizes: list[int] = []
    product, head = _makers(name, sizes)
    checkpoint = open_checkpoint(files.path)
    spec = checkpoint.spec
    layers = tuple(
        lean_layer(norms(checkpoint, i), {part: product(*fused(checkpoint, i, part)) for part in PARTS})
        for i in range(spec.n_layers)
    )
    embed = checkpoint.get("embed.weight").bfloat16()
    output = head(checkpoint.get("head.weight"), None)
    model = LeanModel(spec, embed, layers, checkpoint.get("norm.weight"), output, torch.bfloat16)
    tokenizer = Tokenizer.load(files.converted / "tokenizer.json", files.entry.prompt if files.entry else "")
    return LeanEngine(model, KvSlots(spec, 2, min(MAX_LEN, spec.max_positions))), tokenizer, sum(sizes)


Maker = Callable[["Tensor", "Tensor | None"], "Linear"]


def _makers(name: str, sizes: list[int]) -> tuple[Maker, Maker]:
    """Return how to make the products and the head of a format; each product made appends its bytes to `sizes`."""
    from completer.engines.lean.linear import DenseLinear, Int4Linear, Int8Linear
    from completer.engines.weights.quantize import int8_rows, nearest_groups

    def dense(weight: Tensor, bias: Tensor | None) -> Linear:
        made = DenseLinear(weight.bfloat16(), bias)
        sizes.append(made.weight.nbytes)
        return made

    def groups(weight: Tensor, bias: Tensor | None) -> Linear:
        made = Int4Linear(nearest_groups(weight, 4), bias)
        sizes.append(made.packed.nbytes + made.scales_shifts.nbytes)
        return made

    def rows(weight: Tensor, bias: Tensor | None) -> Linear:
        rounded = int8_rows(weight)
        sizes.append(rounded.values.nbytes + rounded.scale.nbytes)
        return Int8Linear(rounded, bias)

    return {"bf16": (dense, dense), "int4": (groups, rows)}[name]
