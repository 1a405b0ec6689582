"""A notebook as one document: its code cells, one below the other, so that earlier cells are prefix and later ones suffix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from completer.document.mirror import Document, smallest_edit
from completer.types import Edit, Snapshot

_BETWEEN_CELLS = "\n\n"


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a notebook: its text is the document `uri`. is_code: False for prose, which is left out."""

    uri: str
    is_code: bool


class Notebook:
    """The order of a notebook's cells and what they are when joined. The cells' texts belong to their documents.

    version counts changes of any cell, because a snapshot shows all of them.
    """

    def __init__(self, uri: str, cells: Sequence[Cell]) -> None:
        self.uri = uri
        self.cells = list(cells)
        self.version = 0

    def replace_cells(self, start: int, n_deleted: int, cells: Sequence[Cell]) -> None:
        """Put `cells` in the place of `n_deleted` cells from index `start` on. Mutates: the order."""
        self.cells[start : start + n_deleted] = cells

    def set_kinds(self, cells: Sequence[Cell]) -> None:
        """Take over whether these cells are code now. Mutates: the order's entries."""
        kinds = {cell.uri: cell for cell in cells}
        self.cells = [kinds.get(cell.uri, cell) for cell in self.cells]

    def holds(self, cell_uri: str) -> bool:
        """Whether this is a code cell of the notebook."""
        return any(cell.is_code and cell.uri == cell_uri for cell in self.cells)

    def text(self, documents: dict[str, Document]) -> str:
        """Return all code cells joined."""
        return _BETWEEN_CELLS.join(document.text for document in self._code(documents))

    def offset_cp(self, cell_uri: str, documents: dict[str, Document]) -> int:
        """Return where a code cell's text begins in the joined text."""
        offset = 0
        for document in self._code(documents):
            if document.uri == cell_uri:
                break
            offset += len(document.text) + len(_BETWEEN_CELLS)
        return offset

    def snapshot(self, cell: Document, cursor_cp: int, documents: dict[str, Document]) -> Snapshot:
        """Return the whole notebook with the cursor at an offset within `cell`."""
        cursor_cp += self.offset_cp(cell.uri, documents)
        return Snapshot(self.uri, self.version, cell.language_id, self.text(documents), cursor_cp)

    def edit_since(self, old_text: str, documents: dict[str, Document]) -> Edit:
        """Return the one edit that turns `old_text` into the joined text of now."""
        return smallest_edit(old_text, self.text(documents))

    def _code(self, documents: dict[str, Document]) -> list[Document]:
        return [documents[cell.uri] for cell in self.cells if cell.is_code and cell.uri in documents]
