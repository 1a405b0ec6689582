"""A pull that really breaks off: its process is killed, its disk fills up. The next pull goes on from there."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from completer.errors import DiskFull
from completer.models import store, transfer
from completer.models.pull import pull
from tests.unit.models.model_server import ModelServer
from tests.unit.models.test_pull import DATA, HUB_ONLY, HUB_PATH, server  # noqa: F401  # a fixture

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="forks, and mounts a file system")]


def _pull_and_die() -> None:
    """Pull until something came, then be killed as by the system."""

    def die(_: str, done_bytes: int, __: int) -> None:
        if done_bytes > 0:
            os.kill(os.getpid(), signal.SIGKILL)

    pull(HUB_ONLY, die)


def test_a_pull_whose_process_is_killed_is_continued_by_the_next_one(
    server: ModelServer,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server.files[HUB_PATH] = DATA
    monkeypatch.setattr(transfer, "_REPORT_EVERY_S", 0.0)
    process = multiprocessing.get_context("fork").Process(target=_pull_and_die)
    process.start()
    process.join(30)
    assert process.exitcode == -signal.SIGKILL
    assert not store.is_pulled("tiny")
    server.ranges.clear()
    assert pull(HUB_ONLY).read_bytes() == DATA
    [(_, wanted)] = server.ranges
    assert wanted not in (None, "bytes=0-")


@pytest.fixture
def small_disk(server: ModelServer, tmp_path: Path) -> Iterator[Path]:  # noqa: F811
    """A cache folder on a disk that holds half of the model."""
    folder = tmp_path / "cache"
    folder.mkdir(exist_ok=True)
    if (
        os.geteuid() != 0
        or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=160k", "tmpfs", str(folder)], check=False).returncode
    ):
        pytest.skip("only root can mount a small disk")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_disk_that_fills_up_during_a_pull_is_told_and_the_next_one_goes_on(
    server: ModelServer,  # noqa: F811
    small_disk: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server.files[HUB_PATH] = DATA
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1 << 40))  # another program was quicker
    with pytest.raises(DiskFull, match=r"no space in .*COMPLETER_CACHE"):
        pull(HUB_ONLY)
    assert not store.is_pulled("tiny")
    subprocess.run(["mount", "-o", "remount,size=2m", str(small_disk)], check=True)
    server.ranges.clear()
    assert pull(HUB_ONLY).read_bytes() == DATA
    [(_, wanted)] = server.ranges
    assert wanted not in (None, "bytes=0-")
