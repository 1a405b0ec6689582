"""One incrementally parsed tree-sitter tree per document.

Positions come in as code points and go to tree-sitter as UTF-8 bytes. The bytes of the document are kept and spliced,
and the last converted position is remembered, so that a keystroke in a long file costs neither an encoding of the
whole text nor a count of its lines.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import tree_sitter

from completer.syntax.languages import Language, language
from completer.syntax.parse import OVERDUE_S, PARSE_S, parse_within
from completer.types import Edit

LARGE_BYTES = 400_000
EXCERPT_BYTES = 4_000
"""How much of a large document before the cursor is parsed, at most, for a question that needs the text as it is now."""
MAX_DEPTH = 1_000
"""Nodes around a position that are looked at: the outermost ones."""
_MAX_NAME_BYTES = 400

_Point = tuple[int, int]
_Moved = tuple[int, int, int, _Point, _Point, _Point]


@dataclass(frozen=True, slots=True)
class _Mark:
    """One position in the three units that we convert between."""

    cp: int = 0
    byte: int = 0
    row: int = 0


@lru_cache(maxsize=64)
def grammar(lang: Language) -> tree_sitter.Language | None:
    """Return the grammar of a language, imported at the first call; None where its package is missing."""
    if lang.grammar is None:
        return None
    module, function = lang.grammar
    try:
        return tree_sitter.Language(getattr(importlib.import_module(module), function)())
    except (ImportError, AttributeError, ValueError):  # ValueError: the grammar's ABI is not one that we can read
        return None


class SyntaxTree:
    """The syntax tree of one document. Owned by the event loop; `edit` and `root` must not run at the same time.

    Parsing is put off until someone looks: several edits of one notification cost one parse. In a document of more
    than `LARGE_BYTES` questions about a position are answered from the last parse, with its offsets moved by the edits
    since (even an incremental parse of 50,000 lines takes tens of milliseconds); `overdue` parses it in another thread.
    """

    def __init__(self, language_id: str, text: str, *, in_thread: bool = False) -> None:
        """Take a document as it was opened. Raises nothing: without a grammar `root` is None for ever.

        in_thread: it is parsed elsewhere than on the event loop, which is let through meanwhile.
        """
        self._in_thread = in_thread
        self.language = language(language_id)
        self._ends = self.language.statement_ends
        found = grammar(self.language)
        self._parser = tree_sitter.Parser(found) if found else None
        self._tree: tree_sitter.Tree | None = None
        self._dirty = True
        self._data = _encode(text)
        self._is_ascii = text.isascii()
        self._mark = _Mark()
        self._missed: list[_Moved] | None = None  # edits since an overdue parse began
        self._slow = False  # a parse took too long

    @property
    def data(self) -> bytes:
        """The document as UTF-8; a lone surrogate counts as `?`."""
        return self._data

    @property
    def root(self) -> tree_sitter.Node | None:
        """The root node of the document as it is now, parsed if need be; None without a grammar, or if that takes too long."""
        if self._parser is None or (self._slow and self._dirty):
            return None
        if self._dirty or self._tree is None:
            limit_s = PARSE_S if len(self._data) <= LARGE_BYTES else OVERDUE_S  # nobody who waits asks for the latter
            parsed = parse_within(self._parser, self._data, self._tree, limit_s, ends=self._ends, yields=self._in_thread)
            if parsed is None:
                self._slow = True
                return None
            self._tree, self._dirty = parsed, False
        return self._tree.root_node

    @property
    def settled_root(self) -> tree_sitter.Node | None:
        """Like `root`, but in a large document the last parse, whose structure may lag behind the text, or None."""
        if not self._is_large and (root := self.root) is not None:
            return root
        return self._tree.root_node if self._tree is not None else None

    @property
    def _is_large(self) -> bool:
        return self._slow or len(self._data) > LARGE_BYTES

    def overdue(self) -> Callable[[], tree_sitter.Tree | None] | None:
        """Return the parse that a large document waits for, to be run in any thread; None where there is nothing to do.

        Give its result to `catch_up`. Edits may go on meanwhile; only one such parse at a time.
        """
        found = grammar(self.language)
        if found is None or not self._is_large or not self._dirty:
            return None
        self._missed = []
        data, old, parser = self._data, self._tree.copy() if self._tree is not None else None, tree_sitter.Parser(found)
        return lambda: parse_within(parser, data, old, OVERDUE_S, ends=self._ends, yields=True)

    def catch_up(self, tree: tree_sitter.Tree | None) -> None:
        """Take the result of an overdue parse, moved by the edits since it began. Mutates: the tree.

        tree: None where it took too long; then the document is not parsed again before it is edited.
        """
        if tree is not None:
            for edit in self._missed or ():
                tree.edit(*edit)
            self._tree = tree
        self._dirty, self._missed = bool(self._missed), None

    def edit(self, change: Edit) -> None:
        """Apply one edit. Mutates: the text and the tree's offsets; the parse itself waits for `root`."""
        if self._parser is None:
            return
        start = self._locate(change.start_cp)
        old_end = self._locate(change.old_end_cp, start)
        new = _encode(change.new_text)
        new_end = _Mark(start.cp + len(change.new_text), start.byte + len(new), start.row + new.count(b"\n"))
        point, old_point = ((mark.row, self._column(mark)) for mark in (start, old_end))
        self._data = b"".join((self._data[: start.byte], new, self._data[old_end.byte :]))
        self._is_ascii = self._is_ascii and change.new_text.isascii()
        moved = (start.byte, old_end.byte, new_end.byte, point, old_point, (new_end.row, self._column(new_end)))
        if self._tree is not None:
            self._tree.edit(*moved)
        if self._missed is not None:
            self._missed.append(moved)
        self._mark, self._dirty = new_end, True

    def replace(self, text: str) -> None:
        """Take a whole new text (a full-sync change). Mutates: everything."""
        self._data, self._is_ascii = _encode(text), text.isascii()
        self._tree, self._dirty, self._mark, self._missed, self._slow = None, True, _Mark(), None, False

    def with_insertion(self, cursor_cp: int, text: str) -> tuple[tree_sitter.Node, int] | None:
        """Return the root of the tree with `text` inserted, and the cursor's byte offset; the document is unchanged.

        None without a grammar. Costs an incremental parse of the inserted region; in a large document only the lines
        around the cursor are parsed, and the offset counts within them.
        """
        if self._parser is not None and (self._is_large or self.root is None):
            return self._excerpt_with(cursor_cp, _encode(text))
        if self._parser is None or self.root is None or self._tree is None:
            return None
        start, new = self._locate(cursor_cp), _encode(text)
        point = (start.row, self._column(start))
        data = b"".join((self._data[: start.byte], new, self._data[start.byte :]))
        last_line = data.rfind(b"\n", 0, start.byte + len(new)) + 1
        end_point = (start.row + new.count(b"\n"), start.byte + len(new) - last_line)
        tree = self._tree.copy()
        tree.edit(start.byte, start.byte, start.byte + len(new), point, point, end_point)
        parsed = parse_within(self._parser, data, tree, PARSE_S, ends=self._ends)
        return (parsed.root_node, start.byte) if parsed is not None else None

    def _excerpt_with(self, cursor_cp: int, new: bytes) -> tuple[tree_sitter.Node, int] | None:
        """Parse the largest definition around the cursor that begins near, or just the lines near, with `new` inserted."""
        assert self._parser is not None
        cursor, top_cp = self.byte_at(cursor_cp), self.top_level_start(cursor_cp)
        definitions = self._definition_starts(cursor_cp) + ([top_cp] if top_cp is not None else [])
        near = max(0, cursor - EXCERPT_BYTES)
        start = next((at for at in map(self.byte_at, reversed(definitions)) if at >= near), self._data.rfind(b"\n", 0, near) + 1)
        start = start if start >= near - EXCERPT_BYTES else near  # one endless line: take its end
        farthest = cursor + EXCERPT_BYTES
        end = self._data.find(b"\n", cursor + EXCERPT_BYTES // 4, farthest)
        data = b"".join((self._data[start:cursor], new, self._data[cursor : end if end >= 0 else farthest]))
        parsed = parse_within(self._parser, data, None, PARSE_S, ends=self._ends)
        return (parsed.root_node, cursor - start) if parsed is not None else None

    def byte_at(self, cp: int) -> int:
        """Return the byte offset of a code point offset."""
        return self._locate(cp).byte

    def cp_at(self, byte: int) -> int:
        """Return the code point offset of a byte offset that lies between two characters."""
        if self._is_ascii:
            return byte
        near = self._mark
        if byte >= near.byte:
            return near.cp + len(self._data[near.byte : byte].decode())
        return near.cp - len(self._data[byte : near.byte].decode())

    def ancestors(self, cp: int) -> Iterator[tree_sitter.Node]:
        """Yield the nodes around a position, innermost first, the root last; nothing without a grammar."""
        root = self.settled_root
        if root is None:
            return
        byte = self.byte_at(cp)
        innermost = root.descendant_for_byte_range(max(byte - 1, 0), byte)
        if innermost is None:
            return
        # From the top: `parent` starts there each time, so that climbing would cost the square of the depth.
        path, node = [root], root
        while node != innermost and len(path) < MAX_DEPTH and (inner := node.child_with_descendant(innermost)) is not None:
            path.append(inner)
            node = inner
        yield from reversed(path)

    def top_level_start(self, cp: int) -> int | None:
        """Return where the top-level definition or statement around a position starts; None outside of all."""
        around = list(self.ancestors(cp))
        if len(around) < 2 or around[-2].is_error:
            return None
        return self.cp_at(around[-2].start_byte)

    def _definition_starts(self, cp: int) -> list[int]:
        """Return where the functions and types around a position start, in code points, innermost first."""
        kinds = self.language.functions + self.language.types
        return [self.cp_at(node.start_byte) for node in self.ancestors(cp) if node.type in kinds]

    def _locate(self, cp: int, near: _Mark | None = None) -> _Mark:
        """Return the position of a code point, walking from `near` or from the last position. Mutates: the latter."""
        near = near or self._mark
        if cp < near.cp // 2:
            near = _Mark()
        distance = cp - near.cp
        if self._is_ascii:
            byte = near.byte + distance
        elif distance >= 0:
            ahead = self._data[near.byte : near.byte + 4 * distance].decode(errors="ignore")
            byte = near.byte + len(ahead[:distance].encode())
        else:
            behind = self._data[max(0, near.byte + 4 * distance) : near.byte].decode(errors="ignore")
            byte = near.byte - len(behind[distance:].encode())
        if byte >= near.byte:
            row = near.row + self._data.count(b"\n", near.byte, byte)
        else:
            row = near.row - self._data.count(b"\n", byte, near.byte)
        self._mark = _Mark(cp, byte, row)
        return self._mark

    def _column(self, mark: _Mark) -> int:
        return mark.byte - (self._data.rfind(b"\n", 0, mark.byte) + 1)


def name_of(node: tree_sitter.Node, data: bytes) -> str:
    """Return the name that a definition gives, or ""; C declarators are looked through. data: the document as UTF-8."""
    inner = node.child_by_field_name("name")
    if inner is None:
        declarator = node.child_by_field_name("declarator")
        while declarator is not None:
            inner, declarator = declarator, declarator.child_by_field_name("declarator")
    return text_of(inner, data, _MAX_NAME_BYTES) if inner is not None else ""


def text_of(node: tree_sitter.Node, data: bytes, max_bytes: int | None = None) -> str:
    """Return the text of a node, or the start of it. data: the document as UTF-8; `node.text` would read it from its start."""
    end = node.end_byte if max_bytes is None else min(node.end_byte, node.start_byte + max_bytes)
    return data[node.start_byte : end].decode(errors="replace")


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "replace")
