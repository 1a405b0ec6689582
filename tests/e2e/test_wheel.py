"""The wheel holds all that the program needs: installed elsewhere, without the repository, it completes a snippet.

Its dependencies are those of this environment, lent by a .pth file; that they can be installed, packaging/resolve.sh checks.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from completer import __version__
from completer.models.manifest import load_manifest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
PLUGIN = ROOT / "editors" / "nvim"


class Installed:
    """A virtual environment that holds the wheel and nothing else, with a home folder that is empty."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.home.mkdir()
        venv.create(folder / "venv", with_pip=False)
        self.programs = folder / "venv" / ("Scripts" if sys.platform == "win32" else "bin")
        paths = {"base": str(folder / "venv"), "platbase": str(folder / "venv")}
        self.packages = Path(sysconfig.get_path("purelib", "venv", vars=paths))

    def run(self, program: str, *arguments: str, cache: Path | None = None) -> str:
        """Return the standard output of a program of the environment, started elsewhere, with nothing of the repository."""
        kept = {name: os.environ[name] for name in ("SYSTEMROOT", "TEMP", "OMP_NUM_THREADS") if name in os.environ}
        environment = kept | {
            "HOME": str(self.home),
            "USERPROFILE": str(self.home),
            "COMPLETER_CACHE": str(cache or self.home / "cache"),
        }
        command = [str(self.programs / program), *arguments]
        done = subprocess.run(command, env=environment, cwd=self.home, capture_output=True, encoding="utf-8", timeout=200)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--quiet"]
    subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", str(folder), str(ROOT)], check=True)
    (wheel,) = folder.glob("*.whl")
    made = Installed(folder)
    subprocess.run([*pip, f"--python={folder / 'venv'}", "install", "--no-deps", str(wheel)], check=True)
    (made.packages / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n", encoding="utf-8")
    return made


def test_the_package_is_the_wheels(installed: Installed) -> None:
    file = installed.run("python", "-c", "import completer; print(completer.__file__)").strip()
    assert Path(file).is_relative_to(installed.packages)
    assert installed.run("completer", "--version") == f"completer {__version__}\n"


def test_the_wheel_brings_every_file_of_the_package(installed: Installed) -> None:
    source = ROOT / "completer"
    ours = {path.relative_to(source) for path in source.rglob("*") if path.is_file() and path.suffix != ".pyc"}
    package = installed.packages / "completer"
    theirs = {path.relative_to(package) for path in package.rglob("*") if path.is_file() and path.suffix != ".pyc"}
    plugin = {Path("editors/nvim") / path.relative_to(PLUGIN) for path in PLUGIN.rglob("*") if path.is_file()}
    assert theirs == ours | {Path("models/manifest.toml")} | plugin


def test_neovim_is_pointed_at_the_plugin_and_the_program_of_the_wheel(installed: Installed) -> None:
    printed = installed.run("completer", "setup", "neovim")
    plugin = installed.packages / "completer" / "editors" / "nvim"
    assert plugin.as_posix() in printed and (plugin / "lua" / "completer" / "init.lua").is_file()
    assert json.dumps(str(installed.programs / "completer")) in printed or sys.platform == "win32"


def test_it_lists_the_models(installed: Installed) -> None:
    said = installed.run("completer", "models", "list")
    assert all(entry.id in said for entry in load_manifest())


def test_it_completes_a_snippet_with_a_tiny_model(installed: Installed, tmp_path: Path) -> None:
    for package in ("torch", "onnxruntime", "transformers", "gguf"):
        pytest.importorskip(package)
    from tests import tiny

    model, snippet = tmp_path / "tiny.gguf", tmp_path / "add.py"
    tiny.save_gguf("qwen2", model)
    snippet.write_text("def add(left, right):\n    return \n", encoding="utf-8")
    said = json.loads(installed.run("completer", "complete", f"{snippet}:2:12", "--json", "--model", str(model)))
    assert said["engine"] == "phased" and said["model"].startswith("tiny")
    assert said["tokens"]["feed"] > 0


@pytest.mark.model
def test_it_completes_a_snippet_with_the_real_model(installed: Installed, tmp_path: Path) -> None:
    from completer.models.store import cache_dir

    snippet = tmp_path / "add.py"
    snippet.write_text("def add(left, right):\n    return \n", encoding="utf-8")
    command = ["complete", f"{snippet}:2:12", "--json", "--model", "qwen2.5-coder-0.5b"]
    said = json.loads(installed.run("completer", *command, cache=cache_dir()))
    assert said["text"].startswith("left + right")
