"""The screen that Neovim draws, cell by cell, from the events of its UI protocol (`:help ui-linegrid`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

GHOST_COLOUR = 0x8A91A6
"""Foreground of ghost text in these tests, by which it is told from other text."""


class Cell(NamedTuple):
    text: str
    highlight: int


@dataclass(frozen=True, slots=True)
class Frame:
    """What the user saw from one flush to the next. at_s: on the clock of `time.perf_counter`."""

    at_s: float
    rows: tuple[str, ...]
    ghost_rows: tuple[str, ...]

    @property
    def ghost(self) -> str:
        """The ghost text, its lines joined by line breaks; empty without any."""
        return "\n".join(row for row in self.ghost_rows if row)

    def shows(self, text: str) -> bool:
        """Whether some row holds `text`, ghost or not."""
        return any(text in row for row in self.rows)


@dataclass(slots=True)
class Screen:
    """Mutable: `apply` takes the events of one redraw."""

    cells: list[list[Cell]] = field(default_factory=list)
    highlights: dict[int, dict[str, Any]] = field(default_factory=dict)
    foreground: int = 0xFFFFFF
    background: int = 0x000000
    cursor: tuple[int, int] = (0, 0)

    def apply(self, events: Sequence[Sequence[Any]]) -> bool:
        """Take the batches of one `redraw` notification; return whether the picture is whole now (a flush)."""
        flushed = False
        for name, *calls in events:
            flushed = flushed or name == "flush"
            if handler := getattr(self, f"_{name}", None):
                for arguments in calls:
                    handler(*arguments)
        return flushed

    def frame(self, at_s: float) -> Frame:
        rows = tuple("".join(cell.text for cell in row).rstrip() for row in self.cells)
        ghosts = tuple("".join(cell.text for cell in row if self._is_ghost(cell)).rstrip() for row in self.cells)
        return Frame(at_s, rows, ghosts)

    def _is_ghost(self, cell: Cell) -> bool:
        return self.highlights.get(cell.highlight, {}).get("foreground") == GHOST_COLOUR

    # Events, by their names in the protocol.

    def _grid_resize(self, _grid: int, width: int, height: int) -> None:
        self.cells = [[Cell(" ", 0)] * width for _ in range(height)]

    def _grid_clear(self, _grid: int) -> None:
        self.cells = [[Cell(" ", 0)] * len(row) for row in self.cells]

    def _grid_line(self, _grid: int, row: int, column: int, cells: Sequence[Sequence[Any]], *_wrap: Any) -> None:
        highlight = 0
        for text, *rest in cells:
            highlight = rest[0] if rest else highlight
            n_times = rest[1] if len(rest) > 1 else 1
            self.cells[row][column : column + n_times] = [Cell(text, highlight)] * n_times
            column += n_times

    def _grid_scroll(self, _grid: int, top: int, bottom: int, left: int, right: int, n_rows: int, _n_columns: int) -> None:
        targets = range(top, bottom - n_rows) if n_rows > 0 else range(bottom - 1, top - n_rows - 1, -1)
        for row in targets:
            self.cells[row][left:right] = self.cells[row + n_rows][left:right]

    def _grid_cursor_goto(self, _grid: int, row: int, column: int) -> None:
        self.cursor = (row, column)

    def _hl_attr_define(self, highlight: int, rgb: dict[str, Any], *_rest: Any) -> None:
        self.highlights[highlight] = rgb

    def _default_colors_set(self, foreground: int, background: int, *_rest: Any) -> None:
        self.foreground, self.background = foreground, background
