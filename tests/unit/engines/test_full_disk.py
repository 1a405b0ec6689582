"""A disk that is really full, at each point of a conversion: told as that, nothing is left, and free space mends it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from completer.config import Settings
from completer.engines.factory import load
from completer.errors import DiskFull
from completer.models.store import ModelFiles
from completer.system.cachefile import write_cache
from tests import tiny

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="only root can mount a small disk"),
]

SETTINGS = Settings(engine="phased", threads=1, kv_memory_mb=8)
ROOMY_KB = 64_000


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """The mount point of a disk; see `resize`."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={ROOMY_KB}k", "tmpfs", str(folder)], check=False)
    if done.returncode != 0:
        pytest.skip("no disk can be mounted here")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def resize(disk: Path, kilobytes: int) -> None:
    subprocess.run(["mount", "-o", f"remount,size={kilobytes}k", str(disk)], check=True)


def test_a_disk_that_is_full_at_any_point_of_a_conversion_is_told_and_free_space_mends_it(disk: Path, tmp_path: Path) -> None:
    tiny.save_gguf("qwen2", tmp_path / "model.gguf")
    whole = ModelFiles("model", tmp_path / "model.gguf", "gguf", None, tmp_path / "whole")
    load(whole, SETTINGS).engine.close()
    sizes = sorted({path.stat().st_size for path in whole.converted.iterdir()})
    in_all = sum(path.stat().st_size for path in whole.converted.iterdir()) // 1024
    told = []
    for kilobytes in {8, sizes[-1] // 1024, *range(in_all // 8, in_all - 8, in_all // 8)}:
        files = ModelFiles("model", whole.path, "gguf", None, disk / "converted")
        resize(disk, kilobytes)
        with pytest.raises(DiskFull, match=f"no space in {disk}.*COMPLETER_CACHE"):
            load(files, SETTINGS)
        assert not any(path.is_dir() for path in disk.iterdir())  # what it had written would keep the disk full
        told.append(kilobytes)
    assert len(told) >= 8
    resize(disk, ROOMY_KB)
    mended, first = load(files, SETTINGS), load(whole, SETTINGS)
    rows = [loaded.engine.forward(0, tiny.some_ids(20), 4).copy() for loaded in (mended, first)]
    for loaded in (mended, first):
        loaded.engine.close()
    assert np.array_equal(*rows)


def test_what_only_saves_time_is_not_kept_on_a_full_disk_and_leaves_no_half_file(disk: Path) -> None:
    resize(disk, 8)
    (disk / "filler").write_bytes(b"x" * 4096)
    assert not write_cache(disk / "costs.json", b"x" * 20_000)
    assert [path.name for path in disk.iterdir()] == ["filler"]
    resize(disk, ROOMY_KB)
    assert write_cache(disk / "costs.json", b"x" * 20_000)
