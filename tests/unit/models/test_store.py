"""The store: what is there is whole, and what is not says how to get it."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from completer.errors import DownloadError, HashMismatch, ModelNotPulled, UnknownModel, UnsupportedModel
from completer.models import manifest, store
from completer.models.manifest import GGUFFile, HubSource, ModelEntry

DATA = b"GGUF" + bytes(range(256)) * 16
ENTRY = ModelEntry(
    "tiny", "t", "llama", "qwen", "MIT", 1, "Q4_K_M", "cpu", HubSource("a/b", "main"),
    GGUFFile("tiny.gguf", len(DATA), hashlib.sha256(DATA).hexdigest()),
)  # fmt: skip


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COMPLETER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(store, "load_manifest", lambda: (ENTRY,))
    monkeypatch.setattr(store, "find", lambda model_id: manifest.find(model_id, (ENTRY,)))
    return tmp_path / "cache"


def _put_in_place(data: bytes = DATA) -> Path:
    files = store.partial_dir("tiny") / "hub"
    files.mkdir(parents=True)
    (files / "tiny.gguf").write_bytes(data)
    record = store.FileRecord(len(data), hashlib.sha256(data).hexdigest())
    store.place("tiny", files, store.Receipt("hub", "main", {"tiny.gguf": record}))
    return store.model_dir("tiny") / "files" / "tiny.gguf"


def test_a_model_that_is_not_there_says_how_to_pull_it() -> None:
    with pytest.raises(ModelNotPulled, match="completer models pull tiny"):
        store.locate("tiny")


def test_a_pulled_model_is_found_by_its_id() -> None:
    path = _put_in_place()
    found = store.locate("tiny")
    assert (found.name, found.path, found.format, found.entry) == ("tiny", path, "gguf", ENTRY)
    assert found.converted == store.model_dir("tiny") / "converted"


def test_placing_leaves_nothing_of_the_pull_behind() -> None:
    _put_in_place()
    assert not store.partial_dir("tiny").exists()


def test_a_gguf_file_is_found_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "own.gguf"
    path.write_bytes(DATA)
    found = store.locate(str(path))
    assert (found.name, found.path, found.format, found.entry) == ("own", path, "gguf", None)


def test_another_file_under_the_same_path_gets_another_conversion_folder(tmp_path: Path) -> None:
    path = tmp_path / "own.gguf"
    path.write_bytes(DATA)
    before = store.locate(str(path)).converted
    path.write_bytes(DATA + b"more")
    assert store.locate(str(path)).converted != before


def test_a_hugging_face_folder_is_found_by_its_path(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    assert store.locate(str(tmp_path)).format == "hf"


def _folder(path: Path, weights: bytes) -> Path:
    path.mkdir(exist_ok=True)
    (path / "config.json").write_text("{}")
    (path / "model.safetensors").write_bytes(weights)
    for file in path.iterdir():
        os.utime(file, ns=(10**18, 10**18))
    return path


@pytest.mark.parametrize("place", [0, 500_000, 999_999])
def test_a_folder_with_other_weights_of_the_same_size_and_time_has_a_conversion_of_its_own(tmp_path: Path, place: int) -> None:
    weights = bytearray(1_000_000)
    before = store.locate(str(_folder(tmp_path / "model", bytes(weights)))).converted
    assert store.locate(str(_folder(tmp_path / "model", bytes(weights)))).converted == before
    weights[place] = 1
    assert store.locate(str(_folder(tmp_path / "model", bytes(weights)))).converted != before


def test_a_folder_with_more_weights_or_a_later_time_has_a_conversion_of_its_own(tmp_path: Path) -> None:
    found = [store.locate(str(_folder(tmp_path / "model", bytes(n)))).converted for n in (100, 200, 200)]
    assert found[0] != found[1] == found[2]
    os.utime(tmp_path / "model" / "model.safetensors", ns=(10**18, 10**18 + 1))
    assert store.locate(str(tmp_path / "model")).converted != found[2]


def test_an_id_wins_over_a_folder_of_the_same_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tiny").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelNotPulled):
        store.locate("tiny")


def test_a_file_that_is_not_gguf_is_refused(tmp_path: Path) -> None:
    (tmp_path / "page.gguf").write_text("<html>")
    with pytest.raises(UnsupportedModel, match="neither a GGUF file nor"):
        store.locate(str(tmp_path / "page.gguf"))


def test_a_path_that_does_not_exist_is_told_as_a_path() -> None:
    with pytest.raises(UnknownModel, match="no such file"):
        store.locate("/nowhere/m.gguf")


def test_a_word_that_is_neither_id_nor_path_names_the_nearest_id() -> None:
    with pytest.raises(UnknownModel, match="did you mean tiny"):
        store.locate("tinny")


def test_verify_accepts_the_right_bytes_and_reports_all_of_them() -> None:
    _put_in_place()
    seen: list[tuple[str, int, int]] = []
    store.verify("tiny", lambda label, done, total: seen.append((label, done, total)))
    assert seen[-1] == ("verifying tiny", len(DATA), len(DATA))


def test_verify_finds_a_changed_byte() -> None:
    path = _put_in_place()
    path.write_bytes(DATA[:-1] + b"?")
    assert store.is_pulled("tiny")
    with pytest.raises(HashMismatch, match="completer models pull tiny"):
        store.verify("tiny")
    assert not store.is_pulled("tiny")  # so that the next start, or the command named, pulls it again


def test_verify_trusts_the_manifest_and_not_what_was_written_down() -> None:
    _put_in_place(b"GGUF other bytes")
    with pytest.raises(HashMismatch):
        store.verify("tiny")


def test_a_truncated_file_does_not_count_as_pulled() -> None:
    path = _put_in_place()
    path.write_bytes(DATA[:100])
    assert not store.is_pulled("tiny")


def test_remove_frees_the_files_their_conversions_and_a_broken_pull() -> None:
    _put_in_place()
    converted = store.locate("tiny").converted
    converted.mkdir()
    (converted / "weights").write_bytes(bytes(1000))
    store.partial_dir("tiny").mkdir()
    (store.partial_dir("tiny") / "rest").write_bytes(bytes(10))
    used = store.disk_usage_bytes("tiny")
    assert used > len(DATA) + 1010
    assert store.remove("tiny") == used
    assert store.disk_usage_bytes("tiny") == 0
    assert not store.is_pulled("tiny")


def test_remove_refuses_while_a_pull_holds_the_lock() -> None:
    path = _put_in_place()
    with store.lock_of("tiny"), pytest.raises(DownloadError, match="another process"):
        store.remove("tiny")
    assert path.exists()


def test_removing_what_is_not_there_frees_nothing() -> None:
    assert store.remove("tiny") == 0


def test_the_cache_folder_follows_the_environment(cache: Path) -> None:
    assert store.models_dir() == cache / "models"
