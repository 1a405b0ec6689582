"""One thread for each performance core that may be used. Every system but Linux is only described to the code here."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import psutil
import pytest

from completer.config import Settings
from completer.engines.cpu.load import physical_threads
from completer.system import cores
from completer.system.cores import count_linux_cores, performance_cores


def describe(devices: Path, siblings: dict[int, str], **values: dict[int, int]) -> Path:
    """Write a folder like /sys/devices: each CPU's hyper-threads, and files of one number each ("cpufreq__…": a folder)."""
    for cpu, those in siblings.items():
        write(devices / f"system/cpu/cpu{cpu}/topology/thread_siblings_list", f"{those}\n")
    for name, by_cpu in values.items():
        for cpu, value in by_cpu.items():
            write(devices / f"system/cpu/cpu{cpu}" / name.replace("__", "/"), f"{value}\n")
    return devices


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="ascii")


def test_hyper_threads_of_a_core_count_once(tmp_path: Path) -> None:
    describe(tmp_path, {0: "0,4", 1: "1,5", 2: "2,6", 3: "3,7", 4: "0,4", 5: "1,5", 6: "2,6", 7: "3,7"})
    assert count_linux_cores(range(8), tmp_path) == 4
    assert count_linux_cores({0, 4, 5}, tmp_path) == 2


def test_arm_counts_the_big_cores_by_their_capacity(tmp_path: Path) -> None:
    alone = {cpu: str(cpu) for cpu in range(8)}
    capacity = dict.fromkeys(range(4), 290) | {4: 900, 5: 900, 6: 900, 7: 1024}
    describe(tmp_path, alone, cpu_capacity=capacity)
    assert count_linux_cores(range(8), tmp_path) == 4
    assert count_linux_cores(range(4), tmp_path) == 4  # only little ones may be used


def test_cores_that_differ_in_turbo_are_all_of_performance(tmp_path: Path) -> None:
    alone = {cpu: str(cpu) for cpu in range(8)}
    fastest = {0: 5_800_000, 1: 5_800_000, 2: 5_500_000, 3: 5_500_000} | dict.fromkeys(range(4, 8), 4300000)
    describe(tmp_path, alone, cpufreq__cpuinfo_max_freq=fastest)
    assert count_linux_cores(range(8), tmp_path) == 4


def test_intel_names_its_performance_cores(tmp_path: Path) -> None:
    describe(tmp_path, {0: "0-1", 1: "0-1", 2: "2-3", 3: "2-3", 4: "4", 5: "5"})
    write(tmp_path / "cpu_core/cpus", "0-3\n")
    assert count_linux_cores(range(6), tmp_path) == 2
    assert count_linux_cores({4, 5}, tmp_path) == 2


@pytest.mark.parametrize("damage", [None, "", "x-y", "é"])
def test_without_a_description_every_cpu_is_a_core(damage: str | None, tmp_path: Path) -> None:
    if damage is not None:
        file = tmp_path / "system/cpu/cpu0/topology/thread_siblings_list"
        file.parent.mkdir(parents=True)
        file.write_text(damage, encoding="utf-8")
    assert count_linux_cores(range(3), tmp_path) == 3


@pytest.mark.skipif(sys.platform != "linux", reason="CPUs are chosen as Linux does")
def test_a_process_that_may_use_one_cpu_gets_one_thread() -> None:
    if sys.platform == "linux":  # for mypy
        before = os.sched_getaffinity(0)
        try:
            os.sched_setaffinity(0, {min(before)})
            assert performance_cores() == 1 == physical_threads(Settings())
        finally:
            os.sched_setaffinity(0, before)


@pytest.fixture
def without_affinity(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A machine of 10 physical cores whose Python lacks what only Linux has."""
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(psutil, "cpu_count", lambda logical=True: 20 if logical else 10)
    return monkeypatch


@pytest.mark.parametrize(("told", "threads"), [(6, 6), (0, 10)])
def test_macos_tells_the_performance_cores_of_apple_silicon(
    told: int, threads: int, without_affinity: pytest.MonkeyPatch
) -> None:
    without_affinity.setattr(sys, "platform", "darwin")
    without_affinity.setattr(cores, "_sysctl", lambda name: told)
    assert performance_cores() == threads == physical_threads(Settings())


@pytest.mark.parametrize(("affinity", "threads"), [(range(20), 10), (range(4), 4), ((), 10)])
def test_windows_counts_physical_cores_within_the_affinity(
    affinity: range, threads: int, without_affinity: pytest.MonkeyPatch
) -> None:
    without_affinity.setattr(sys, "platform", "win32")
    without_affinity.setattr(psutil.Process, "cpu_affinity", lambda self: list(affinity), raising=False)
    assert performance_cores() == threads == physical_threads(Settings())


def test_other_systems_count_physical_cores_or_else_cpus(without_affinity: pytest.MonkeyPatch) -> None:
    without_affinity.setattr(sys, "platform", "freebsd14")
    assert performance_cores() == 10
    without_affinity.setattr(psutil, "cpu_count", lambda logical=True: None)
    without_affinity.setattr(os, "cpu_count", lambda: None)
    assert performance_cores() == 1


def test_a_kernel_without_that_number_has_no_levels() -> None:
    assert cores._sysctl(b"hw.no.such.number") == 0


def test_the_setting_wins() -> None:
    assert physical_threads(Settings(threads=3)) == 3
