"""Any causal language model of the transformers library: correct rather than fast, for families that the lean decoder lacks.

The library's own caches are not used. They grow by concatenation, their `crop` differs between releases, and a layer with a
sliding window forgets what a truncation would bring back. Ours keeps all positions of all layers, so that truncating is a smaller
length; the mask, which the model makes itself, still hides what lies outside a window.

    keys of a layer:   | valid: 0 .. length | whatever was there |      [1, heads, max_len, head_dim], as the model writes them
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from torch import Tensor
from transformers.cache_utils import Cache, DynamicCache, DynamicLayer

from completer.engines.base import CostCurve, Logits
from completer.errors import ContextOverflow, EngineClosed, EngineError, ModelError, UnsupportedModel

PREFILL_CHUNK = 32
"""Tokens in one forward of a prefill: the library cannot be interrupted between layers, and 16 cost about half as much as 64."""
_KEEPS_ALL = ("DynamicLayer", "DynamicSlidingWindowLayer")
_KEEPS_NOTHING = "DummyLayer"
"""The library's own layer of a cache for a layer of the model that reads another one's keys, or has no attention."""


class SlotLayer(DynamicLayer):  # type: ignore[misc]  # the library has no types
    """Keys and values of one layer in one slot. The buffers are made when the model first shows their shape."""

    is_initialized: bool

    def __init__(self, max_len: int) -> None:
        super().__init__()
        self.max_len = max_len
        self.length = 0

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Append key_states, value_states: [1, heads, n, head_dim]; return all valid ones. Mutates: the buffers, length."""
        if not self.is_initialized:
            self.keys, self.values = self._buffer(key_states), self._buffer(value_states)
            self.device, self.dtype, self.is_initialized = key_states.device, key_states.dtype, True
        start, self.length = self.length, self.length + key_states.shape[-2]
        self.keys[:, :, start : self.length] = key_states
        self.values[:, :, start : self.length] = value_states
        return self.keys[:, :, : self.length], self.values[:, :, : self.length]

    def get_seq_length(self, *_: Any) -> int:
        return self.length

    def copy_from(self, other: SlotLayer, length: int) -> None:
        """Hold the first `length` positions of `other`. Mutates: this layer."""
        self.length = length
        if other.is_initialized:
            self.length = 0
            self.update(other.keys[:, :, :length], other.values[:, :, :length])

    @property
    def bytes_per_token(self) -> int:
        if not self.is_initialized:
            return 0
        return sum(t.element_size() * t.shape[1] * t.shape[3] for t in (self.keys, self.values))

    def _buffer(self, like: Tensor) -> Tensor:
        _, heads, _, head_dim = like.shape
        return torch.empty(1, heads, self.max_len, head_dim, dtype=like.dtype, device=like.device)


class HfEngine:
    """A `StepEngine` over a model of the transformers library. Pieces of its prefill are whole forwards, so they may be long."""

    name = "hf"

    def __init__(self, model: Any, max_len: int, memory_mb: int) -> None:
        """model: in evaluation mode, on its device.  memory_mb: for the slots; two are made at the least.

        Raises: UnsupportedModel when the model keeps anything that cannot be truncated (recurrent states).
        """
        self.max_len = min(max_len, _positions(model.config))
        self.costs = CostCurve({1: 1.0}, 1.0)
        self._model = model
        arguments = inspect.signature(model.forward).parameters
        self._cache_argument = "cache" if "cache" in arguments else "past_key_values"  # renamed in transformers 5
        self._can_choose_rows = "logits_to_keep" in arguments
        self._slots = [self._new_slot()]
        self.vocab_size = self._check_rewinding()
        bytes_per_token = sum(layer.bytes_per_token for layer in _own(self._slots[0]))
        self.n_slots = max(2, memory_mb * 2**20 // (bytes_per_token * self.max_len))
        self._slots += [self._new_slot() for _ in range(self.n_slots - 1)]
        self._lengths = [0] * self.n_slots

    def forward(self, slot: int, ids: Sequence[int], n_logits: int) -> Logits:
        self._check_room(slot, len(ids))
        cache = self._slots[slot]
        _set_length(cache, self._lengths[slot])  # an exception may have left the layers at different lengths
        logits = self._run(cache, ids, n_logits)
        self._lengths[slot] += len(ids)
        return logits

    def prefill(self, slot: int, ids: Sequence[int]) -> Iterator[None]:
        self._check_room(slot, len(ids))
        for start in range(0, len(ids), PREFILL_CHUNK):
            self.forward(slot, ids[start : start + PREFILL_CHUNK], 0)
            yield

    def length(self, slot: int) -> int:
        return self._lengths[slot]

    def truncate(self, slot: int, length: int) -> int:
        self._lengths[slot] = min(self._lengths[slot], length)
        return self._lengths[slot]

    def copy(self, src: int, dst: int, length: int) -> None:
        length = min(length, self._lengths[src])
        with torch.inference_mode():
            for ours, theirs in zip(_own(self._slots[dst]), _own(self._slots[src]), strict=True):
                ours.copy_from(theirs, length)
        self._lengths[dst] = length

    def close(self) -> None:
        self._model = None
        self._slots.clear()

    def _run(self, cache: Cache, ids: Sequence[int], n_logits: int) -> Logits:
        """Forward `ids` after what `cache` holds: [n_logits, vocab]. Mutates: cache."""
        arguments: dict[str, Any] = {self._cache_argument: cache, "use_cache": True}
        if self._can_choose_rows:
            arguments["logits_to_keep"] = max(n_logits, 1)  # 0 means all of them
        with torch.inference_mode():
            fed = torch.tensor([list(ids)], device=self._model.device)  # [1, n]
            logits: Tensor = self._model(fed, **arguments).logits[0]  # [n or n_logits, vocab]
            rows: Logits = logits[logits.shape[0] - n_logits :].float().cpu().numpy()
        return rows

    def _new_slot(self) -> Cache:
        """Return an empty cache with a layer of ours in place of each of the library's. Raises: UnsupportedModel."""
        layers: list[Any] = []
        for layer in DynamicCache(config=self._model.config).layers:
            kind = type(layer).__name__
            if kind not in (*_KEEPS_ALL, _KEEPS_NOTHING):
                raise UnsupportedModel(_cannot_rewind(self._model, f"its layers keep a {kind}"))
            layers.append(layer if kind == _KEEPS_NOTHING else SlotLayer(self.max_len))
        return Cache(layers=layers)

    def _check_rewinding(self) -> int:
        """Check that a truncated slot goes on like a fresh one: a model may keep a state outside of the cache.

        Returns: the width of the logits. Mutates: slot 0, which is empty afterwards. Raises: UnsupportedModel.
        """
        cache = self._slots[0]
        ids = [1, 5, 3, 7]
        fresh = self._run(cache, ids, 1)[0]
        _set_length(cache, 0)
        self._run(cache, [*ids[:2], 2, 2, 2], 0)
        _set_length(cache, 2)
        again = self._run(cache, ids[2:], 1)[0]
        _set_length(cache, 0)
        cosine = float(np.dot(fresh, again) / (np.linalg.norm(fresh) * np.linalg.norm(again)))
        if not cosine > 0.99:  # also when it is not a number
            raise UnsupportedModel(_cannot_rewind(self._model, f"its logits differ after a truncation (cosine {cosine:.3f})"))
        return len(fresh)

    def _check_room(self, slot: int, n: int) -> None:
        if self._model is None:
            raise EngineClosed("the engine was closed")
        if self._lengths[slot] + n > self.max_len:
            raise ContextOverflow(
                f"{n} tokens after {self._lengths[slot]} exceed the {self.max_len} positions of a slot: use a smaller context"
            )


def open_model(folder: Path, device: str, bf16: bool = False) -> Any:
    """Return the model of a Hugging Face folder on `device`, in the folder's own precision or in bfloat16.

    Runs no code of the folder and reads no pickles.  Raises: ModelError, UnsupportedModel, EngineError (no memory).
    """
    if not folder.is_dir():
        raise UnsupportedModel(f"{folder} is not a Hugging Face folder: the engine 'hf' reads no GGUF files, choose 'phased'")
    try:
        model = transformers.AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=torch.bfloat16 if bf16 else "auto",
            attn_implementation="eager",  # the others drop what some families add, such as a cap on the scores
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
        )
        if model.dtype == torch.float16 and device == "cpu":
            model = model.float()  # 16-bit products are slow on most CPUs, and some kernels have none
        return model.to(device).eval()
    except torch.OutOfMemoryError as error:
        raise EngineError(f"{folder.name} does not fit the memory of {device}: choose a smaller model") from error
    except (ImportError, OSError, ValueError, KeyError, RuntimeError) as error:
        first_line = str(error).strip().partition("\n")[0]
        raise ModelError(f"transformers {transformers.__version__} cannot open {folder}: {first_line}") from error


def _own(cache: Cache) -> list[SlotLayer]:
    return [layer for layer in cache.layers if isinstance(layer, SlotLayer)]


def _set_length(cache: Cache, length: int) -> None:
    for layer in _own(cache):
        layer.length = length


def _positions(config: Any) -> int:
    """Return how many positions a slot may have: scaled rotary embeddings change beyond their original context."""
    text = config.get_text_config(decoder=True)
    rope = getattr(text, "rope_parameters", None) or {}
    limits = (getattr(text, "max_position_embeddings", None), rope.get("original_max_position_embeddings"))
    return min((int(limit) for limit in limits if limit), default=2**31)


def _cannot_rewind(model: Any, why: str) -> str:
    return f"the engine 'hf' cannot take tokens back from a {model.config.model_type!r} model ({why}): choose another model"
