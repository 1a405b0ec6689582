"""What could go into the context block of a place, best first. Runs in the context thread; owns the workspace's files."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cachetools import LRUCache

from completer.document.uri import path_of
from completer.prompt.context.block import Piece, by_relevance
from completer.prompt.context.imports import imported_files, reexports
from completer.prompt.context.resolvers import Target
from completer.prompt.context.skeleton import constant, listing, skeletons
from completer.prompt.context.workspace import Workspace, real_path
from completer.syntax.endings import language_of_file
from completer.syntax.tree import SyntaxTree
from completer.types import Snapshot

GATHER_S = 1.0
"""After this time what was found so far is all."""
NEAR_CP = 2_400
"""Characters on each side of the cursor whose names count most."""
JUST_BEFORE_CP = 800
"""Characters before the cursor whose names count still more."""
MAX_PARSED_CP = 200_000
"""A longer document is read for its imports only, which are at its head."""
MAX_TREES_BYTES = 4_000_000
"""Text of the parsed files that are kept; their trees take many times that."""
SHARE = 0.9
"""Of the block's tokens, as far as characters can tell; the names of the files need some, too."""
_CHARS_PER_TOKEN = 3.5
_MAX_HOPS = 3
_WORD = re.compile(r"[^\W\d]\w*")
_BASES = re.compile(r"\bclass \w++[^\n:{]{0,200}?(?:\(|extends |: ?(?:public )?)([^\n{]{0,400})")


@dataclass(frozen=True, slots=True)
class GatherRequest:
    """The place to gather for. others: the other open documents.  budget: tokens of the block."""

    snapshot: Snapshot
    others: tuple[Snapshot, ...]
    budget: int


@dataclass(frozen=True, slots=True)
class Gathered:
    """Pieces, best first; name: of the repository, as the model sees it."""

    name: str
    pieces: tuple[Piece, ...]


class Gatherer:
    """Owned by one thread; `stop` may be set by any."""

    def __init__(self, folders: Sequence[Path]) -> None:
        """folders: the workspace's. Reads nothing yet."""
        self.stop = threading.Event()
        self._folders = folders
        self._workspace: Workspace | None = None
        self._trees: LRUCache[tuple[Path, int], SyntaxTree] = LRUCache(MAX_TREES_BYTES, lambda tree: len(tree.data))

    def gather(self, place: GatherRequest) -> Gathered:
        """Return what could go into the block. Mutates: the parsed files that are kept. Ends soon after GATHER_S."""
        end = time.monotonic() + GATHER_S
        search = _Search(place, self._open_workspace(place, end), self._trees, end, self.stop)
        pieces = _up_to(search.imports(), SHARE * place.budget * _CHARS_PER_TOKEN)
        return Gathered(search.repository, tuple(pieces))

    def _open_workspace(self, place: GatherRequest, end: float) -> Workspace:
        if self._workspace is None:
            self._workspace = Workspace(self._folders)
        self._workspace.refresh(lambda: self.stop.is_set() or time.monotonic() > end)
        self._workspace.open_texts = {
            real: other.text.replace("\r\n", "\n") if len(other.text) <= MAX_PARSED_CP else other.text
            for other in place.others
            if (path := path_of(other.uri)) is not None and (real := real_path(path)) is not None
        }
        return self._workspace


class _Search:
    """One gathering: the document, its words, and the files around it."""

    def __init__(
        self,
        place: GatherRequest,
        workspace: Workspace,
        trees: LRUCache[tuple[Path, int], SyntaxTree],
        end: float,
        stop: threading.Event,
    ) -> None:
        self._workspace, self._trees, self._end, self._stop = workspace, trees, end, stop
        snapshot = place.snapshot
        self._text = snapshot.text
        written = path_of(snapshot.uri)
        self._file = real_path(written) if written is not None else None
        folder = workspace.folder_of(self._file) if self._file is not None else None
        self.repository = folder.name if folder is not None else ""
        self._tree = SyntaxTree(snapshot.language_id, self._text[:MAX_PARSED_CP], in_thread=True)
        cursor = snapshot.cursor_cp
        self._counts = Counter(_WORD.findall(self._text[:MAX_PARSED_CP]))
        self._bases = base_names(self._text[:MAX_PARSED_CP])
        self._just_before = Counter(_WORD.findall(self._text[max(0, cursor - JUST_BEFORE_CP) : cursor + JUST_BEFORE_CP // 4]))
        self._near_counts = Counter(_WORD.findall(self._text[max(0, cursor - NEAR_CP) : cursor + NEAR_CP]))
        self._languages = {path_of(other.uri): other.language_id for other in place.others}

    def imports(self) -> Iterator[Piece]:
        """Definitions that the document imports, those named near the cursor first."""
        if self._file is None or self._workspace.folder_of(self._file) is None:
            return iter(())
        found: dict[Piece, float] = {}
        for target in imported_files(self._tree, self._file, self._workspace):
            if self._late():
                break
            for name, piece in self._definitions(target, 0):
                found[piece] = max(found.get(piece, 0.0), self._score(name))
        return by_relevance([(score, piece) for piece, score in found.items()])

    def _definitions(self, target: Target, n_hops: int) -> Iterator[tuple[str, Piece]]:
        """Yield name and piece of each definition that the document takes from a file, through what hands it on."""
        text = self._workspace.read(target.path)
        if text is None:
            return
        tree = self._tree_of(target.path, text)
        path = self._workspace.name_of(target.path)
        wanted: Collection[str] = target.names or self._counts
        if not target.names and (listed := listing(tree, self._late)):
            yield target.path.stem, Piece(path, listed)
        known = set()
        for definition in skeletons(tree, self._counts, self._bases, self._late):
            if definition.name in wanted and definition.text:
                known.add(definition.name)
                yield definition.name, Piece(path, definition.text)
        for name in target.names:
            if name in known or self._late():
                continue
            if line := constant(text, name):
                yield name, Piece(path, line)
            elif n_hops < _MAX_HOPS:
                for further in reexports(tree, target.path, self._workspace, name):
                    if self._late():
                        break
                    real = self._workspace.locate(further.path)
                    if real is not None and real not in (target.path, self._file):
                        yield from self._definitions(further._replace(path=real), n_hops + 1)

    def _tree_of(self, path: Path, text: str) -> SyntaxTree:
        key = (path, hash(text))
        tree = self._trees.get(key)
        if tree is None:
            language_id = self._languages.get(path) or language_of_file(path.name)
            tree = self._trees[key] = SyntaxTree(_as_parsed(language_id, self._tree), text, in_thread=True)
        return tree

    def _score(self, name: str) -> float:
        just_before, near, elsewhere = self._just_before[name], self._near_counts[name], self._counts[name]
        return 12.0 * min(just_before, 3) + 4.0 * min(near, 4) + min(elsewhere, 8)

    def _late(self) -> bool:
        return self._stop.is_set() or time.monotonic() > self._end


def base_names(text: str) -> frozenset[str]:
    """Return the types that the classes of a text extend, and other words of their heads."""
    return frozenset(_WORD.findall(" ".join(_BASES.findall(text))))


def _as_parsed(language_id: str, importer: SyntaxTree) -> str:
    """A `.h` file is what includes it."""
    return "cpp" if language_id == "c" and "cpp" in importer.language.ids else language_id


def _up_to(pieces: Iterator[Piece], n_chars: float) -> Iterator[Piece]:
    """Yield pieces, best first, as long as they fit; one that is too long leaves room for shorter ones."""
    for piece in pieces:
        if len(piece.text) <= n_chars:
            n_chars -= len(piece.text)
            yield piece
