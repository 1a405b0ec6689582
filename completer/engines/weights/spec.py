"""The shape of a model of the Llama family, whatever file it comes from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from completer.errors import UnsupportedModel

LEAN_FAMILIES = ("llama", "mistral", "qwen2", "qwen3")
"""Architectures that the lean decoder runs; `hf` is the fallback for the others."""

_LARGEST = 2**24
"""Of any size: a hundred times the largest vocabulary."""
_MOST_LAYERS = 1024


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """Sizes and constants of one model.

    rope_factors: divisors of the rotary frequencies, one for each of the head_dim / 2 (Llama 3 scaling); () for none.
    """

    family: str
    n_layers: int
    hidden: int
    ffn: int
    heads: int
    heads_kv: int
    head_dim: int
    vocab_size: int
    max_positions: int
    rope_theta: float
    rms_eps: float
    rope_factors: tuple[float, ...] = ()
    tied_head: bool = False

    def __post_init__(self) -> None:
        """Raises: ValueError for sizes that no model has: files may claim anything, and memory is taken by these numbers."""
        sizes = ("n_layers", "hidden", "ffn", "heads", "heads_kv", "head_dim", "vocab_size", "max_positions")
        for name in sizes:
            if not 0 < getattr(self, name) <= _LARGEST:
                raise ValueError(f"{name} is {getattr(self, name)}")
        if self.n_layers > _MOST_LAYERS:
            raise ValueError(f"n_layers is {self.n_layers}")
        if self.heads % self.heads_kv or self.head_dim % 2:
            raise ValueError(f"{self.heads} heads of {self.head_dim} share {self.heads_kv} pairs of keys and values")

    @property
    def qkv_rows(self) -> int:
        return (self.heads + 2 * self.heads_kv) * self.head_dim

    def kv_bytes_per_token(self, bytes_per_value: int = 4) -> int:
        return 2 * self.n_layers * self.heads_kv * self.head_dim * bytes_per_value

    def rope_table(self, max_len: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return cos and sin of the rotary angles: [max_len, head_dim / 2] float32 each. Source: RoFormer (2104.09864)."""
        half = self.head_dim // 2
        freq = 1.0 / self.rope_theta ** (np.arange(half, dtype=np.float64) / half)
        if self.rope_factors:
            freq /= np.asarray(self.rope_factors, dtype=np.float64)
        angles = np.outer(np.arange(max_len, dtype=np.float64), freq)  # [max_len, head_dim / 2]
        return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1)

    @staticmethod
    def from_json(text: str) -> ModelSpec:
        values = json.loads(text)
        values["rope_factors"] = tuple(values["rope_factors"])
        return ModelSpec(**values)


def spec_from_gguf(meta: Mapping[str, Any], vocab_size: int, tied_head: bool, rope_factors: tuple[float, ...]) -> ModelSpec:
    """Return the spec that GGUF metadata describes.

    Raises: UnsupportedModel; KeyError, ValueError for what is missing or absurd.  Source: the GGUF specification.
    """
    family = str(meta["general.architecture"])
    if family not in LEAN_FAMILIES:
        raise UnsupportedModel(f"architecture {family!r} is not one of {', '.join(LEAN_FAMILIES)}: use the engine 'hf'")
    heads = int(meta[f"{family}.attention.head_count"])
    hidden = int(meta[f"{family}.embedding_length"])
    head_dim = int(meta.get(f"{family}.attention.key_length", hidden // heads))
    if len(rope_factors) not in (0, head_dim // 2):
        raise ValueError(f"{len(rope_factors)} rotary factors for heads of {head_dim}")
    return ModelSpec(
        family=family,
        n_layers=int(meta[f"{family}.block_count"]),
        hidden=hidden,
        ffn=int(meta[f"{family}.feed_forward_length"]),
        heads=heads,
        heads_kv=int(meta.get(f"{family}.attention.head_count_kv", heads)),
        head_dim=head_dim,
        vocab_size=vocab_size,
        max_positions=int(meta[f"{family}.context_length"]),
        rope_theta=float(meta.get(f"{family}.rope.freq_base", 10000.0)),
        rms_eps=float(meta[f"{family}.attention.layer_norm_rms_epsilon"]),
        rope_factors=rope_factors,
        tied_head=tied_head,
    )


def spec_from_hf(config: Mapping[str, Any]) -> ModelSpec:
    """Return the spec that a Hugging Face config.json describes. Raises: UnsupportedModel."""
    family = str(config["model_type"])
    if family not in LEAN_FAMILIES:
        raise UnsupportedModel(f"model type {family!r} is not one of {', '.join(LEAN_FAMILIES)}: use the engine 'hf'")
    heads = int(config["num_attention_heads"])
    rope = {**(config.get("rope_scaling") or {}), **(config.get("rope_parameters") or {})}
    head_dim = int(config.get("head_dim") or config["hidden_size"] // heads)
    # Layers that look back less far than the context are right as long as no slot is longer than their window.
    slides = config.get("use_sliding_window", family == "mistral") and config.get("sliding_window")
    window = int(config["sliding_window"]) if slides else int(config["max_position_embeddings"])
    theta = float(rope.get("rope_theta") or config.get("rope_theta") or 10000.0)
    return ModelSpec(
        family=family,
        n_layers=int(config["num_hidden_layers"]),
        hidden=int(config["hidden_size"]),
        ffn=int(config["intermediate_size"]),
        heads=heads,
        heads_kv=int(config.get("num_key_value_heads") or heads),
        head_dim=head_dim,
        vocab_size=int(config["vocab_size"]),
        max_positions=min(window, int(config["max_position_embeddings"])),
        rope_theta=theta,
        rms_eps=float(config["rms_norm_eps"]),
        rope_factors=_rope_factors(rope, theta, head_dim),
        tied_head=bool(config.get("tie_word_embeddings", False)),
    )


def _rope_factors(rope: Mapping[str, Any], theta: float, head_dim: int) -> tuple[float, ...]:
    """Return the divisors of the rotary frequencies that a `rope_scaling` section asks for."""
    kind = rope.get("rope_type") or rope.get("type") or "default"
    half = head_dim // 2
    if kind == "default":
        return ()
    if kind == "linear":
        return (float(rope["factor"]),) * half
    if kind != "llama3":
        raise UnsupportedModel(f"rotary scaling {kind!r} is not supported: use the engine 'hf'")
    factor, low, high = float(rope["factor"]), float(rope["low_freq_factor"]), float(rope["high_freq_factor"])
    wavelength = 2 * np.pi * theta ** (np.arange(half) / half)
    turns = float(rope["original_max_position_embeddings"]) / wavelength  # full turns within the original context
    smooth = np.clip((turns - low) / (high - low), 0.0, 1.0)
    return tuple(float(f) for f in 1.0 / ((1 - smooth) / factor + smooth))
