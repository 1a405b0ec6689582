"""exllamav2 (EXL2 and GPTQ folders) and exllamav3 (EXL3 folders), through the libraries' own forward and KV storage.

Both keep plain positions, so that a truncation is a smaller length. Neither was run on a GPU by this project: the calls are
checked against the released signatures, over a stand-in that computes no layer (tests/contract).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from completer.engines.base import CostCurve, Logits
from completer.errors import ContextOverflow, EngineClosed, EngineError, UnsupportedModel

PREFILL_CHUNK = 256
"""Tokens in one forward of a prefill: an estimate, for a 7B model on a recent card, of a piece of some 20 to 50 ms."""
MAX_ROWS = 32
"""Widest forward that computes logits of all its tokens; the libraries plan their memory for about so many."""
PAGE = 256
"""Positions in a page of exllamav3."""


class Storage(Protocol):
    """A library's model and its slots. `start` is the number of positions that hold."""

    n_slots: int
    max_len: int
    vocab_size: int

    def fill(self, slot: int, start: int, ids: Tensor) -> None:
        """Write the keys and values of ids: [1, n] from `start` on."""
        ...

    def rows(self, slot: int, start: int, ids: Tensor) -> Tensor:
        """The same, and return the logits: [1, n, vocab or more]."""
        ...

    def copy(self, src: int, dst: int, length: int) -> None: ...

    def unload(self) -> None: ...


class ExllamaEngine:
    """A `StepEngine` over one of the two libraries."""

    def __init__(self, name: str, storage: Storage) -> None:
        self.name = name
        self.n_slots = storage.n_slots
        self.max_len = storage.max_len
        self.vocab_size = storage.vocab_size
        self.costs = CostCurve({1: 1.0}, 1.0)
        self.chunk = PREFILL_CHUNK
        self._storage: Storage | None = storage
        self._lengths = [0] * storage.n_slots

    def forward(self, slot: int, ids: Sequence[int], n_logits: int) -> Logits:
        storage = self._with_room(slot, len(ids))
        fed = torch.tensor([list(ids)], dtype=torch.long)  # [1, n]
        with torch.inference_mode():
            # A few rows too many cost less than a second pass over the weights; many would cost memory.
            n_rows = 0 if n_logits == 0 else len(ids) if len(ids) <= MAX_ROWS else n_logits
            start, n_filled = self._lengths[slot], len(ids) - n_rows
            if n_filled:
                storage.fill(slot, start, fed[:, :n_filled])
            logits = torch.empty(0, self.vocab_size)
            if n_rows:
                rows = storage.rows(slot, start + n_filled, fed[:, n_filled:])
                logits = rows[0, n_rows - n_logits :, : self.vocab_size]  # [n_logits, vocab]; wider ones are padded
            result: Logits = logits.float().cpu().numpy()
        self._lengths[slot] += len(ids)
        return result

    def prefill(self, slot: int, ids: Sequence[int]) -> Iterator[None]:
        self._with_room(slot, len(ids))
        for start in range(0, len(ids), self.chunk):
            self.forward(slot, ids[start : start + self.chunk], 0)
            yield

    def length(self, slot: int) -> int:
        return self._lengths[slot]

    def truncate(self, slot: int, length: int) -> int:
        self._lengths[slot] = min(self._lengths[slot], length)
        return self._lengths[slot]

    def copy(self, src: int, dst: int, length: int) -> None:
        length = min(length, self._lengths[src])
        if length and src != dst:
            with torch.inference_mode():
                self._with_room(dst, 0).copy(src, dst, length)
        self._lengths[dst] = length

    def close(self) -> None:
        if self._storage is not None:
            self._storage.unload()
        self._storage = None

    def _with_room(self, slot: int, n: int) -> Storage:
        if self._storage is None:
            raise EngineClosed("the engine was closed")
        if self._lengths[slot] + n > self.max_len:
            raise ContextOverflow(
                f"{n} tokens after {self._lengths[slot]} exceed the {self.max_len} positions of a slot: use a smaller context"
            )
        return self._storage


class V2Storage:
    """exllamav2: one of its caches for each slot. kv_bits: 16, 8, 6 or 4."""

    def __init__(self, library: Any, folder: Path, max_len: int, memory_mb: int, kv_bits: int) -> None:
        config = library.ExLlamaV2Config(str(folder))
        config.arch_compat_overrides(quiet=True)
        config.max_seq_len = self.max_len = min(max_len, config.max_seq_len)
        config.max_input_len = PREFILL_CHUNK
        self.vocab_size = int(config.vocab_size)
        self._model = library.ExLlamaV2(config)
        kind = getattr(library, "ExLlamaV2Cache" if kv_bits == 16 else f"ExLlamaV2Cache_Q{kv_bits}")
        values = config.num_hidden_layers * config.num_key_value_heads * config.head_dim
        self.n_slots = n_slots_for(values, kv_bits, self.max_len, memory_mb)
        first = kind(self._model, batch_size=1, max_seq_len=self.max_len, lazy=True)
        self._model.load_autosplit(first)  # gives the first one its memory, and learns on which device each layer lies
        others = [kind(self._model, batch_size=1, max_seq_len=self.max_len) for _ in range(self.n_slots - 1)]
        self._caches = [first, *others]

    def fill(self, slot: int, start: int, ids: Tensor) -> None:
        self._model.forward(ids, self._at(slot, start), preprocess_only=True)

    def rows(self, slot: int, start: int, ids: Tensor) -> Tensor:
        logits: Tensor = self._model.forward(ids, self._at(slot, start))
        return logits

    def copy(self, src: int, dst: int, length: int) -> None:
        self._caches[src].copy_states(
            self._caches[dst],
            **{"from_column": 0, "from_columns": length, "to_column": 0, "to_columns": length},
            **{"from_row": 0, "from_rows": 1, "to_row": 0, "to_rows": 1},
        )

    def unload(self) -> None:
        self._caches.clear()
        self._model.unload()

    def _at(self, slot: int, start: int) -> Any:
        cache = self._caches[slot]
        cache.current_seq_len = start  # the library appends after it, and advances it
        return cache


class V3Storage:
    """exllamav3: one paged cache; each slot has the same number of pages of its own. kv_bits: 16, or 2 to 8."""

    def __init__(self, library: Any, folder: Path, max_len: int, memory_mb: int, kv_bits: int) -> None:
        config = library.Config.from_directory(str(folder))
        self._model = library.Model.from_config(config)
        if self._model.get_recurrent_layers():
            raise UnsupportedModel(
                f"{folder.name} has recurrent layers, from which no token can be taken back: choose another model"
            )
        self.vocab_size = int(config.vocab_size)
        self._pages = min(max_len, config.max_position_embeddings) // PAGE
        if not self._pages:
            raise UnsupportedModel(f"{folder.name} has fewer than {PAGE} positions: choose another model")
        self.max_len = self._pages * PAGE
        values = config.num_hidden_layers * config.num_kv_heads * config.head_dim
        self.n_slots = n_slots_for(values, kv_bits, self.max_len, memory_mb)
        quantised = {} if kv_bits == 16 else {"layer_type": library.CacheLayer_quant, "k_bits": kv_bits, "v_bits": kv_bits}
        self._cache = library.Cache(self._model, max_num_tokens=self.n_slots * self.max_len, **quantised)
        self._model.load(max_chunk_size=PREFILL_CHUNK, max_output_size=MAX_ROWS)
        self._tables = torch.arange(self.n_slots * self._pages, dtype=torch.int32).view(self.n_slots, 1, self._pages)

    def fill(self, slot: int, start: int, ids: Tensor) -> None:
        self._model.prefill(ids, self._params(slot, start))

    def rows(self, slot: int, start: int, ids: Tensor) -> Tensor:
        logits: Tensor = self._model.forward(ids, self._params(slot, start))
        return logits

    def copy(self, src: int, dst: int, length: int) -> None:
        for page in range(-(-length // PAGE)):
            n_positions = min(PAGE, length - page * PAGE)
            self._cache.copy_page(self._cache, src * self._pages + page, dst * self._pages + page, n_positions)

    def unload(self) -> None:
        self._model.unload()

    def _params(self, slot: int, start: int) -> dict[str, Any]:
        """Return what the library's attention wants to know; it writes into this dictionary."""
        lengths = torch.tensor([start], dtype=torch.int32)
        return {"attn_mode": "flash_attn", "cache": self._cache, "block_table": self._tables[slot], "cache_seqlens": lengths}


def n_slots_for(values_per_token: int, kv_bits: int, max_len: int, memory_mb: int) -> int:
    """Return how many slots fit; at least two. A quantised value has a share of a 16-bit scale for each 32.

    values_per_token: numbers in the keys of a token, over all layers; the values are as many again.
    """
    bits = 16.0 if kv_bits == 16 else kv_bits + 0.5
    return max(2, int(memory_mb * 2**20 // (2 * values_per_token * bits / 8 * max_len)))


def open_engine(name: str, library: Any, folder: Path, max_len: int, memory_mb: int, kv_bits: int) -> ExllamaEngine:
    """Load the folder with `library`, the imported module exllamav2 or exllamav3.

    Raises: UnsupportedModel for what the library does not know; EngineError when the card has too little memory.
    """
    storage = V2Storage if name == "exllamav2" else V3Storage
    try:
        return ExllamaEngine(name, storage(library, folder, max_len, memory_mb, kv_bits))
    except torch.OutOfMemoryError as error:
        raise EngineError(f"{folder.name} does not fit the card: choose a smaller model or a smaller 'kv_memory_mb'") from error
    except (AssertionError, KeyError, OSError, TypeError, ValueError, RuntimeError) as error:
        first_line = str(error).strip().partition("\n")[0] or type(error).__name__
        if "Insufficient VRAM" in first_line:
            raise EngineError(
                f"{folder.name} does not fit the card: choose a smaller model or a smaller 'kv_memory_mb'"
            ) from error
        raise UnsupportedModel(f"{name} cannot load {folder}: {first_line}") from error
