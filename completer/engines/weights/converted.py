"""The folder of a converted model: what lies in it, and whether it is whole. Imports no inference library.

format               written last; names the layout of the rest
spec.json            sizes of the model
tokenizer.json       vocabulary
embed.npy            [vocab, hidden] bfloat16 as raw 16 bits; only the rows that are looked up are ever read
prefill.safetensors  8-bit rows for the torch engine (prefill, and the whole model with engine "torch")
decode.onnx(.data)   4-bit groups (attention and head: 8 bits) for onnxruntime

Made at the first start, for the later ones: encoder.json, vocabulary.npz (see `completer.tokens.vocabulary`), costs.json.
"""

from __future__ import annotations

from pathlib import Path

FORMAT = "7"
"""Changes whenever the converted files do: older ones are then made anew."""
MAX_LEN = 4096
"""Longest slot that the exported graph allows."""


def is_converted(folder: Path) -> bool:
    """Whether `folder` holds a whole conversion of today's format."""
    marker = folder / "format"
    return marker.is_file() and marker.read_text(encoding="ascii") == FORMAT
