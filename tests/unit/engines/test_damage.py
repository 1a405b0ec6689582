"""A damaged converted model is found and made anew, byte for byte, whatever happened to whichever file."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from completer.config import Settings
from completer.engines.base import Logits
from completer.engines.cpu import load as cpu_load
from completer.engines.cpu import ort
from completer.engines.cpu.load import condemn
from completer.engines.factory import Loaded, load
from completer.engines.weights import convert as conversion
from completer.engines.weights.background_check import BackgroundCheck
from completer.engines.weights.converted import FILES, Damage, find_damage, is_converted, is_due, withdraw
from completer.errors import DownloadCancelled, EngineUnavailable, HashMismatch, ModelError
from completer.models import store
from completer.models.store import ModelFiles
from tests import tiny

pytestmark = pytest.mark.slow

SETTINGS = Settings(engine="phased", threads=1, kv_memory_mb=8)
IDS = tiny.some_ids(120)


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def empty(path: Path) -> None:
    os.truncate(path, 0)


def delete(path: Path) -> None:
    path.unlink()


def make_unreadable(path: Path) -> None:
    """Put a folder in its place: for the superuser no file is unreadable."""
    path.unlink()
    path.mkdir()


def flip(path: Path, mask: int = 0xFF) -> None:
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 16] = bytes(byte ^ mask for byte in data[middle : middle + 16])
    path.write_bytes(data)


def flip_unseen(path: Path) -> None:
    """Change bytes as a failing disk does: neither size nor time of change tell."""
    status = path.stat()
    flip(path)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def hashes(folder: Path) -> dict[str, str]:
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in FILES}


def logits(loaded: Loaded) -> Logits:
    """Return rows after a prefill, so that every converted file has its part in them."""
    for _ in loaded.engine.prefill(0, IDS[:-8]):
        pass
    rows = loaded.engine.forward(0, IDS[-8:], 8).copy()
    loaded.engine.close()
    return rows


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> tuple[ModelFiles, Logits]:
    """A GGUF file, loaded once: its converted folder and the files of the first start are there."""
    root = tmp_path_factory.mktemp("fresh")
    tiny.save_gguf("qwen2", root / "model.gguf")
    files = ModelFiles("model", root / "model.gguf", "gguf", None, root / "converted")
    return files, logits(load(files, SETTINGS))


@pytest.fixture
def files(fresh: tuple[ModelFiles, Logits], tmp_path: Path) -> ModelFiles:
    shutil.copytree(fresh[0].converted, tmp_path / "converted", copy_function=shutil.copy2)
    return ModelFiles("model", fresh[0].path, "gguf", None, tmp_path / "converted")


@pytest.fixture
def conversions(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folders that are converted into, in order."""
    made: list[Path] = []
    convert = conversion._convert

    def count(source: Path, folder: Path, progress: Any) -> None:
        made.append(folder)
        convert(source, folder, progress)

    monkeypatch.setattr(conversion, "_convert", count)
    return made


def test_an_undamaged_model_is_loaded_as_it_is(
    files: ModelFiles, fresh: tuple[ModelFiles, Logits], conversions: list[Path]
) -> None:
    assert find_damage(files.converted) is None
    assert np.array_equal(logits(load(files, SETTINGS)), fresh[1])
    assert not conversions


DAMAGES = (cut, empty, delete, make_unreadable, flip)
MANIFESTED = (*FILES, "files.json")


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", MANIFESTED)
def test_every_damage_of_every_file_is_found(name: str, damage: Callable[[Path], None], files: ModelFiles) -> None:
    damage(files.converted / name)
    found = find_damage(files.converted)
    assert found is not None
    assert found.file == files.converted / name


@pytest.mark.parametrize(
    ("name", "damage"), [*((name, flip) for name in MANIFESTED), *(("prefill.safetensors", damage) for damage in DAMAGES[:-1])]
)
def test_whatever_is_damaged_is_converted_anew_at_the_next_load(
    name: str, damage: Callable[[Path], None], files: ModelFiles, fresh: tuple[ModelFiles, Logits], conversions: list[Path]
) -> None:
    damage(files.converted / name)
    loaded = load(files, SETTINGS)
    assert conversions == [files.converted]
    assert hashes(files.converted) == hashes(fresh[0].converted)
    assert np.array_equal(logits(loaded), fresh[1])
    assert loaded.health.message == ""


@pytest.mark.parametrize("damage", [cut, empty, delete, flip])
def test_what_the_first_start_left_is_made_anew_without_a_conversion(
    damage: Callable[[Path], None], files: ModelFiles, fresh: tuple[ModelFiles, Logits], conversions: list[Path]
) -> None:
    for name in ("encoder.json", "vocabulary.npz", "costs.json", "checked.json"):
        damage(files.converted / name)
    loaded = load(files, SETTINGS)
    assert loaded.tokenizer.encode("def print_all") == load(fresh[0], SETTINGS).tokenizer.encode("def print_all")
    assert np.array_equal(logits(loaded), fresh[1])
    assert not conversions


@pytest.mark.parametrize("name", ["spec.json", "tokenizer.json", "embed.npy", "decode.onnx"])
def test_an_error_at_load_finds_damage_that_size_and_time_hide(
    name: str, files: ModelFiles, fresh: tuple[ModelFiles, Logits], conversions: list[Path]
) -> None:
    path = files.converted / name
    status = path.stat()
    path.write_bytes(bytes(status.st_size))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    (files.converted / "vocabulary.npz").unlink()  # so that tokenizer.json is read
    assert is_converted(files.converted)
    assert np.array_equal(logits(load(files, SETTINGS)), fresh[1])
    assert conversions == [files.converted]


def test_an_error_at_load_that_no_file_causes_converts_nothing(
    files: ModelFiles, conversions: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no such kernel")

    monkeypatch.setattr(ort, "OnnxEngine", fail)
    with pytest.raises(EngineUnavailable, match=rf"{files.converted}.*no such kernel"):
        load(files, SETTINGS)
    assert not conversions


def test_a_second_failure_is_an_error_that_names_the_folder(
    files: ModelFiles, conversions: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no such kernel")

    flip_unseen(files.converted / "decode.onnx.data")
    monkeypatch.setattr(ort, "OnnxEngine", fail)
    with pytest.raises(EngineUnavailable, match=rf"{files.converted}.*no such kernel"):
        load(files, SETTINGS)
    assert conversions == [files.converted]


def test_a_folder_that_cannot_be_written_is_an_error_that_names_it(files: ModelFiles) -> None:
    shutil.rmtree(files.converted)
    files.converted.write_text("a file in its place")
    with pytest.raises(ModelError, match=rf"{files.converted}.*COMPLETER_CACHE"):
        load(files, SETTINGS)


def test_a_conversion_that_is_broken_off_leaves_nothing_that_counts(files: ModelFiles, fresh: tuple[ModelFiles, Logits]) -> None:
    flip(files.converted / "spec.json")

    def stop(what: str, done: int, _: int) -> None:
        if what == "rounding to 4 bits":
            raise DownloadCancelled("the editor was closed")

    with pytest.raises(DownloadCancelled):
        load(files, SETTINGS, stop)
    assert not is_converted(files.converted)
    assert np.array_equal(logits(load(files, SETTINGS)), fresh[1])


def test_a_damaged_pulled_file_is_found_before_it_is_converted(
    files: ModelFiles, conversions: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def mismatch(*_: object) -> None:
        raise HashMismatch("model.gguf is missing or damaged")

    pulled = ModelFiles("tiny", files.path, "gguf", Pulled("tiny"), files.converted)  # type: ignore[arg-type]
    monkeypatch.setattr(store, "verify", mismatch)
    flip(files.converted / "decode.onnx.data")
    with pytest.raises(HashMismatch):
        load(pulled, SETTINGS)
    assert not conversions


class Pulled:
    """As much of a manifest's entry as a load looks at."""

    prompt = ""

    def __init__(self, id_: str) -> None:
        self.id = id_


def test_a_prefill_engine_that_fails_in_the_background_is_told_and_replaced(
    files: ModelFiles, fresh: tuple[ModelFiles, Logits], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("libtorch_cpu.so: cannot open shared object file")

    monkeypatch.setattr(cpu_load, "_lean", fail)
    loaded = load(files, SETTINGS)
    rows = logits(loaded)
    assert "prefill engine" in loaded.health.message
    assert "libtorch_cpu" in loaded.health.message
    assert is_converted(files.converted)  # its files are not the reason
    cosine = (rows * fresh[1]).sum(-1) / np.linalg.norm(rows, axis=-1) / np.linalg.norm(fresh[1], axis=-1)
    assert np.median(cosine) > 0.9  # 4 bits in place of 8


def test_a_prefill_engine_that_fails_for_a_damaged_file_makes_the_next_load_convert(
    files: ModelFiles, fresh: tuple[ModelFiles, Logits], conversions: list[Path]
) -> None:
    path = files.converted / "prefill.safetensors"
    status = path.stat()
    path.write_bytes(bytes(status.st_size))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    loaded = load(files, SETTINGS)
    assert np.isfinite(logits(loaded)).all()
    assert "restart the language server" in loaded.health.message
    assert not conversions
    assert np.array_equal(logits(load(files, SETTINGS)), fresh[1])
    assert conversions == [files.converted]


def found_in_background(folder: Path, is_busy: Callable[[], bool] = lambda: False) -> Damage:
    """Return what a check in the background finds."""
    found: list[Damage] = []
    event = threading.Event()

    def on_damage(damage: Damage) -> None:
        found.append(damage)
        event.set()

    check = BackgroundCheck(folder, on_damage, is_busy, first_after_s=0.0)
    try:
        assert event.wait(10)
    finally:
        check.close()
    return found[0]


def age(folder: Path) -> None:
    """Let the last check of all hashes be two days ago."""
    kept = json.loads((folder / "checked.json").read_text(encoding="utf-8"))
    kept["checked_at"] -= 2 * 24 * 3600
    (folder / "checked.json").write_text(json.dumps(kept), encoding="utf-8")


@pytest.mark.parametrize("name", FILES)
def test_damage_that_nothing_shows_is_found_in_the_background(name: str, files: ModelFiles) -> None:
    flip_unseen(files.converted / name)
    age(files.converted)
    assert found_in_background(files.converted).file == files.converted / name


def test_damage_found_in_the_background_is_mended_by_a_restart(files: ModelFiles, fresh: tuple[ModelFiles, Logits]) -> None:
    name = "decode.onnx.data"
    flip_unseen(files.converted / name)
    age(files.converted)
    assert is_converted(files.converted)
    message = condemn(found_in_background(files.converted))
    assert name in message
    assert "restart" in message
    assert not is_converted(files.converted)
    assert np.array_equal(logits(load(files, SETTINGS)), fresh[1])
    assert hashes(files.converted) == hashes(fresh[0].converted)


def test_all_hashes_are_compared_once_a_day_and_after_a_write(files: ModelFiles) -> None:
    folder = files.converted
    assert not is_due(folder)
    age(folder)
    assert is_due(folder)
    assert find_damage(folder, every_hash=True) is None
    assert not is_due(folder)
    os.utime(folder / "embed.npy")
    assert is_due(folder)
    assert find_damage(folder) is None  # the bytes are the same
    assert not is_due(folder)


def test_a_background_check_waits_while_the_engine_works_and_stops_when_closed(files: ModelFiles) -> None:
    flip_unseen(files.converted / "spec.json")
    age(files.converted)
    asked = threading.Event()

    def is_busy() -> bool:
        asked.set()
        return True

    found: list[Damage] = []
    check = BackgroundCheck(files.converted, found.append, is_busy, first_after_s=0.0)
    assert asked.wait(10)
    started = time.monotonic()
    check.close()
    assert not check._thread.is_alive()
    assert time.monotonic() - started < 1
    assert not found


def test_a_folder_that_another_process_has_mended_meanwhile_is_not_withdrawn(files: ModelFiles) -> None:
    assert not withdraw(Damage(files.converted / "embed.npy", "damaged a moment ago"))
    assert is_converted(files.converted)
