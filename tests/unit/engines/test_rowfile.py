"""Rows read from a file are those of the array in it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from completer.engines.weights.rowfile import RowFile


def saved(folder: Path, table: np.ndarray) -> Path:
    np.save(folder / "table.npy", table)
    return folder / "table.npy"


def test_rows_are_those_of_the_table_in_the_order_asked_for(tmp_path: Path) -> None:
    table = np.random.default_rng(1).integers(0, 2**16, (50, 7), np.uint16)
    ids = [49, 0, 7, 7, 3]
    assert np.array_equal(RowFile(saved(tmp_path, table))[ids], table[ids])
    assert RowFile(tmp_path / "table.npy")[[]].shape == (0, 7)


@pytest.mark.parametrize("id_", [-1, 50])
def test_a_row_that_is_not_there_is_an_error(tmp_path: Path, id_: int) -> None:
    table = RowFile(saved(tmp_path, np.zeros((50, 7), np.uint16)))
    with pytest.raises(IndexError, match="of 50"):
        table[[id_]]


@pytest.mark.parametrize("table", [np.zeros((50, 7), np.float32), np.zeros(50, np.uint16)])
def test_another_file_is_refused_by_name(tmp_path: Path, table: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"table\.npy holds"):
        RowFile(saved(tmp_path, table))


def test_a_file_that_is_cut_while_it_is_open_gives_no_made_up_row(tmp_path: Path) -> None:
    path = saved(tmp_path, np.ones((50, 7), np.uint16))
    table = RowFile(path)
    with path.open("rb+") as file:
        file.truncate(path.stat().st_size - 3)
    assert table[[48]].tolist() == [[1] * 7]
    with pytest.raises(OSError, match="row 49"):
        table[[49]]
