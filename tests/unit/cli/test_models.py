"""`completer models verify`: what is wrong, what happens next, and an exit status that scripts see."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from completer.cli.models import app
from completer.engines.weights.converted import FILES, is_converted, seal
from completer.models import store


@pytest.fixture
def converted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The converted folder of a local GGUF file; it need hold no real model."""
    monkeypatch.setenv("COMPLETER_CACHE", str(tmp_path / "cache"))
    (tmp_path / "own.gguf").write_bytes(b"GGUF and so on")
    folder = store.locate(str(tmp_path / "own.gguf")).converted
    folder.mkdir(parents=True)
    for name in FILES:
        (folder / name).write_bytes(name.encode() * 1000)
    seal(folder)
    return folder


def verify(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["verify", *arguments], env={"COLUMNS": "500"})


def test_a_conversion_is_verified_with_all_others_and_by_its_model(converted: Path, tmp_path: Path) -> None:
    for arguments in ((), (str(tmp_path / "own.gguf"),)):
        result = verify(*arguments)
        assert result.exit_code == 0
        assert f"{converted}: every SHA-256 is right" in result.stdout


@pytest.mark.parametrize("by_path", [True, False])
def test_a_damaged_conversion_is_named_and_no_longer_counts(converted: Path, tmp_path: Path, by_path: bool) -> None:
    (converted / "decode.onnx.data").write_bytes(b"other bytes")
    result = verify(*[str(tmp_path / "own.gguf")] * by_path)
    assert result.exit_code == 1
    assert f"{converted / 'decode.onnx.data'} is 11 bytes long instead of" in result.stdout
    assert "the next start converts the model anew" in result.stdout
    (converted / "decode.onnx.data").write_bytes(b"decode.onnx.data" * 1000)
    assert not is_converted(converted)


def test_nothing_on_this_disk_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPLETER_CACHE", str(tmp_path / "cache"))
    result = verify()
    assert result.exit_code == 0
    assert "nothing to verify" in result.stdout
