"""The gguf package's reader, kept within the file: sizes in a header are only claims."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import gguf
import numpy as np
from numpy.typing import DTypeLike, NDArray

from completer.errors import ModelError, UnsupportedModel
from completer.tokens.tokenizer import tokenizer_json

MAX_READS = 8_000_000
"""Numbers and strings of a header; each becomes an array of some 200 bytes. A vocabulary of 262,000 tokens has 3 million."""


class BoundedReader(gguf.GGUFReader):
    """Raises ValueError for what would lie outside of the file, where the package's own reader returns less and goes on."""

    def __init__(self, path: Path) -> None:
        self._n_reads = 0
        super().__init__(str(path))

    def _get(
        self, offset: int, dtype: DTypeLike, count: int = 1, override_order: Literal["I", "S", "<"] | None = None
    ) -> NDArray[Any]:
        self._n_reads += 1
        end = int(offset) + np.dtype(dtype).itemsize * int(count)
        if end > len(self.data):
            raise ValueError(f"it has {len(self.data)} bytes and names something that would end at {end}")
        if self._n_reads > MAX_READS:
            raise ValueError(f"its header holds more than {MAX_READS} values")
        return super()._get(offset, dtype, count, override_order)


def open_gguf(path: Path) -> gguf.GGUFReader:
    """Return a reader of a GGUF file, memory-mapped, whose header is consistent. Raises: ModelError; OSError."""
    try:
        return BoundedReader(path)
    except (ValueError, KeyError, IndexError, OverflowError, RecursionError) as error:
        reason = "it nests arrays too deeply" if isinstance(error, RecursionError) else str(error)
        raise ModelError(f"{path} is no whole GGUF file ({reason}): pull or download it again, or choose another file") from error


def field_of(reader: gguf.GGUFReader, key: str) -> Any:
    """Return the value of a field of the header, also of a long one. Raises: ModelError when it is missing."""
    if key not in reader.fields:
        raise ModelError(f"the GGUF file has no field {key!r}: pull the model again or choose another file")
    return reader.fields[key].contents()


def vocabulary_of(reader: gguf.GGUFReader) -> str:
    """Return the vocabulary of a GGUF file as the text of a tokenizer.json; it takes a second.

    Raises: UnsupportedModel for a kind of vocabulary that is not known here; ModelError.
    """
    kind = field_of(reader, "tokenizer.ggml.model")
    if kind != "gpt2":
        raise UnsupportedModel(f"tokenizer {kind!r} of this GGUF is not supported: use the Hugging Face folder of the model")
    return tokenizer_json(*(field_of(reader, f"tokenizer.ggml.{name}") for name in ("tokens", "merges", "token_type", "pre")))
