"""How many threads compute fastest here: one for each performance core that this process may run on."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterable
from pathlib import Path

import psutil

DEVICES = Path("/sys/devices")
"""Where Linux describes its cores."""
_PERFORMANCE = 0.8
"""Share of the fastest core's speed from which a core counts as one of performance: turbo differs by less between those,
and efficiency cores reach about three quarters."""


def performance_cores() -> int:
    """Return the number of threads for computing, at least 1.

    Counted are the cores that the process may run on, each once however many hyper-threads it has. Efficiency cores are
    left out where the system names them (not on Windows): a product waits for the slowest of its threads.
    """
    if sys.platform == "linux":
        return max(1, count_linux_cores(os.sched_getaffinity(0)))
    if sys.platform == "darwin":
        return _sysctl(b"hw.perflevel0.physicalcpu") or _physical()  # Intel Macs have no levels
    if sys.platform == "win32":
        return min(_physical(), len(psutil.Process().cpu_affinity() or ()) or _physical())
    return _physical()


def count_linux_cores(allowed: Iterable[int], devices: Path = DEVICES) -> int:
    """Return the number of distinct performance cores among the `allowed` CPUs, by what `devices` describes.

    A CPU of which nothing is known there counts as a core like the others.
    """
    cpus = set(allowed)
    hybrid = cpus & _cpu_list(devices / "cpu_core" / "cpus")  # Intel's hybrid processors name them
    if not hybrid:
        speeds = {cpu: _speed(devices / "system" / "cpu" / f"cpu{cpu}") for cpu in cpus}
        hybrid = {cpu for cpu in cpus if speeds[cpu] >= _PERFORMANCE * max(speeds.values())}
    return len({_siblings(cpu, devices) for cpu in hybrid})


def _siblings(cpu: int, devices: Path) -> frozenset[int]:
    """Return the CPUs that share a core with `cpu`, itself among them."""
    return frozenset(_cpu_list(devices / "system" / "cpu" / f"cpu{cpu}" / "topology" / "thread_siblings_list") | {cpu})


def _speed(folder: Path) -> int:
    """Return how fast a CPU is, in a unit of its machine; 0 where that is unknown."""
    for name in ("cpu_capacity", "cpufreq/cpuinfo_max_freq"):
        try:
            return int((folder / name).read_text(encoding="ascii"))
        except (OSError, ValueError):
            continue
    return 0


def _cpu_list(file: Path) -> set[int]:
    """Return the numbers in the kernel's form "0-3,8"; none where the file is missing or holds something else."""
    try:
        spans = [part.partition("-") for part in file.read_text(encoding="ascii").strip().split(",")]
        return {cpu for first, _, last in spans for cpu in range(int(first), int(last or first) + 1)}
    except (OSError, ValueError):
        return set()


def _sysctl(name: bytes) -> int:
    """Return a number of macOS's kernel; 0 where it has none of that name."""
    value = ctypes.c_int32(0)
    size = ctypes.c_size_t(ctypes.sizeof(value))
    try:
        failed = ctypes.CDLL(None).sysctlbyname(name, ctypes.byref(value), ctypes.byref(size), None, ctypes.c_size_t(0))
    except (OSError, AttributeError):
        return 0
    return 0 if failed else max(0, value.value)


def _physical() -> int:
    return psutil.cpu_count(logical=False) or os.cpu_count() or 1
