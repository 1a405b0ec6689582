"""A cache that cannot be read or written costs time, never the start. Root writes everywhere but below a regular file."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any

import pytest

from completer import assemble
from completer.config import Settings
from completer.engines import factory
from completer.engines.base import CostCurve
from completer.engines.measure import KeptCosts, MachineLimits
from completer.errors import CacheError
from completer.models import store
from completer.system import cachefile
from completer.system.cachefile import read_json, require_writable, write_cache
from completer.tokens.tokenizer import Tokenizer
from tests.tiny import tokenizer_text

COSTS = CostCurve({1: 20.0, 4: 40.0}, 2.0)
LIMITS = MachineLimits(40.0, 800.0)


@pytest.fixture
def unwritable(tmp_path: Path) -> Path:
    (tmp_path / "file").touch()
    return tmp_path / "file" / "cache"


@pytest.fixture
def read_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that refuses every change, also the removal of what is not there, as a read-only file system does."""

    def refuse(path: Any, *_: Any, **__: Any) -> None:
        raise OSError(30, os.strerror(30), str(path))

    folder = tmp_path / "read-only"
    folder.mkdir()
    for name in ("write_bytes", "write_text", "unlink"):
        monkeypatch.setattr(Path, name, refuse)
    return folder


def test_a_cache_file_is_replaced_as_a_whole_and_leaves_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "new" / "costs.json"
    assert write_cache(file, b"{}")
    assert write_cache(file, b'{"a": 1}')
    assert read_json(file) == {"a": 1}
    assert [path.name for path in file.parent.iterdir()] == ["costs.json"]


def test_a_write_that_breaks_off_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "costs.json"
    write_cache(file, b'{"old": 1}')

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    assert not write_cache(file, b'{"new": 1}')
    assert read_json(file) == {"old": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["costs.json"]


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe", b"[" * 100_000, b"null"])
def test_damaged_json_is_as_good_as_none(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "machine.json").write_bytes(content)
    assert read_json(tmp_path / "machine.json") == {}


def test_costs_and_vocabulary_of_a_read_only_folder_are_made_in_memory_with_one_line_in_the_log(
    read_only: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with (read_only / "tokenizer.json").open("w", encoding="utf-8") as file:
        file.write(tokenizer_text())
    with caplog.at_level(logging.WARNING):
        costs = KeptCosts(read_only / "costs.json", "phased")
        assert costs.read(lambda: COSTS) == COSTS
        costs.write(COSTS)  # as at the end
        assert Tokenizer.load_quickly(read_only / "tokenizer.json").encode("def")
    (line,) = caplog.messages
    assert str(read_only) in line
    assert [path.name for path in read_only.iterdir()] == ["tokenizer.json"]


def test_limits_of_the_machine_need_no_cache_folder(unwritable: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    monkeypatch.setenv("COMPLETER_CACHE", str(unwritable))
    monkeypatch.setattr(assemble, "measure_limits", lambda: LIMITS)
    assert assemble.machine_limits(Settings()) == LIMITS


@pytest.mark.parametrize(
    "entry", [None, 3, {}, {"memory_gb_s": "x", "product_gflop_s": 1}, {"memory_gb_s": 0, "product_gflop_s": 1}]
)
def test_damaged_limits_are_measured_and_written_anew(entry: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    monkeypatch.setenv("COMPLETER_CACHE", str(tmp_path))
    monkeypatch.setattr(assemble, "measure_limits", lambda: LIMITS)
    file = tmp_path / "machine.json"
    file.write_text(json.dumps({"2": entry, "8": {"memory_gb_s": 1.0, "product_gflop_s": 2.0}}))
    assert assemble.machine_limits(Settings(threads=2)) == LIMITS
    monkeypatch.setattr(assemble, "measure_limits", lambda: pytest.fail("measured again"))
    assert assemble.machine_limits(Settings(threads=2)) == LIMITS
    assert assemble.machine_limits(Settings(threads=8)) == MachineLimits(1.0, 2.0)


@pytest.mark.parametrize(
    "damage",
    [
        lambda entry: None,
        lambda entry: [],
        lambda entry: entry | {"measured": "yesterday"},
        lambda entry: entry | {"forward_ms": {}},
        lambda entry: entry | {"forward_ms": {"one": 3}},
        lambda entry: entry | {"forward_ms": {"1": float("nan")}},
        lambda entry: {key: value for key, value in entry.items() if key != "logit_noise"},
    ],
)
def test_damaged_costs_are_measured_and_written_anew(damage: Any, tmp_path: Path) -> None:
    file = tmp_path / "costs.json"
    KeptCosts(file, "phased").read(lambda: COSTS)
    file.write_text(json.dumps({key: damage(entry) for key, entry in read_json(file).items()}))
    other = CostCurve({1: 7.0}, 1.0)
    assert KeptCosts(file, "phased").read(lambda: other) == other
    assert KeptCosts(file, "phased").read(lambda: COSTS) == other


@pytest.mark.parametrize("name", ["encoder.json", "vocabulary.npz"])
@pytest.mark.parametrize("content", [b"", b"damaged", None])
def test_a_damaged_vocabulary_is_made_and_written_anew(name: str, content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(tokenizer_text(), encoding="utf-8")
    Tokenizer.load_quickly(path)
    whole = (tmp_path / name).read_bytes()
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(content)
    assert Tokenizer.load_quickly(path).encode("def") == Tokenizer.load(path).encode("def")
    assert (tmp_path / name).read_bytes() == whole


def test_what_must_be_written_names_the_folder_and_the_mend(unwritable: Path) -> None:
    with pytest.raises(CacheError, match=rf"{unwritable}.*set COMPLETER_CACHE") as raised:
        require_writable(unwritable)
    assert "\n" not in str(raised.value)


def test_a_model_is_not_converted_where_its_result_cannot_be_kept(
    unwritable: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMPLETER_CACHE", str(unwritable))
    model = tmp_path / "own.gguf"
    model.write_bytes(b"GGUF")
    monkeypatch.setattr(factory, "resolve", lambda _: ("phased", "1"))
    with pytest.raises(CacheError, match="set COMPLETER_CACHE"):
        factory.load(store.locate(str(model)), Settings())


@pytest.mark.parametrize("variable", ["cache", "./cache", "~nobody-of-this-name/cache"])
def test_a_cache_folder_that_depends_on_the_working_folder_is_refused(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPLETER_CACHE", variable)
    with pytest.raises(CacheError, match="no absolute path: set HOME, or COMPLETER_CACHE"):
        store.cache_dir()


def test_without_a_home_folder_the_cache_is_not_looked_for_in_the_workspace(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COMPLETER_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # as for a user whom the system does not know
    with pytest.raises(CacheError, match="set HOME"):
        store.cache_dir()


@pytest.fixture(autouse=True)
def nothing_said_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cachefile, "_reported", set())
