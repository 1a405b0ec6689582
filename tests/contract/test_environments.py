"""The base requirements resolve beside each engine's pins: asked of the resolver, which reads metadata only."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from packaging.version import Version

ROOT = Path(__file__).parents[2]


def resolved(*extras: str) -> dict[str, Version]:
    """Return what pip would install on a Linux machine with an NVIDIA card. Raises: CalledProcessError where nothing fits."""
    target = ("--python-version", "3.11", "--python-platform", "x86_64-manylinux_2_28")
    wanted = [word for extra in extras for word in ("--extra", extra)]
    command = [sys.executable, "-m", "uv", "pip", "compile", str(ROOT / "pyproject.toml"), *wanted, *target, "--no-header", "-q"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    assert result.returncode == 0, result.stderr
    pins = [line.split("==") for line in result.stdout.splitlines() if "==" in line and not line.startswith(" ")]
    return {name: Version(version.split(" ")[0]) for name, version in pins}


@pytest.mark.parametrize(
    "extras", [("hf",), ("exllamav2",), ("exllamav3",), ("lmdeploy",), ("cpu", "hf", "lmdeploy")], ids="+".join
)
def test_completer_resolves_beside_the_pins_of(extras: tuple[str, ...]) -> None:
    pins = resolved(*extras)
    assert pins["pygls"].major == 2
    for extra in extras:
        if extra in ("exllamav2", "exllamav3", "lmdeploy"):
            assert extra in pins
    if "lmdeploy" in extras:
        assert pins["torch"] < Version("2.13"), (
            "lmdeploy has no pin of its own any more: docs/reference/engines/lmdeploy.md says it has"
        )
