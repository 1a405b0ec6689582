"""Other programs are found by absolute paths alone, and only in the few places that may start any."""

from __future__ import annotations

import ast
import os
import sys
from pathlib import Path

import pytest

from completer.cli.lsp import absolute_paths
from completer.engines.remote.bearer import Bearer
from completer.errors import ConfigError
from completer.system.programs import NEUTRAL_FOLDER, find_program, interpreter

PACKAGE = Path(__file__).parents[3] / "completer"
STARTS_PROGRAMS = {
    *("models/index.py", "worker/start.py", "engines/remote/bearer.py"),
    *("engines/llama_cpp/server.py", "engines/llama_cpp/child.py"),
}


def make_program(path: Path, text: str = "#!/bin/sh\n") -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize("folder", [".", "", "bin"])
def test_a_relative_folder_of_the_path_is_skipped(folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_program(tmp_path / folder / "tool")
    real = make_program(tmp_path / "elsewhere" / "tool")
    monkeypatch.setenv("PATH", folder)
    assert find_program("tool") is None
    monkeypatch.setenv("PATH", os.pathsep.join((folder, str(tmp_path / "elsewhere"))))
    assert find_program("tool") == real


def test_a_relative_path_is_no_program_and_an_absolute_one_is_taken_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = make_program(tmp_path / "bin" / "tool")
    assert find_program("bin/tool") is None
    assert find_program("./bin/tool") is None
    assert find_program(path) == path


def test_the_interpreter_is_started_as_safely_as_the_one_that_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    assert interpreter() == [sys.executable, "-P"]
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert interpreter() == [sys.executable]


async def test_a_token_command_runs_outside_the_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    bearer = Bearer(command=[make_program(tmp_path / "elsewhere" / "token", "#!/bin/sh\npwd\n")])
    assert await bearer.headers() == {"Authorization": f"Bearer {os.path.realpath(NEUTRAL_FOLDER)}"}


async def test_a_token_command_of_the_workspace_is_refused_with_the_mend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", ".")
    make_program(tmp_path / "token", "#!/bin/sh\necho stolen\n")
    for name in ("token", "./token"):
        with pytest.raises(ConfigError, match=r"'token_command' names .* absolute path"):
            await Bearer(command=[name]).headers()


def test_paths_of_the_command_line_outlive_the_working_folder_and_ids_stay_ids(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    given = {"model": "./folder", "draft_model": "small.gguf", "tls_ca": "ca.pem", "threads": 2}
    files = {"model": "folder", "draft_model": "small.gguf", "tls_ca": "ca.pem"}
    assert absolute_paths(given) == {name: str(tmp_path / file) for name, file in files.items()} | {"threads": 2}
    ids = {"model": "Qwen/Qwen2.5-Coder-7B", "draft_model": "qwen2.5-coder-0.5b", "tls_ca": ""}
    assert absolute_paths(ids) == ids
    assert absolute_paths({}) == {}


def test_only_the_modules_that_are_known_for_it_start_programs() -> None:
    found = set()
    for file in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            starts = isinstance(node, ast.Attribute) and node.attr in (
                "create_subprocess_exec",
                "create_subprocess_shell",
                "system",
            )
            if "subprocess" in names or (starts and ast.unparse(node) != "platform.system"):
                found.add(file.relative_to(PACKAGE).as_posix())
    assert found == STARTS_PROGRAMS
