"""Packages of a Debian suite, unpacked beside the system with all that they need, its libc included. Nothing is installed."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.editors.errors import InstallError

STEP_TIMEOUT_S = 280


def unpack(suite: str, packages: Sequence[str], prefix: Path) -> None:
    """Unpack `packages` of a suite and what they depend on below `prefix`. Raises: InstallError."""
    if platform.system() != "Linux" or shutil.which("apt-get") is None:
        raise InstallError(
            f"{packages[0]} of Debian {suite} needs apt-get: run these tests on Debian or Ubuntu, or in a container of it"
        )
    with tempfile.TemporaryDirectory() as folder:
        environment = {"APT_CONFIG": str(_apt_config(suite, Path(folder)))}
        run("apt-get", "update", "-qq", environment=environment)
        run("apt-get", "install", "-qq", "-y", "--download-only", *packages, environment=environment)
        for package in sorted(Path(folder).glob("cache/archives/*.deb")):
            run("dpkg-deb", "-x", str(package), str(prefix))


def run(*command: str, environment: dict[str, str] | None = None) -> str:
    """Return what a command prints. Raises: InstallError."""
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
