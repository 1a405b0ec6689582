"""Systems and installations to set editors up on, without their file systems."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath, PurePosixPath, PureWindowsPath

from completer.cli.setup.host import Host
from completer.cli.setup.installation import Installation

LINUX = "/home/me/.local/bin/completer"
ODD = '/home/m\'é/a "b" \\c [[d]] -- ;; # $e/completer'
WINDOWS = r"C:\Users\Jo Smith\new\completer.exe"


def host(platform: str, variables: Mapping[str, str] | None = None, *there: str) -> Host:
    home: PurePath = PurePosixPath("/home/me")
    if platform == "win32":
        home = PureWindowsPath(r"C:\Users\me")
    return Host(platform, home, variables or {}, lambda path: str(path) in there)


def installation(program: str) -> Installation:
    kind = PureWindowsPath if program[1] == ":" else PurePosixPath
    return Installation((program, "lsp"), kind(program).parent / "nvim", None)
