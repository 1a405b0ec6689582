"""Text to tokens and tokens to bytes; nothing else in the program does either.

Special tokens never come from document text: the encoder does not know them, so a file that contains
`<|fim_middle|>` is plain text. Tokens are bytes, and a character may be split between two of them.
"""

from __future__ import annotations

import bisect
import codecs
import contextlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers
from numpy.typing import NDArray

from completer.errors import UnsupportedModel
from completer.tokens.fim import FORMATS, FimFormat, detect
from completer.tokens.vocabulary import Vocabulary, keep, load_kept, sorted_ids

_NAMES = frozenset(
    token for f in FORMATS.values() for token in (f.prefix, f.suffix, f.middle, f.bos, f.repo_name, f.file_sep, *f.end) if token
)
"""Every token that some prompt format names."""
_LARGEST_ID = 2**24
"""A hundred times the largest vocabulary; a list of that length is made."""


@dataclass(frozen=True, slots=True)
class FimIds:
    """The token ids of a FimFormat in one vocabulary; None where the format has no such token."""

    format: FimFormat
    prefix: int
    suffix: int
    middle: int | None
    bos: int | None
    repo_name: int | None
    file_sep: int | None
    end: frozenset[int]


class VocabularyIndex:
    """All ordinary tokens sorted by their bytes, for the healing constraint."""

    def __init__(self, token_bytes: Sequence[bytes], order: NDArray[np.int64] | None = None) -> None:
        """order: `sorted_ids(token_bytes)`, where it is known already."""
        self._ids = sorted_ids(token_bytes) if order is None else order
        self._bytes = [token_bytes[i] for i in self._ids.tolist()]
        self._longest = max(map(len, self._bytes), default=0)

    def allowed(self, pending: bytes) -> NDArray[np.int64]:
        """Return the ids that may come next when `pending` must be reproduced: they start with it, or it with them."""
        low = bisect.bisect_left(self._bytes, pending)
        high = bisect.bisect_left(self._bytes, pending + b"\xff" * (self._longest + 1))
        shorter = [self.exactly(pending[:n]) for n in range(1, min(len(pending), self._longest + 1))]
        return np.concatenate([self._ids[low:high], *shorter])

    def exactly(self, key: bytes) -> NDArray[np.int64]:
        """Return the ids of all tokens with these bytes: vocabularies with byte fallback have some of them twice."""
        return self._ids[bisect.bisect_left(self._bytes, key) : bisect.bisect_right(self._bytes, key)]


class Tokenizer:
    """Encoder, token bytes, FIM ids and the vocabulary index of one model."""

    def __init__(self, backend: tokenizers.Tokenizer, words: Vocabulary, fim: str = "") -> None:
        """backend: encodes with the ordinary tokens of `words` and knows none of the special ones."""
        self._backend = backend
        self.token_bytes = words.token_bytes
        self.vocab_size = len(words.token_bytes)
        self.fim = _resolve_fim(words.named, fim)
        self.index = VocabularyIndex(words.token_bytes, words.order)

    @cached_property
    def silent_ids(self) -> NDArray[np.int64]:
        """The tokens without text: special ones, and those that end the middle."""
        special = (i for i, token in enumerate(self.token_bytes) if not token)
        return np.array(sorted(self.fim.end.union(special)), dtype=np.int64)

    @staticmethod
    def load(path: Path, fim: str = "") -> Tokenizer:
        """Load a tokenizer.json (ours or a Hugging Face one). fim: name of the prompt format, "" to detect it.

        Raises: UnsupportedModel when the vocabulary has no fill-in-the-middle tokens.
        """
        return Tokenizer.of_spec(json.loads(path.read_text(encoding="utf-8")), fim)

    @staticmethod
    def of_spec(spec: dict[str, Any], fim: str = "") -> Tokenizer:
        """As `load`, for the parsed content of a tokenizer.json. Mutates: spec."""
        words, encoder = _read(spec)
        return Tokenizer(tokenizers.Tokenizer.from_str(encoder), words, fim)

    @staticmethod
    def load_quickly(path: Path, fim: str = "") -> Tokenizer:
        """Like `load`, but keep what was worked out beside the file, for the next start: 0.3 s instead of 0.8.

        The file must not change afterwards: it lies in a folder that is replaced as a whole.
        """
        if (kept := load_kept(path.parent, _NAMES)) is not None:
            words, encoder = kept
            with contextlib.suppress(Exception):  # another version of the library may not read what one wrote
                return Tokenizer(tokenizers.Tokenizer.from_str(encoder), words, fim)
        words, encoder = _read(json.loads(path.read_text(encoding="utf-8")))
        keep(path.parent, words, encoder, _NAMES)
        return Tokenizer(tokenizers.Tokenizer.from_str(encoder), words, fim)

    def encode(self, text: str) -> list[int]:
        """Return the ids of `text`, without any special token; `bytes_of` gives the same bytes back."""
        ids: list[int] = self._backend.encode(text, add_special_tokens=False).ids
        return ids

    def bytes_of(self, ids: Iterable[int]) -> bytes:
        """Return the bytes of `ids`; special tokens have none."""
        return b"".join(self.token_bytes[i] if i < self.vocab_size else b"" for i in ids)

    def text_of(self, ids: Iterable[int]) -> str:
        """Return the text of `ids` up to the last whole character (a character may be split between tokens)."""
        return whole_characters(self.bytes_of(ids))


def whole_characters(data: bytes) -> str:
    """Decode UTF-8, leaving out an unfinished character at the end; invalid bytes become U+FFFD."""
    return codecs.getincrementaldecoder("utf-8")(errors="replace").decode(data)


def _read(spec: dict[str, Any]) -> tuple[Vocabulary, str]:
    """Return what a tokenizer.json tells about its tokens, and its text reduced to what encodes. Mutates: spec."""
    special_ids = {t["content"]: int(t["id"]) for t in spec.get("added_tokens", [])}
    spec["added_tokens"] = []  # so that no text is ever taken for a special token
    if (spec.get("normalizer") or {}).get("type") in ("NFC", "NFKC"):
        spec["normalizer"] = None  # a document's bytes are reproduced as they are
    spec["post_processor"] = None
    spec["truncation"] = spec["padding"] = None
    encoder = json.dumps(spec, ensure_ascii=False)
    vocabulary = spec["model"]["vocab"]
    if not isinstance(vocabulary, dict):  # a BPE's is one; asking the backend for it would take 0.1 s
        vocabulary = tokenizers.Tokenizer.from_str(encoder).get_vocab()
    to_bytes = _byte_level if _is_byte_level(spec) else _byte_fallback
    ids = [*vocabulary.values(), *special_ids.values()]
    if not ids or min(ids) < 0 or max(ids) > _LARGEST_ID:
        raise UnsupportedModel(f"the vocabulary has ids beyond 0..{_LARGEST_ID}, or none: the model's files are damaged")
    token_bytes = [b""] * (max(ids) + 1)
    for token, id_ in vocabulary.items():
        if token not in special_ids:
            token_bytes[id_] = to_bytes(token)
    named = {token: id_ for token, id_ in {**vocabulary, **special_ids}.items() if token in _NAMES}
    return Vocabulary(token_bytes, sorted_ids(token_bytes), named), encoder


def _resolve_fim(vocabulary: dict[str, int], name: str) -> FimIds:
    format_ = FORMATS.get(name) if name else detect(vocabulary)
    if format_ is None or format_.prefix not in vocabulary:
        raise UnsupportedModel(
            "the model's vocabulary has no fill-in-the-middle tokens: choose a code model with FIM (see `completer models list`)"
        )
    own = {format_.prefix, format_.suffix, format_.middle} - {""}
    return FimIds(
        format=format_,
        prefix=vocabulary[format_.prefix],
        suffix=vocabulary[format_.suffix],
        middle=vocabulary.get(format_.middle) if format_.middle else None,
        bos=vocabulary.get(format_.bos) if format_.bos else None,
        repo_name=vocabulary.get(format_.repo_name) if format_.repo_name else None,
        file_sep=vocabulary.get(format_.file_sep) if format_.file_sep else None,
        end=frozenset(vocabulary[t] for t in own.union(format_.end) if t in vocabulary),
    )


def _is_byte_level(spec: dict[str, Any]) -> bool:
    return any("ByteLevel" in json.dumps(spec.get(part)) for part in ("decoder", "pre_tokenizer"))


def _byte_alphabet() -> dict[int, int]:
    """The bytes by the printable code points that byte-level BPE vocabularies use for them. Source: GPT-2's encoder."""
    plain = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [b for b in range(256) if b not in plain]
    return {**{b: b for b in plain}, **{256 + n: b for n, b in enumerate(others)}}


_ALPHABET = _byte_alphabet()


def _byte_level(token: str) -> bytes:
    try:
        return token.translate(_ALPHABET).encode("latin-1")
    except UnicodeEncodeError:
        return b""  # not a byte-level token: a special one that was not declared


def _byte_fallback(token: str) -> bytes:
    if len(token) == 6 and token.startswith("<0x") and token.endswith(">"):
        return bytes([int(token[3:5], 16)])
    return token.replace("▁", " ").encode("utf-8")


QWEN2_SPLIT = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA3_SPLIT = QWEN2_SPLIT.replace(r"|\p{N}|", r"|\p{N}{1,3}|")
SPLITS = {"qwen2": QWEN2_SPLIT, "llama-bpe": LLAMA3_SPLIT}
"""Pre-tokenisation by the name that GGUF files give it (tokenizer.ggml.pre)."""


def tokenizer_json(tokens: Sequence[str], merges: Sequence[str], token_types: Sequence[int], pre: str) -> str:
    """Return a tokenizer.json for the byte-level BPE vocabulary of a GGUF file.

    token_types: 1 is an ordinary token, anything else is special.  Raises: UnsupportedModel for an unknown `pre`.
    """
    if pre not in SPLITS:
        raise UnsupportedModel(f"tokenizer {pre!r} of this GGUF is not supported: use the Hugging Face folder of the model")
    special = [i for i, kind in enumerate(token_types) if kind != 1]
    return json.dumps(
        {
            "version": "1.0",
            "added_tokens": [
                {"id": i, "content": tokens[i], "special": True}
                | dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
                for i in special
            ],
            "normalizer": None,
            "pre_tokenizer": {
                "type": "Sequence",
                "pretokenizers": [
                    {"type": "Split", "pattern": {"Regex": SPLITS[pre]}, "behavior": "Isolated", "invert": False},
                    {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False},
                ],
            },
            "post_processor": None,
            "decoder": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False},
            "model": {
                "type": "BPE",
                "vocab": {t: i for i, t in enumerate(tokens) if token_types[i] == 1},
                "merges": [merge.split(" ", 1) for merge in merges],
                "byte_fallback": False,
                "fuse_unk": False,
            },
        },
        ensure_ascii=False,
    )
