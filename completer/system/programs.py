"""How completer starts other programs: by absolute path, in a folder that no workspace controls."""

from __future__ import annotations

import os
import shutil
import sys

NEUTRAL_FOLDER = sys.prefix
"""Working folder of what we start, and of the language server: someone who can write there could replace completer itself."""

_NOT_PASSED_ON = ("COMPLETER_CLIENT_KEY",)


def interpreter() -> list[str]:
    """Return how the interpreter that runs this is started anew, without the working folder on its import path."""
    if getattr(sys, "frozen", False):  # the standalone binary is no interpreter, and imports from itself alone
        return [sys.executable]
    return [sys.executable, "-I" if sys.flags.isolated else "-P"]


def own_command() -> list[str]:
    """Return how completer's command line is started anew; its arguments follow."""
    command = interpreter()
    return command if getattr(sys, "frozen", False) else [*command, "-m", "completer"]


def passed_on() -> dict[str, str]:
    """Return the environment for a process of ours: this one's, without what only a client may know."""
    return {name: value for name, value in os.environ.items() if name not in _NOT_PASSED_ON}


def find_program(name: str) -> str | None:
    """Return the absolute path of a program: `name` itself, or where the PATH has it; None if it is not there.

    Relative names, relative folders of the PATH, and Windows' look into the working folder are not followed: what they
    find depends on the working folder, which may be a repository of strangers.
    """
    if os.path.isabs(name):
        return name
    if os.path.dirname(name):
        return None
    folders = [folder for folder in os.environ.get("PATH", "").split(os.pathsep) if os.path.isabs(folder)]
    found = shutil.which(name, path=os.pathsep.join(folders))
    return found if found and os.path.isabs(found) else None
