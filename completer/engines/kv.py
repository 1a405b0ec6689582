"""KV slots: plain numpy buffers, owned by the caller of the engines and shared between them.

                 position:  0 ........... length ........... max_len
    keys[layer][slot]:      | valid       | whatever was there |      [1, heads_kv, max_len, head_dim] float32

So truncating is a smaller length, copying is a memory copy, and two engines can fill the same slot in turn.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from completer.engines.weights.spec import ModelSpec
from completer.errors import ContextOverflow


class SlotLengths:
    """How many positions each of `n_slots` sequences of at most `max_len` holds, wherever their tensors lie."""

    def __init__(self, n_slots: int, max_len: int) -> None:
        self.n_slots = n_slots
        self.max_len = max_len
        self.lengths = [0] * n_slots

    def check_room(self, slot: int, n: int) -> None:
        """Raises: ContextOverflow when `n` more positions do not fit the slot."""
        if self.lengths[slot] + n > self.max_len:
            raise ContextOverflow(
                f"{n} tokens after {self.lengths[slot]} exceed the {self.max_len} positions of a slot: "
                "use a smaller context or a larger 'kv_memory_mb'"
            )

    def truncate(self, slot: int, length: int) -> int:
        self.lengths[slot] = min(self.lengths[slot], length)
        return self.lengths[slot]


class KvSlots(SlotLengths):
    """Slots in main memory. The operating system maps pages when they are first written."""

    def __init__(self, spec: ModelSpec, n_slots: int, max_len: int) -> None:
        super().__init__(n_slots, max_len)
        shape = (n_slots, 1, spec.heads_kv, max_len, spec.head_dim)
        self.keys: list[NDArray[np.float32]] = [np.zeros(shape, np.float32) for _ in range(spec.n_layers)]
        self.values: list[NDArray[np.float32]] = [np.zeros(shape, np.float32) for _ in range(spec.n_layers)]

    def copy(self, src: int, dst: int, length: int) -> None:
        """Make `dst` hold the first `length` positions of `src`. Mutates: dst."""
        length = min(length, self.lengths[src])
        for buffer in (*self.keys, *self.values):
            buffer[dst, :, :, :length] = buffer[src, :, :, :length]
        self.lengths[dst] = length


def n_slots_for(spec: ModelSpec, max_len: int, memory_mb: int, bytes_per_value: int = 4) -> int:
    """Return how many slots fit `memory_mb`; at least two, because re-anchoring needs a spare one."""
    return max(2, memory_mb * 2**20 // (spec.kv_bytes_per_token(bytes_per_value) * max_len))
