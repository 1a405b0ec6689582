"""Started in a repository of strangers, by every documented way: nothing that lies there is imported or run."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sysconfig
import venv
from collections.abc import Callable, Mapping
from pathlib import Path

import psutil
import pytest
from lsp_client import ROOT, attach, finish
from test_slim import script_of

from tests.contract.scripted_server import serving

MODULES = (
    *("typer", "torch", "tree_sitter_python", "json", "sitecustomize", "usercustomize", "httpx", "numpy", "rich", "tokenizers"),
    *("pygls", "pip/__init__", "pip/__main__", "logging", "asyncio", "multiprocessing"),
)
PROGRAMS = ("git", "python", "python3", "pip", "pip3", "node", "cmd", "completer", "uname", "gcc", "ldconfig")
FILES = {
    "setup.cfg": "[install]\nprefix = {folder}\n[easy_install]\nindex_url = http://127.0.0.1:1\n",
    "pip.conf": "[global]\nindex-url = http://127.0.0.1:1\n",
    ".env": "PYTHONPATH={folder}\nPIP_INDEX_URL=http://127.0.0.1:1\n",
    ".git/config": "[core]\n\tfsmonitor = {folder}/git\n\thooksPath = {folder}\n",
}


def set_traps(folder: Path, modules: tuple[str, ...]) -> None:
    """Fill a workspace with modules, programs and settings that write their name to the file `ran`."""
    for name in modules:
        path = folder / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"open({str(folder / 'ran')!r}, 'a').write({name + ' '!r})\n")
    for path in (folder / "bin" / name for name in PROGRAMS):
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\nprintf '%s ' {path.name} >> {folder}/ran\n")
        path.chmod(0o755)
    for name, text in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text.format(folder=folder))


def ran(folder: Path) -> str:
    """Return the names of the traps that were sprung."""
    mark = folder / "ran"
    return mark.read_text() if mark.exists() else ""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment in which this checkout is installed, with its console script."""
    folder = tmp_path_factory.mktemp("installation")
    venv.create(folder, symlinks=True)
    interpreter = folder / "bin" / "python"
    library = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
    (library / "installed.pth").write_text(f"{ROOT}\n{sysconfig.get_path('purelib')}\n")
    entry = re.search(r'^completer = "(.+):(.+)"$', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    assert entry
    module, function = entry.groups()
    script = folder / "bin" / "completer"
    script.write_text(f"#!{interpreter}\nimport sys\nfrom {module} import {function}\nsys.exit({function}())\n")  # as pip does
    script.chmod(0o755)
    return interpreter


def extension_arguments() -> list[str]:
    """Return what the VS Code extension puts behind the interpreter, without the command."""
    source = (ROOT / "editors/vscode/src/locate.ts").read_text(encoding="utf-8")
    (arguments,) = re.findall(r"^const LSP = (\[.*\]);$", source, re.MULTILINE)
    *options, command = json.loads(arguments)
    assert command == "lsp"
    return [str(option) for option in options]


Way = Callable[[Path], list[str]]
WAYS: dict[str, Way] = {
    "console script": lambda python: [str(python.with_name("completer"))],
    "python -P -m": lambda python: [str(python), "-P", "-m", "completer"],
    "VS Code": lambda python: [str(python), *extension_arguments()],
    "python -m": lambda python: [str(python), "-m", "completer"],
}
"""The last one is not documented: Python itself would import a folder `completer` of the workspace."""


@pytest.fixture(params=WAYS)
def command(request: pytest.FixtureRequest, python: Path) -> list[str]:
    return WAYS[request.param](python)


@pytest.fixture
def workspace(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    folder = tmp_path / "workspace"
    folder.mkdir()
    way = request.node.callspec.params.get("command") if hasattr(request.node, "callspec") else None
    set_traps(folder, MODULES if way == "python -m" else (*MODULES, "completer/__init__", "completer/__main__"))
    return folder


def environment(tmp_path: Path, **more: str) -> Mapping[str, str]:
    """The user's environment, with relative folders on the PATH, as some have."""
    wanted = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "PIP_", "VIRTUAL_ENV"))}
    return wanted | {
        "PATH": f"bin:./bin::{wanted['PATH']}",
        "COMPLETER_CACHE": str(tmp_path / "cache"),
        "PIP_CONFIG_FILE": os.devnull,
        **more,
    }


def test_the_traps_work(workspace: Path, python: Path, tmp_path: Path) -> None:
    subprocess.run([python, "-m", "completer"], cwd=workspace, env=environment(tmp_path), check=True)
    subprocess.run(["sh", "-c", "git"], cwd=workspace, env=environment(tmp_path), check=True)
    assert ran(workspace).split() == ["completer/__init__", "completer/__main__", "git"]


def test_a_session_imports_and_runs_nothing_of_the_workspace_and_leaves_it(
    workspace: Path, command: list[str], tmp_path: Path
) -> None:
    pipe = subprocess.PIPE
    with serving(script_of()) as script:
        options = ["lsp", "--engine", "remote", "--set", f'endpoints=["{script.url}"]']
        server = subprocess.Popen(
            [*command, *options], cwd=workspace, env=environment(tmp_path), stdin=pipe, stdout=pipe, stderr=pipe
        )
        try:
            client = attach(server)
            client.initialize(textDocument={"inlineCompletion": {}}, folders=[workspace], settings={"budget_ms": 5000})
            client.wait_until_ready()
            uri = (workspace / "new.py").as_uri()
            client.open("def add(left, right):\n    return ", uri)
            client.inline(1, len("    return "), uri, trigger_kind=1)
            assert psutil.Process(server.pid).cwd() != str(workspace)
        finally:
            code, said = finish(server)
    assert code == 0, said.decode()
    assert ran(workspace) == ""


def test_the_doctor_imports_every_engine_from_the_installation(workspace: Path, python: Path, tmp_path: Path) -> None:
    (workspace / "completer" / "__init__.py").unlink()
    (workspace / "completer" / "__main__.py").unlink()
    (workspace / "completer").rmdir()
    command = [str(python), "-m", "completer", "doctor", "--engine", "remote"]
    done = subprocess.run(command, cwd=workspace, env=environment(tmp_path), capture_output=True, text=True, check=True)
    assert "torch" in done.stdout
    assert ran(workspace) == ""


def test_pulling_a_model_runs_the_pip_of_the_installation(workspace: Path, command: list[str], tmp_path: Path) -> None:
    nowhere = environment(tmp_path, HF_HUB_OFFLINE="1", PIP_INDEX_URL="http://127.0.0.1:9/simple", NO_PROXY="127.0.0.1")
    pull = [*command, "models", "pull", "qwen2.5-coder-0.5b"]
    done = subprocess.run(pull, cwd=workspace, env=nowhere, capture_output=True, text=True, check=False)
    assert "the index cannot be reached" in done.stderr
    assert done.returncode == 1
    assert ran(workspace) == ""


def test_a_relative_python_path_brings_nothing_in(python: Path, tmp_path: Path) -> None:
    folder = tmp_path / "workspace"
    folder.mkdir()
    # Python itself runs sitecustomize before any program; only -I, which the extension uses, keeps it out.
    set_traps(folder, tuple(name for name in MODULES if name in ("typer", "rich", "httpx", "numpy", "tree_sitter_python")))
    command = [str(python.with_name("completer")), "models", "list"]
    relative = os.pathsep.join((".", "", "nowhere"))
    subprocess.run(command, cwd=folder, env=environment(tmp_path, PYTHONPATH=relative), capture_output=True, check=True)
    assert ran(folder) == ""


def test_the_extension_shuts_out_what_the_environment_names(workspace: Path, python: Path, tmp_path: Path) -> None:
    command = [*WAYS["VS Code"](python), "models", "list"]
    hostile = environment(
        tmp_path, PYTHONPATH=str(workspace), PYTHONHOME=str(workspace), PYTHONSTARTUP=str(workspace / "json.py")
    )
    subprocess.run(command, cwd=workspace, env=hostile, capture_output=True, check=True)
    assert ran(workspace) == ""


def documents() -> list[Path]:
    """Return every page for users, and every source that holds a command line of ours."""
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("editors/*/README.md"), *ROOT.glob("editors/*/doc/*")]
    sources = [*(ROOT / "editors/vscode/src").glob("*.ts"), *(ROOT / "editors/nvim/lua").rglob("*.lua")]
    return [path for path in (*pages, *sources, ROOT / "Makefile") if path.name not in ("SECURITY.md", "CHANGELOG.md")]


ATTACKS = ("reliability.md",)
"""Pages that name the unsafe form because it was tried."""


def test_no_page_or_editor_starts_the_package_without_a_safe_path() -> None:
    for path in documents():
        for line in path.read_text(encoding="utf-8").splitlines():
            if re.search(r"-m[\"', ]+completer\b", line) and path.name not in ATTACKS:
                assert re.search(r"-[PI][\"', ]+-m", line), f"{path.name}: {line}"
