"""What of this installation an editor needs, by absolute paths."""

from __future__ import annotations

import os
import sys
import unicodedata
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path, PurePath

import completer
from completer.errors import ConfigError
from completer.system.programs import interpreter

_PACKAGE = Path(completer.__file__).absolute().parent
_CHECKOUT = _PACKAGE.parent


@dataclass(frozen=True, slots=True)
class Installation:
    """command: starts the language server. plugin: the Neovim plugin. extension: the VS Code extension; None if not built.

    Raises: ConfigError for control characters and undecodable bytes in a path, which each editor would need in another form.
    """

    command: tuple[str, ...]
    plugin: PurePath
    extension: PurePath | None

    def __post_init__(self) -> None:
        for path in (*self.command, str(self.plugin)):
            if any(unicodedata.category(char) in ("Cc", "Cs") for char in path):
                raise ConfigError(f"no editor's configuration can hold the path {path!r}: install completer elsewhere")


def this_installation() -> Installation:
    """Return the parts of the installation that runs this. Reads the disk."""
    packaged = _PACKAGE / "editors" / "nvim"
    extension = _CHECKOUT / "editors" / "vscode" / "completer.vsix"
    return Installation(
        command=server_command(),
        plugin=packaged if packaged.is_dir() else _CHECKOUT / "editors" / "nvim",
        extension=extension if extension.is_file() and (_CHECKOUT / "pyproject.toml").is_file() else None,
    )


def server_command() -> tuple[str, ...]:
    """Return a command that starts the language server safely, whatever folder the editor starts it in."""
    if getattr(sys, "frozen", False):  # the standalone binary
        return (sys.executable, "lsp")
    script = _console_script()
    return (str(script), "lsp") if script else (*interpreter(), "-m", "completer", "lsp")


def _console_script() -> Path | None:
    try:
        files = distribution("completer").files or []
    except PackageNotFoundError:
        return None
    for file in files:
        if file.stem == "completer" and file.parent.name.lower() in ("bin", "scripts"):
            path = Path(os.path.abspath(file.locate()))  # not resolved: a link may outlive what it points to
            if path.is_file():
                return path
    return None
