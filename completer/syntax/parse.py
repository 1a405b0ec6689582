"""Parsing with a limit: grammars of tree-sitter can need minutes, or hours, for a few kilobytes that confuse them."""

from __future__ import annotations

import ctypes
import sys
import time
from collections.abc import Sequence
from functools import lru_cache

import tree_sitter

PARSE_S = 0.25
"""What a parse may cost while a key waits; a document that takes longer is treated like a large one."""
OVERDUE_S = 2.0
"""What a parse may cost in another thread. Error recovery can take hours for a few kilobytes."""
MAX_OPERATORS = 700
"""Operators and brackets in one statement above which a text is not parsed: if the parser must give up what it has
begun, one of its steps takes minutes, and nothing can interrupt it."""
_CHUNK_BYTES = 16_384


_OPERATORS = b"<>(?[|&`"


@lru_cache(maxsize=64)
def _marks(ends: str) -> tuple[bytes, bytes]:
    """Return what `bytes.translate` takes to leave one byte for each operator (1) and each end of a statement (0)."""
    others = bytes(set(range(256)) - set(_OPERATORS) - set(ends.encode()))
    return bytes(int(code in _OPERATORS) for code in range(256)), others


def is_tangled(data: bytes, ends: str) -> bool:
    """Whether a text has more than MAX_OPERATORS in one statement. ends: `Language.statement_ends`."""
    return bool(ends) and b"\1" * (MAX_OPERATORS + 1) in data.translate(*_marks(ends))


def parse_within(
    parser: tree_sitter.Parser, data: bytes, old: tree_sitter.Tree | None, limit_s: float, *, ends: str, yields: bool = False
) -> tree_sitter.Tree | None:
    """Parse UTF-8 text; None if that takes more than `limit_s` of this thread's time, or could not be stopped.

    ends: `Language.statement_ends`.  yields: other threads run meanwhile, although the parser holds the GIL.
    """
    if is_tangled(data, ends):
        return None
    end = time.thread_time() + limit_s

    def late(_offset: int, _has_error: bool) -> bool:
        if yields:
            time.sleep(0)
        return time.thread_time() > end

    chunks: list[bytes] = []

    def read(byte: int, _point: object) -> bytes:
        chunks.append(data[byte : byte + _CHUNK_BYTES])
        return chunks[-1]

    try:
        if old is None:
            return parser.parse(read, progress_callback=late)
        return parser.parse(read, old, progress_callback=late)
    except ValueError:  # stopped by `late`
        parser.reset()
        return None
    finally:
        _release(chunks)
        chunks.clear()  # the tree keeps `read`


def _release(chunks: Sequence[bytes]) -> None:
    """Give back the references to what the parser has read: its binding (0.26 and before) keeps one of each chunk for ever.

    That was twice a document for each parse, and 32 kB for each key. A binding that keeps none is left alone.
    """
    untouched = object()
    counts = [sys.getrefcount(chunk) for chunk in (*chunks, untouched)]
    for chunk, count in zip(chunks, counts, strict=False):
        if len(chunk) > 1 and count > counts[-1]:  # shorter ones are shared by the whole interpreter
            ctypes.pythonapi.Py_DecRef(ctypes.py_object(chunk))
