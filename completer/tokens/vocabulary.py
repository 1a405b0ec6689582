"""The bytes of a vocabulary's tokens and their order, and a kept form of both that loads in a tenth of the time.

encoder.json     the tokenizer.json, reduced to what encodes text
vocabulary.npz   blob  [n_bytes] uint8   the bytes of all tokens, one after the other
                 ends  [n_tokens]        where each of them ends in the blob; special tokens have no bytes
                 order [n_ordinary]      ids of the ordinary tokens, sorted by their bytes
                 about                   JSON: the ids of the tokens that prompt formats name, the checksum of encoder.json

Either file may be damaged: the archive has checksums of its own, and what does not fit is made anew.
"""

from __future__ import annotations

import io
import json
import logging
import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from completer.system.cachefile import write_cache

log = logging.getLogger(__name__)

_FILE = "vocabulary.npz"
_ENCODER = "encoder.json"


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """token_bytes: by id, b"" for special tokens.  order: see `sorted_ids`.  named: ids of the tokens a prompt may need."""

    token_bytes: list[bytes]
    order: NDArray[np.int64]
    named: dict[str, int]


def sorted_ids(token_bytes: Sequence[bytes]) -> NDArray[np.int64]:
    """Return the ids of all tokens that have bytes, sorted by them."""
    ids = (i for i, token in enumerate(token_bytes) if token)
    return np.array(sorted(ids, key=token_bytes.__getitem__), dtype=np.int64)


def checksum(token_bytes: Sequence[bytes]) -> int:
    """Return a number that tells one vocabulary from another."""
    return zlib.crc32(b"".join(token_bytes), len(token_bytes))


def keep(folder: Path, words: Vocabulary, encoder: str, names: Collection[str]) -> None:
    """Write the kept form to `folder`, whole files only, if that is possible. names: what `words.named` was looked up for."""
    ends = np.cumsum([len(token) for token in words.token_bytes], dtype=np.int64)
    blob = np.frombuffer(b"".join(words.token_bytes), np.uint8)
    about = json.dumps({"names": sorted(names), "named": words.named, "encoder": zlib.crc32(encoder.encode("utf-8"))})
    arrays = io.BytesIO()
    np.savez(arrays, blob=blob, ends=ends, order=words.order, about=np.array(about))
    if write_cache(folder / _ENCODER, encoder.encode("utf-8")):
        write_cache(folder / _FILE, arrays.getvalue())  # last: its presence means that both are there


def load_kept(folder: Path, names: Collection[str]) -> tuple[Vocabulary, str] | None:
    """Return the vocabulary and the encoder's text; None if they were not kept, for other `names`, or are damaged."""
    try:
        with np.load(folder / _FILE) as arrays:
            about: Mapping[str, object] = json.loads(str(arrays["about"]))
            blob, ends, order = arrays["blob"].tobytes(), arrays["ends"].tolist(), arrays["order"]
        encoder = (folder / _ENCODER).read_bytes()
        named = about["named"]
        if about["names"] != sorted(names) or about["encoder"] != zlib.crc32(encoder) or not isinstance(named, dict):
            return None
    except Exception as error:  # damaged archives make numpy and zipfile raise nearly anything
        log.debug("%s is not used: %s", folder / _FILE, error)
        return None
    token_bytes = [blob[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    return Vocabulary(token_bytes, order, named), encoder.decode("utf-8")
