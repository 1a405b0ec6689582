"""CPU seconds and memory of a server with all its children; and stopping it while another is measured."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass, field
from pathlib import Path

import psutil


@dataclass(slots=True)
class Meter:
    """Watches the process tree under `pid` (None: nothing can be seen, all figures stay 0).

    cpu_s: CPU seconds used between `resume` and `pause`. peak_mb: highest resident memory of the tree.
    """

    pid: int | None
    suspends: bool = False
    cpu_s: float = 0.0
    peak_mb: float = 0.0
    _begun: dict[int, float] = field(default_factory=dict)

    def resume(self) -> None:
        """Let the tree run (again) and count from here."""
        for process in self._tree():
            with contextlib.suppress(psutil.Error):
                if self.suspends:
                    process.resume()
                self._begun[process.pid] = _cpu_s(process)

    def pause(self) -> None:
        """Add up what was used since `resume`; with `suspends`, stop every process of the tree."""
        resident = 0.0
        for process in self._tree():
            with contextlib.suppress(psutil.Error):
                self.cpu_s += _cpu_s(process) - self._begun.get(process.pid, 0.0)
                resident += _peak_mb(process)
                if self.suspends:
                    process.suspend()
        self.peak_mb = max(self.peak_mb, resident)

    def release(self) -> None:
        """Wake every process, so that it can be ended."""
        for process in self._tree():
            with contextlib.suppress(psutil.Error):
                process.resume()

    def _tree(self) -> list[psutil.Process]:
        return _tree(self.pid)


def resident_mb(pid: int | None) -> float:
    """Return the resident memory of the process tree under `pid` now; 0 where it cannot be seen."""
    total = 0.0
    for process in _tree(pid):
        with contextlib.suppress(psutil.Error):
            total += process.memory_info().rss / 2**20
    return total


def _tree(pid: int | None) -> list[psutil.Process]:
    if pid is None:
        return []
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.Error:
        return []


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _peak_mb(process: psutil.Process) -> float:
    """Return the highest resident memory of one process so far; where only today's is known, that."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, ValueError):
            for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) / 1024
    return float(process.memory_info().rss) / 2**20
