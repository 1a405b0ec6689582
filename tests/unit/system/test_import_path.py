"""The working folder leaves the import path, and what completer needs stays on it."""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path

import pytest

from completer.system.import_path import leave_out_working_folder

ROOT = Path(__file__).parents[3]
LIBRARY = sysconfig.get_path("stdlib")


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    return tmp_path


@pytest.mark.parametrize("entry", ["", ".", "{here}", "{here}/sub/.."])
def test_the_working_folder_leaves_the_path_however_it_is_written(
    entry: str, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (workspace / "sub").mkdir()
    monkeypatch.setattr(sys, "path", [entry.format(here=workspace), str(ROOT), LIBRARY])
    leave_out_working_folder()
    assert sys.path == [str(ROOT), LIBRARY]


def test_a_relative_entry_of_pythonpath_leaves_the_path_and_an_absolute_one_stays(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["src", "/opt/modules"]))
    monkeypatch.setattr(sys, "path", [str(workspace / "src"), "/opt/modules", str(workspace / "site-packages"), str(ROOT)])
    leave_out_working_folder()
    assert sys.path == ["/opt/modules", str(workspace / "site-packages"), str(ROOT)]


@pytest.mark.parametrize("folder", [str(ROOT), LIBRARY])
def test_the_package_and_the_standard_library_stay_on_the_path_when_started_in_them(
    folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", ["", LIBRARY])
    leave_out_working_folder()
    assert sys.path == [os.path.realpath(folder), LIBRARY]


def test_a_working_folder_that_was_deleted_is_no_error(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", ["", str(ROOT)])
    (workspace / "gone").mkdir()
    monkeypatch.chdir(workspace / "gone")
    (workspace / "gone").rmdir()
    leave_out_working_folder()
    assert sys.path == [str(ROOT)]
