"""The user's settings file, and the command line over it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from completer.cli.main import settings_of
from completer.config import Settings
from completer.errors import ConfigError
from completer.system import user_settings
from completer.system.user_settings import read_user_settings


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "my settings.toml"
    path.touch(mode=0o600)
    monkeypatch.setattr(user_settings, "user_settings_path", lambda: path)
    return path


def test_no_file_is_no_settings_and_no_problem(file: Path) -> None:
    file.unlink()
    assert read_user_settings() == ({}, [])


def test_a_wrong_setting_is_told_with_the_file_and_the_others_hold(file: Path) -> None:
    file.write_text('endpoints = ["http://127.0.0.1:9"]\nbudgetms = 5\nthreads = "two"\nkv_memory_mb = -1\n', encoding="utf-8")
    values, problems = read_user_settings()
    assert values == {"endpoints": ("http://127.0.0.1:9",)}
    assert [problem.startswith(str(file)) for problem in problems] == [True] * 3
    assert ["'budget_ms'" in problems[0], "'threads'" in problems[1], "0 to 1048576" in problems[2]] == [True] * 3


@pytest.mark.parametrize("content", [b"engine = ", b"engine = '\xff'", b"engine = 'a'\nengine = 'b'"])
def test_a_file_that_is_no_toml_is_told(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    values, (problem,) = read_user_settings()
    assert values == {}
    assert problem.startswith(f"{file} is ignored: ")


def test_a_file_that_cannot_be_read_is_told(file: Path) -> None:
    file.unlink()
    file.mkdir()
    assert read_user_settings().problems[0].startswith(f"{file} is ignored: ")


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_can_write_to_is_refused_with_the_mend(file: Path, mode: int) -> None:
    file.write_text("threads = 2\n", encoding="utf-8")
    file.chmod(mode)
    values, (problem,) = read_user_settings()
    assert values == {}
    assert f"chmod go-w '{file}'" in problem
    file.chmod(mode & ~0o022)
    assert read_user_settings() == ({"threads": 2}, [])


@pytest.mark.skipif(os.name != "posix", reason="owners of POSIX")
def test_a_file_of_another_user_is_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os_fstat = os.fstat

    def of_another(descriptor: int) -> os.stat_result:
        status = list(os_fstat(descriptor))
        status[4] = os.geteuid() + 1
        return os.stat_result(status)

    monkeypatch.setattr(user_settings.os, "fstat", of_another)
    assert "another user" in read_user_settings().problems[0]


def test_options_win_over_the_file_and_a_wrong_one_is_an_error(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text('engine = "onnx"\nmodel = "/a.gguf"\nwrong = 1\n', encoding="utf-8")
    assert settings_of("auto", None, ["threads=2"]) == Settings(engine="onnx", threads=2)
    assert str(file) in capsys.readouterr().err
    with pytest.raises(ConfigError, match="'threads' must be from 0 to 1024"):
        settings_of(None, None, ["threads=-1"])
