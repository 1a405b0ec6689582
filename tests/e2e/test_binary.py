"""What only the standalone binary has to prove; `make test-binary` names it by `--server-command`."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest
from lsp_client import attach, finish, start_alone

from completer.models.store import locate
from tests.contract.llama_server import llama_server


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


@pytest.mark.model
def test_it_completes_over_a_llama_server_also_without_engines_of_its_own(command: list[str], tmp_path: Path) -> None:
    with llama_server(locate("qwen2.5-coder-0.5b").path) as url:
        options = ["--engine", "remote", "--set", f'endpoints=["{url}"]']
        process = start_alone(shlex.join(command), "lsp", "--stdio", *options, cwd=tmp_path)
        try:
            client = attach(process)
            settings = {"budget_ms": 15_000, "confidence": 0}
            client.initialize(textDocument={"inlineCompletion": {}}, settings=settings)
            client.wait_until_ready()
            status = client.call("completer/status")
            assert (status["state"], status["engine"]) == ("ready", "remote"), status["message"]
            text = "def add(left: int, right: int) -> int:\n    return le"
            client.open(text)
            item, *_ = client.inline(1, len("    return le"), trigger_kind=1)
            assert item["insertText"].startswith("ft + right")
        finally:
            code, said = finish(process)
    assert code == 0, said.decode()
