"""The layers of a model over static slots with static shapes: work that can be captured once and replayed."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from completer.engines.kv import SlotLengths
from completer.engines.lean.decoder import LeanModel, run_layer
from completer.engines.weights.spec import ModelSpec

BUCKETS = (256, 512, 1024, 2048, 4096)


class DeviceSlots(SlotLengths):
    """Slots on a device: keys[layer], values[layer] are [n_slots, heads_kv, max_len, head_dim] each."""

    def __init__(self, spec: ModelSpec, n_slots: int, max_len: int, device: torch.device, dtype: torch.dtype) -> None:
        super().__init__(n_slots, max_len)
        shape = (n_slots, spec.heads_kv, max_len, spec.head_dim)
        self.keys = [torch.zeros(shape, dtype=dtype, device=device) for _ in range(spec.n_layers)]
        self.values = [torch.zeros(shape, dtype=dtype, device=device) for _ in range(spec.n_layers)]

    def copy(self, src: int, dst: int, length: int) -> None:
        """Make `dst` hold the first `length` positions of `src`. Mutates: dst."""
        length = min(length, self.lengths[src])
        for buffer in (*self.keys, *self.values):
            buffer[dst, :, :length] = buffer[src, :, :length]
        self.lengths[dst] = length


def bucket_of(n: int, max_len: int) -> int:
    """Return how many positions a step looks at that needs `n` of them: the next of BUCKETS, `max_len` at the most."""
    return min(next((bucket for bucket in BUCKETS if bucket >= n), max_len), max_len)


@dataclass(frozen=True, slots=True)
class Trunk:
    """All layers of a model, and the slots that they read and write, on one device.

    rope: cosines and sines of the rotary embedding, [max_len, D / 2] each.
    """

    model: LeanModel
    slots: DeviceSlots
    rope: tuple[Tensor, Tensor]

    def run(self, slot: int, bucket: int, ids: Tensor, start: Tensor) -> Tensor:
        """Return the state after the last layer: [n, hidden] float32, for ids: [n] at positions start, start + 1, ...

        Every shape follows from n and bucket; ids and start: [1] are only read on the device, so the work can be captured
        and replayed. bucket: positions looked at; start + n <= bucket.  Mutates: positions start .. start + n of the slot.
        """
        model, (all_cos, all_sin) = self.model, self.rope
        positions = start + torch.arange(ids.shape[0], device=ids.device)  # [n]
        visible = torch.arange(bucket, device=ids.device) <= positions.unsqueeze(1)  # [n, bucket]
        cos, sin = all_cos[positions], all_sin[positions]  # [n, D / 2]
        x = model.embed[ids].float()  # [n, hidden]
        for layer, all_keys, all_values in zip(model.layers, self.slots.keys, self.slots.values, strict=True):
            keys, values = all_keys[slot], all_values[slot]  # [H_kv, max_len, D]

            def mix(q: Tensor, k: Tensor, v: Tensor, keys: Tensor = keys, values: Tensor = values) -> Tensor:
                keys.index_copy_(1, positions, k.transpose(0, 1).to(keys.dtype))
                values.index_copy_(1, positions, v.transpose(0, 1).to(values.dtype))
                return attend_masked(q, keys[:, :bucket], values[:, :bucket], visible)

            x = run_layer(model.spec, layer, x, cos, sin, mix)
        return x


def attend_masked(q: Tensor, keys: Tensor, values: Tensor, visible: Tensor) -> Tensor:
    """q: [n, H, D]; keys, values: [H_kv, t, D]; visible: [n, t] bool -> [n, H * D] float32.

    The heads that share keys become rows beside each other, so nothing is repeated in memory.
    """
    n, heads_kv, dim = q.shape[0], keys.shape[0], q.shape[2]
    rows = q.to(keys.dtype).view(n, heads_kv, -1, dim).permute(1, 2, 0, 3).reshape(1, heads_kv, -1, dim)  # [1, H_kv, G * n, D]
    group = rows.shape[2] // n
    mask = visible.repeat(group, 1)  # [G * n, t]
    mixed = scaled_dot_product_attention(rows, keys.unsqueeze(0), values.unsqueeze(0), attn_mask=mask)
    return mixed.view(heads_kv, group, n, dim).permute(2, 0, 1, 3).reshape(n, -1).float()
