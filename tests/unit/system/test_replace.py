"""Replacing what another program has open. Windows' refusals are imitated here: these tests did not run on Windows."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from completer.errors import CacheError
from completer.models import store
from completer.models.store import Receipt
from completer.system import replace
from completer.system.cachefile import read_json, write_cache
from completer.system.replace import remove_folder, replace_file, replace_folder

Hold = Callable[[int], list[object]]


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(replace, "PATIENCE_S", 0.1)


@pytest.fixture
def hold(monkeypatch: pytest.MonkeyPatch) -> Hold:
    """`hold(n)` lets the next n calls of os.replace fail as Windows does, and returns the list of calls."""
    real = os.replace

    def held(n_refused: int) -> list[object]:
        calls: list[object] = []

        def refuse(source: Path, target: Path) -> None:
            calls.append(target)
            if len(calls) <= n_refused:
                raise PermissionError(13, "Access is denied", str(source))
            real(source, target)

        monkeypatch.setattr(os, "replace", refuse)
        return calls

    return held


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    fresh, target = tmp_path / "a b.new", tmp_path / "ü"
    fresh.write_text("new")
    target.write_text("old")
    return fresh, target


@pytest.mark.usefixtures("windows")
def test_a_file_that_is_open_for_a_moment_is_replaced(files: tuple[Path, Path], hold: Hold) -> None:
    calls = hold(2)
    replace_file(*files)
    assert files[1].read_text() == "new" and len(calls) == 3


@pytest.mark.usefixtures("windows")
def test_a_file_that_stays_open_is_an_error_that_tells_it(files: tuple[Path, Path], hold: Hold) -> None:
    hold(1_000)
    with pytest.raises(PermissionError, match="another program has it open"):
        replace_file(*files, patience_s=0.05)
    assert files[1].read_text() == "old"


def test_elsewhere_missing_rights_are_told_at_once(files: tuple[Path, Path], hold: Hold) -> None:
    calls = hold(1_000)
    with pytest.raises(PermissionError, match="Access is denied"):
        replace_file(*files)
    assert len(calls) == 1


@pytest.mark.usefixtures("windows")
def test_a_cache_file_that_is_open_for_a_moment_is_written(tmp_path: Path, hold: Hold) -> None:
    hold(2)
    assert write_cache(tmp_path / "costs.json", b'{"a": 1}')
    assert read_json(tmp_path / "costs.json") == {"a": 1}


@pytest.mark.usefixtures("windows")
def test_a_folder_in_use_names_the_mend_and_keeps_the_fresh_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fresh, target = tmp_path / "model.partial", tmp_path / "model"
    for folder in (fresh, target):
        folder.mkdir()
        (folder / "mapped").touch()

    def refuse(folder: Path, ignore_errors: bool = False) -> None:
        if not ignore_errors:
            raise PermissionError(13, "The process cannot access the file", str(folder / "mapped"))

    monkeypatch.setattr(shutil, "rmtree", refuse)
    with pytest.raises(CacheError, match=r"another program has it open.*close the editors"):
        replace_folder(fresh, target)
    assert (fresh / "mapped").exists() and (target / "mapped").exists()


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    fresh, target = tmp_path / "fresh", tmp_path / "target"
    for folder, name in ((fresh, "new"), (target, "old")):
        folder.mkdir()
        (folder / name).touch()
    replace_folder(fresh, target)
    assert [path.name for path in target.iterdir()] == ["new"] and not fresh.exists()
    remove_folder(target)
    remove_folder(target)  # is gone
    assert not target.exists()


@pytest.mark.usefixtures("windows")
def test_a_model_in_use_is_not_said_to_be_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPLETER_CACHE", str(tmp_path))
    model_id = "qwen2.5-coder-0.5b"
    files = store.partial_dir(model_id) / "hub"
    files.mkdir(parents=True)
    store.place(model_id, files, Receipt("hub", "1", {}))

    def refuse(folder: Path, ignore_errors: bool = False) -> None:
        if not ignore_errors:
            raise PermissionError(13, "The process cannot access the file", str(folder))

    monkeypatch.setattr(shutil, "rmtree", refuse)
    with pytest.raises(CacheError, match="close the editors"):
        store.remove(model_id)
