"""The lean decoder: the Llama family in one file, over caller-owned KV slots.

Residual stream, norms and rotary embedding are float32; the products run in the weights' own format (`linear`).
Shapes are at the end of the line: n tokens fed, t positions valid afterwards, D = head_dim.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention, silu

from completer.engines.base import CostCurve, Logits
from completer.engines.kv import KvSlots
from completer.engines.lean.linear import Linear
from completer.engines.weights.rowfile import RowFile
from completer.engines.weights.spec import ModelSpec
from completer.errors import EngineClosed

PREFILL_CHUNK = 128
"""Tokens that go through the layers together in a prefill; a layer of it takes 5 to 10 ms on two cores."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One decoder layer; q_norm and k_norm are None where the family has none."""

    attn_norm: Tensor  # [hidden]
    qkv: Linear
    o: Linear
    ffn_norm: Tensor  # [hidden]
    gate_up: Linear
    down: Linear
    q_norm: Tensor | None = None  # [D]
    k_norm: Tensor | None = None  # [D]


class Embedding(Protocol):
    """Rows of [vocab, hidden], of any float type: a tensor, or what reads them from a file."""

    def __getitem__(self, ids: Tensor, /) -> Tensor: ...


@dataclass(frozen=True, slots=True)
class Bfloat16Rows:
    """The embedding of a file of raw bfloat16."""

    file: RowFile

    def __getitem__(self, ids: Tensor, /) -> Tensor:
        return torch.from_numpy(self.file[ids.tolist()]).view(torch.bfloat16)


@dataclass(frozen=True, slots=True)
class LeanModel:
    """The weights of one model."""

    spec: ModelSpec
    embed: Embedding
    layers: tuple[Layer, ...]
    norm: Tensor
    head: Linear | None
    attention_dtype: torch.dtype = torch.float32


class LeanEngine:
    """A `StepEngine` over `LeanModel`, or only the prefill of one whose model has no head."""

    name = "torch"

    def __init__(self, model: LeanModel, kv: KvSlots) -> None:
        self.model: LeanModel | None = model
        self.kv = kv
        self.n_slots = kv.n_slots
        self.max_len = kv.max_len
        self.vocab_size = model.spec.vocab_size
        self.costs = CostCurve({1: 1.0}, 1.0)
        cos, sin = model.spec.rope_table(kv.max_len)
        self._rope = torch.from_numpy(cos), torch.from_numpy(sin)  # [max_len, D / 2] each
        # The same memory as the numpy buffers: what is written here is what the other engine reads.
        self._keys = [torch.from_numpy(k) for k in kv.keys]
        self._values = [torch.from_numpy(v) for v in kv.values]

    def forward(self, slot: int, ids: Sequence[int], n_logits: int) -> Logits:
        model = self._open()
        self.kv.check_room(slot, len(ids))
        with torch.inference_mode():
            x = self._embed(ids)
            for i in range(model.spec.n_layers):
                x = self._layer(i, x, slot)
            self.kv.lengths[slot] += len(ids)
            if n_logits == 0:
                return np.empty((0, self.vocab_size), np.float32)
            if model.head is None:
                raise EngineClosed("this engine only prefills: it was built without the output head")
            logits: Logits = model.head(rms_norm(x[-n_logits:], model.norm, model.spec.rms_eps)).numpy()
            return logits  # [n_logits, vocab]

    def prefill(self, slot: int, ids: Sequence[int]) -> Iterator[None]:
        model = self._open()
        self.kv.check_room(slot, len(ids))
        for start in range(0, len(ids), PREFILL_CHUNK):
            chunk = ids[start : start + PREFILL_CHUNK]
            with torch.inference_mode():
                x = self._embed(chunk)
            for i in range(model.spec.n_layers):
                with torch.inference_mode():
                    x = self._layer(i, x, slot)
                yield
            self.kv.lengths[slot] += len(chunk)

    def length(self, slot: int) -> int:
        return self.kv.lengths[slot]

    def truncate(self, slot: int, length: int) -> int:
        return self.kv.truncate(slot, length)

    def copy(self, src: int, dst: int, length: int) -> None:
        self.kv.copy(src, dst, length)

    def close(self) -> None:
        self.model = None

    def _open(self) -> LeanModel:
        if self.model is None:
            raise EngineClosed("the engine was closed")
        return self.model

    def _embed(self, ids: Sequence[int]) -> Tensor:
        return self._open().embed[torch.tensor(ids, dtype=torch.long)].float()  # [n, hidden]

    def _layer(self, i: int, x: Tensor, slot: int) -> Tensor:
        """Run layer `i` over x: [n, hidden], writing positions length .. length + n of the slot. Mutates: slot."""
        model = self._open()
        start, stop = self.kv.lengths[slot], self.kv.lengths[slot] + x.shape[0]
        keys, values = self._keys[i][slot], self._values[i][slot]  # [1, H_kv, max_len, D]

        def mix(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            keys[0, :, start:stop] = k.transpose(0, 1)
            values[0, :, start:stop] = v.transpose(0, 1)
            return attend(q, keys[:, :, :stop], values[:, :, :stop], model.attention_dtype)  # [n, H * D]

        return run_layer(model.spec, model.layers[i], x, self._rope[0][start:stop], self._rope[1][start:stop], mix)


Mix = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Takes q [n, H, D], k and v [n, H_kv, D], rotated; stores k and v, and returns what attention makes of all: [n, H * D]."""


def run_layer(spec: ModelSpec, layer: Layer, x: Tensor, cos: Tensor, sin: Tensor, mix: Mix) -> Tensor:
    """Return x: [n, hidden] after one layer. cos, sin: [n, D / 2] of the positions of x.  Mutates: what `mix` stores into."""
    n = x.shape[0]
    qkv = layer.qkv(rms_norm(x, layer.attn_norm, spec.rms_eps)).view(n, -1, spec.head_dim)  # [n, H + 2 H_kv, D]
    q, k, v = torch.split(qkv, [spec.heads, spec.heads_kv, spec.heads_kv], dim=1)
    if layer.q_norm is not None and layer.k_norm is not None:
        q, k = rms_norm(q, layer.q_norm, spec.rms_eps), rms_norm(k, layer.k_norm, spec.rms_eps)
    x = x + layer.o(mix(rotate(q, cos, sin), rotate(k, cos, sin), v))
    gate, up = layer.gate_up(rms_norm(x, layer.ffn_norm, spec.rms_eps)).chunk(2, dim=-1)  # [n, ffn] each
    return x + layer.down(silu(gate).mul_(up))


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """x: [..., d], weight: [d]. Source: Root Mean Square Layer Normalization (1910.07467)."""
    return torch.nn.functional.rms_norm(x, weight.shape, weight, eps)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate the halves of each head by its position's angle. x: [n, heads, D]; cos, sin: [n, D / 2]."""
    low, high = x.chunk(2, dim=-1)  # [n, heads, D / 2] each
    cos, sin = cos.unsqueeze(1), sin.unsqueeze(1)
    return torch.cat([low * cos - high * sin, high * cos + low * sin], dim=-1)


def attend(q: Tensor, keys: Tensor, values: Tensor, dtype: torch.dtype) -> Tensor:
    """Causal attention of the last n of t positions. q: [n, H, D]; keys, values: [1, H_kv, t, D] -> [n, H * D]."""
    n, t = q.shape[0], keys.shape[2]
    visible = None if n == 1 else torch.ones(n, t, dtype=torch.bool).tril_(t - n)  # [n, t]
    group = q.shape[1] // keys.shape[1]
    keys = keys.to(dtype).repeat_interleave(group, dim=1)  # [1, H, t, D]
    values = values.to(dtype).repeat_interleave(group, dim=1)
    mixed = scaled_dot_product_attention(q.to(dtype).transpose(0, 1).unsqueeze(0), keys, values, attn_mask=visible)
    return mixed[0].transpose(0, 1).reshape(n, -1).float()
