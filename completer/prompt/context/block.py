"""The context block as tokens: pieces of other files in front of the prompt, in the family's repository format.

    <repo_name> NAME \\n  <file_sep> a/b.py \\n piece piece  <file_sep> c.py \\n piece  |  <file_sep> here.py \\n <fim_prefix> …
    └───────────────────────── Block.ids ─────────────────────────────────────────┘

The block only grows at its end, so what a KV slot holds of it stays valid; it is made anew when too much of it is stale.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from completer.prompt.context.document_name import comment_sign
from completer.syntax.endings import language_of_file
from completer.tokens.tokenizer import Tokenizer

STALE_SHARE = 0.35
"""Share of a block's tokens that nobody proposes any more, above which it is made anew."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a file, for the model to know. path: as the model sees it."""

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class Block:
    """Pieces with the tokens that they are: `n_ids[i]` of `ids` for piece i, after `n_head` for the name of the whole."""

    name: str = ""
    pieces: tuple[Piece, ...] = ()
    n_ids: tuple[int, ...] = ()
    ids: tuple[int, ...] = ()


class BlockMaker:
    """Makes blocks for one model. budget: most tokens of a block."""

    def __init__(self, tokenizer: Tokenizer, budget: int) -> None:
        self._tokenizer = tokenizer
        self.budget = budget

    def grow(self, block: Block, wanted: Sequence[Piece], name: str) -> Block:
        """Return the block with what is new in `wanted` at its end, or a new one where too much of it is stale.

        wanted: best first; what does not fit is left out.  name: of the repository.
        The ids of the old block are a prefix of the new one's, unless it was made anew.
        """
        known = set(wanted)
        stale = sum(n for piece, n in zip(block.pieces, block.n_ids, strict=True) if piece not in known)
        new = [piece for piece in dict.fromkeys(wanted) if piece not in set(block.pieces)]
        if not block.pieces or block.name != name or stale > STALE_SHARE * len(block.ids):
            return self._fresh(wanted, name)
        grown = self._append(block, new)
        # A full block that is partly stale gives way to what it has no room for.
        return self._fresh(wanted, name) if new and grown is block and stale else grown

    def file_ids(self, path: str, language_id: str = "") -> list[int]:
        """Return the tokens that name the file which follows. language_id: of the file; "": what its ending stands for."""
        fim = self._tokenizer.fim
        comment = comment_sign(language_id or language_of_file(path))
        line = fim.format.path_line.format(path=_one_line(path), comment=comment)
        ids = self._tokenizer.encode(line)
        return ids if fim.file_sep is None else [fim.file_sep, *ids]

    def _fresh(self, wanted: Sequence[Piece], name: str) -> Block:
        """The best pieces are last, next to the file."""
        fitting: list[Piece] = []
        n_ids = len(self._name_ids(name))
        for piece in dict.fromkeys(wanted):
            n = len(self._piece_ids(piece, None))
            if n_ids + n <= self.budget:
                fitting.append(piece)
                n_ids += n
        # Pieces of one file are together, in the order of that file's best one.
        paths = list(dict.fromkeys(piece.path for piece in fitting))
        ordered = [piece for path in reversed(paths) for piece in fitting if piece.path == path]
        return self._append(Block(name, (), (), tuple(self._name_ids(name))), ordered) if ordered else Block(name)

    def _append(self, block: Block, pieces: Sequence[Piece]) -> Block:
        for piece in pieces:
            ids = self._piece_ids(piece, block.pieces[-1] if block.pieces else None)
            if len(block.ids) + len(ids) <= self.budget:
                block = Block(block.name, (*block.pieces, piece), (*block.n_ids, len(ids)), (*block.ids, *ids))
        return block

    def _piece_ids(self, piece: Piece, before: Piece | None) -> list[int]:
        same_file = before is not None and before.path == piece.path
        return [*([] if same_file else self.file_ids(piece.path)), *self._tokenizer.encode(f"{piece.text}\n")]

    def _name_ids(self, name: str) -> list[int]:
        fim = self._tokenizer.fim
        return [fim.repo_name, *self._tokenizer.encode(f"{_one_line(name)}\n")] if fim.repo_name is not None and name else []


def by_relevance(pieces: Sequence[tuple[float, Piece]]) -> Iterator[Piece]:
    """Yield pieces by their score, the highest first."""
    yield from (piece for _, piece in sorted(pieces, key=lambda scored: -scored[0]))


def _one_line(path: str) -> str:
    return re.sub(r"[\x00-\x1f]", "?", path)
