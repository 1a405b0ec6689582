"""What the header of a GGUF file tells of its model, for engines that leave the weights to a library. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from completer.engines.weights.gguf_file import field_of, open_gguf, vocabulary_of
from completer.errors import ModelError

_KV_BYTES = 2
"""Of a number in llama.cpp's slots: fp16."""


class GgufHeader:
    """context_length: positions that the model was trained for.  kv_bytes_per_token: in fp16; 0 if the header does not tell."""

    def __init__(self, path: Path) -> None:
        """Raises: ModelError for a damaged file; OSError."""
        self._reader = open_gguf(path)
        self._family = str(field_of(self._reader, "general.architecture"))
        try:
            self.context_length = int(self._about("context_length"))
            self.kv_bytes_per_token = self._kv_bytes_per_token()
        except (TypeError, ValueError, ArithmeticError) as error:
            raise ModelError(f"{path} describes its model wrongly ({error}): pull or download it again") from error

    def tokenizer_json(self) -> str:
        """Return the vocabulary as the text of a tokenizer.json. Raises: UnsupportedModel, ModelError."""
        return vocabulary_of(self._reader)

    def _kv_bytes_per_token(self) -> int:
        heads = self._find("attention.head_count")
        heads_kv = self._find("attention.head_count_kv")
        if heads is None or isinstance(heads, Sequence) or isinstance(heads_kv, Sequence):  # a number for each layer
            return 0
        width = self._find("attention.key_length") or int(self._about("embedding_length")) // int(heads)
        return 2 * int(self._about("block_count")) * int(heads_kv or heads) * int(width) * _KV_BYTES

    def _about(self, name: str) -> Any:
        return field_of(self._reader, f"{self._family}.{name}")

    def _find(self, name: str) -> Any:
        key = f"{self._family}.{name}"
        return self._reader.fields[key].contents() if key in self._reader.fields else None
