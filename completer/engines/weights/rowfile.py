"""Rows of a table in a file, read when they are looked up.

A memory map would do the same, but keeps each page that was ever touched, and its neighbours, in the process: the
embedding is a third of a small model, and an hour of typing would bring much of it in.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


class RowFile:
    """The rows of a two-dimensional array in a .npy file of raw 16 bits. For one thread at a time; stays open."""

    def __init__(self, path: Path) -> None:
        """Raises: OSError, ValueError when the file is not there or holds something else."""
        table = np.load(path, mmap_mode="r")
        if table.ndim != 2 or table.dtype != np.uint16:
            raise ValueError(f"{path} holds {table.dtype} of shape {table.shape}, not rows of 16 bits")
        self.n_rows, self.width = table.shape
        self._begin = table.offset
        self._file = path.open("rb", buffering=0)

    def __getitem__(self, ids: Sequence[int]) -> NDArray[np.uint16]:
        """Return rows `ids`: [n, width].  Raises: IndexError for an id that the table lacks; OSError when the file was cut."""
        rows = np.empty((len(ids), self.width), np.uint16)
        for row, id_ in zip(rows, ids, strict=True):
            if not 0 <= id_ < self.n_rows:
                raise IndexError(f"row {id_} of {self.n_rows}")
            self._file.seek(self._begin + id_ * row.nbytes)
            if self._file.readinto(row) != row.nbytes:
                raise OSError(f"{self._file.name} ends within row {id_}")
        return rows
