"""Reads the weights of a model, from a GGUF file or a Hugging Face folder, under one set of names.

embed, norm, head
layers.N.{attn_norm, ffn_norm, q_norm, k_norm}.weight     [hidden] or [head_dim]
layers.N.{q, k, v, o, gate, up, down}.{weight, bias}      [out, in], [out]
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from torch import Tensor

from completer.engines.weights.packed import Packing, read_packing, unpack
from completer.engines.weights.quantize import Groups
from completer.engines.weights.spec import ModelSpec, spec_from_gguf, spec_from_hf
from completer.errors import ModelError


class Checkpoint(Protocol):
    """Weights by canonical name; each access reads (and dequantises) that tensor only."""

    spec: ModelSpec
    packing: Packing | None
    """The layout of weights that are quantised already; None where there are none."""

    def get(self, name: str) -> Tensor:
        """Return the tensor `name` as float32. Raises: ModelError when it is missing."""
        ...

    def find(self, name: str) -> Tensor | None:
        """Return the tensor `name`, or None where the model has none (biases, q/k norms)."""
        ...

    def find_groups(self, name: str) -> Groups | None:
        """Return the weight `name` as the publisher quantised it, or None where it is not in 4-bit groups. Raises: ModelError."""
        ...


def open_checkpoint(path: Path, device: str = "cpu") -> Checkpoint:
    """Open a GGUF file or a Hugging Face folder. Raises: ModelError, UnsupportedModel.

    device: where the layers of a folder are unpacked and converted; the embedding and the head, which are large, stay on the CPU.
    """
    if path.is_dir():
        return FolderCheckpoint(path, device)
    if path.suffix == ".gguf":
        return GgufCheckpoint(path)
    raise ModelError(f"{path} is neither a .gguf file nor a folder with config.json and *.safetensors")


class GgufCheckpoint:
    """A GGUF file, memory-mapped. Source: the GGUF specification of the ggml project."""

    _GLOBAL: ClassVar = {"embed.weight": "token_embd.weight", "norm.weight": "output_norm.weight", "head.weight": "output.weight"}
    _LOCAL: ClassVar = {
        **{"q": "attn_q", "k": "attn_k", "v": "attn_v", "o": "attn_output"},
        **{"gate": "ffn_gate", "up": "ffn_up", "down": "ffn_down"},
        **{"attn_norm": "attn_norm", "ffn_norm": "ffn_norm", "q_norm": "attn_q_norm", "k_norm": "attn_k_norm"},
    }

    def __init__(self, path: Path) -> None:
        from completer.engines.weights.gguf_file import open_gguf

        self.packing: Packing | None = None
        self._reader = open_gguf(path)
        self._tensors = {t.name: t for t in self._reader.tensors}
        with _described_by(path):
            # The vocabulary has 150,000 strings and would take a second to decode: it is read by the tokenizer only.
            self.meta: dict[str, Any] = {
                key: field.contents()
                for key, field in self._reader.fields.items()
                if not key.startswith(("tokenizer.ggml.tokens", "tokenizer.ggml.merges", "tokenizer.ggml.token_type"))
            }
            factors = self._raw("rope_freqs.weight")
            self.spec = spec_from_gguf(
                self.meta,
                vocab_size=int(self._tensors["token_embd.weight"].shape[1]),
                tied_head="output.weight" not in self._tensors,
                rope_factors=() if factors is None else tuple(float(f) for f in factors),
            )

    def tokenizer_json(self) -> str:
        """Return the vocabulary as the text of a tokenizer.json. Raises: UnsupportedModel, ModelError."""
        from completer.engines.weights.gguf_file import vocabulary_of

        return vocabulary_of(self._reader)

    def find(self, name: str) -> Tensor | None:
        tensor = _of_right_shape(self._stored(name), name, self.spec)
        part = name.split(".")[-2]
        if tensor is not None and part in ("q", "k") and self.spec.family in ("llama", "mistral"):
            return _unpermute(tensor, self.spec.heads if part == "q" else self.spec.heads_kv)
        return tensor

    def _stored(self, name: str) -> Tensor | None:
        if name in self._GLOBAL:
            return self._raw(self._GLOBAL[name])
        _, layer, part, kind = name.split(".")
        return self._raw(f"blk.{layer}.{self._LOCAL[part]}.{kind}")

    def find_groups(self, name: str) -> Groups | None:
        return None  # its blocks have two levels of scales: they are dequantised, and rounded again

    def get(self, name: str) -> Tensor:
        if name == "head.weight" and self.spec.tied_head:
            name = "embed.weight"
        return _required(self.find(name), name)

    def _raw(self, gguf_name: str) -> Tensor | None:
        import gguf

        tensor = self._tensors.get(gguf_name)
        if tensor is None:
            return None
        values = gguf.dequantize(tensor.data, tensor.tensor_type)
        return torch.from_numpy(np.require(values, np.float32, ("C", "W")))


class FolderCheckpoint:
    """A Hugging Face folder: config.json and *.safetensors, with plain weights or 4-bit ones (see `packed`)."""

    _GLOBAL: ClassVar = {
        "embed.weight": "model.embed_tokens.weight",
        "norm.weight": "model.norm.weight",
        "head.weight": "lm_head.weight",
    }
    _LOCAL: ClassVar = {
        **{p: f"self_attn.{p}_proj" for p in ("q", "k", "v", "o")},
        **{p: f"mlp.{p}_proj" for p in ("gate", "up", "down")},
        **{"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm"},
        **{"q_norm": "self_attn.q_norm", "k_norm": "self_attn.k_norm"},
    }

    def __init__(self, path: Path, device: str = "cpu") -> None:
        from safetensors import SafetensorError, safe_open

        config_path = path / "config.json"
        if not config_path.is_file():
            raise ModelError(f"{path} has no config.json: name the folder that holds the model's files")
        with _described_by(config_path):
            config = json.loads(config_path.read_text(encoding="utf-8"))
            self.packing = read_packing(path, config)
            self.spec = spec_from_hf(config)
        self._device = device
        self._where: dict[str, Any] = {}
        for file in sorted(path.glob("*.safetensors")):
            try:
                handle: Any = safe_open(str(file), framework="pt")  # its methods have no types
            except SafetensorError as error:
                raise ModelError(f"{file} is no whole safetensors file ({error}): download it again") from error
            self._where.update(dict.fromkeys(handle.keys(), handle))
        if not self._where:
            raise ModelError(f"{path} has no *.safetensors file: convert the checkpoint to safetensors first")

    def find(self, name: str) -> Tensor | None:
        tensor = self._raw(self._key(name))
        if tensor is not None:
            return _of_right_shape(tensor.float(), name, self.spec)
        groups = self.find_groups(name)
        return None if groups is None else _of_right_shape(groups.dequantise(), name, self.spec)

    def find_groups(self, name: str) -> Groups | None:
        product, _, kind = self._key(name).rpartition(".")
        if self.packing is None or kind != "weight":
            return None
        parts = {part: self._raw(f"{product}.{part}") for part in ("qweight", "scales", "qzeros", "g_idx")}
        found = {part: tensor for part, tensor in parts.items() if tensor is not None}
        return unpack(self.packing, product, found) if "qweight" in found and "scales" in found else None

    def get(self, name: str) -> Tensor:
        if name == "head.weight" and self.spec.tied_head:
            name = "embed.weight"
        return _required(self.find(name), name)

    def _key(self, name: str) -> str:
        if name in self._GLOBAL:
            return self._GLOBAL[name]
        _, layer, part, kind = name.split(".")
        return f"model.layers.{layer}.{self._LOCAL[part]}.{kind}"

    def _raw(self, key: str) -> Tensor | None:
        handle = self._where.get(key)
        if handle is None:
            return None
        tensor: Tensor = handle.get_tensor(key)
        return tensor.to(self._device) if ".layers." in key else tensor


@contextlib.contextmanager
def _described_by(path: Path) -> Iterator[None]:
    """Turn what goes wrong while sizes are read from a model's description into a ModelError that names the file."""
    try:
        yield
    except (KeyError, ValueError, TypeError, ArithmeticError, AttributeError, IndexError, RecursionError) as error:
        raise ModelError(
            f"{path} does not describe a model ({type(error).__name__}: {error}): download it again, or choose another one"
        ) from error


def _of_right_shape(tensor: Tensor | None, name: str, spec: ModelSpec) -> Tensor | None:
    """Return the tensor. Raises: ModelError when its shape contradicts the sizes that the model describes itself with."""
    if tensor is not None and tuple(tensor.shape) != (wanted := shape_of(name, spec)):
        raise ModelError(
            f"the tensor {name!r} has the shape {tuple(tensor.shape)} where the model's description wants {wanted}: "
            "the file is damaged; download it again"
        )
    return tensor


def shape_of(name: str, spec: ModelSpec) -> tuple[int, ...]:
    """Return the shape of the tensor with this canonical name in a model of these sizes."""
    part, kind = name.split(".")[-2:]
    if part in ("embed", "head"):
        return spec.vocab_size, spec.hidden
    if part.endswith("norm"):
        return (spec.head_dim if part in ("q_norm", "k_norm") else spec.hidden,)
    inner, outer = spec.heads * spec.head_dim, spec.heads_kv * spec.head_dim
    shapes = {
        **{"q": (inner, spec.hidden), "k": (outer, spec.hidden), "v": (outer, spec.hidden), "o": (spec.hidden, inner)},
        **{"gate": (spec.ffn, spec.hidden), "up": (spec.ffn, spec.hidden), "down": (spec.hidden, spec.ffn)},
    }
    return shapes[part] if kind == "weight" else shapes[part][:1]


def _required(tensor: Tensor | None, name: str) -> Tensor:
    if tensor is None:
        raise ModelError(f"the checkpoint has no tensor {name!r}: the file is damaged or of another family")
    return tensor


def _unpermute(w: Tensor, heads: int) -> Tensor:
    """Undo the row order that GGUF converters give to q and k of Llama models (interleaved rotary pairs)."""
    half = w.shape[0] // heads // 2
    return w.reshape(heads, half, 2, *w.shape[1:]).transpose(1, 2).reshape(w.shape)
