"""What only the standalone binary has to prove; `make test-binary` names it by `--server-command`."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest


@pytest.fixture
def command(request: pytest.FixtureRequest) -> list[str]:
    words = shlex.split(request.config.getoption("--server-command"))
    if not words:
        pytest.skip("needs --server-command")
    return [str(Path(words[0]).absolute()), *words[1:]]


def say(command: list[str], *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*command, *arguments], env={}, cwd=cwd, capture_output=True, text=True, timeout=60)


def test_it_tells_its_version_from_an_empty_environment(command: list[str], tmp_path: Path) -> None:
    done = say(command, "--version", cwd=tmp_path)
    assert done.stdout.startswith("completer "), done.stderr


def test_it_knows_the_models(command: list[str], tmp_path: Path) -> None:
    assert "qwen2.5-coder-0.5b" in say(command, "models", "list", cwd=tmp_path).stdout


def test_it_brings_the_pip_that_pulls_from_the_package_index(command: list[str], tmp_path: Path) -> None:
    done = say(command, "-m", "pip", "--version", cwd=tmp_path)
    assert done.stdout.startswith("pip "), done.stderr


def test_an_error_is_one_line_with_the_mend(command: list[str], tmp_path: Path) -> None:
    done = say(command, "complete", "missing.py:1:1", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("completer: ") and done.stderr.count("\n") == 1
