"""What there is to run here: the package xllamacpp, or a llama-server of the user's. Loads neither."""

from __future__ import annotations

import importlib
from importlib.util import find_spec

from completer.errors import EngineUnavailable
from completer.system.programs import find_program

PACKAGE = "xllamacpp"
PROGRAM = "llama-server"


def find_server(setting: str = "") -> str:
    """Return the absolute path of the llama-server to run, "" for the package.

    setting: a path, or a name on the PATH; "": the package where it is installed, else what the PATH has under its usual name.
    Raises: EngineUnavailable if there is neither.
    """
    if not setting and find_spec(PACKAGE) is not None:
        return ""
    program = find_program(setting or PROGRAM)
    if program is not None:
        return program
    if setting:
        raise EngineUnavailable(f"setting 'llama_server': there is no program {setting!r}: write its absolute path")
    raise EngineUnavailable(f"neither the package {PACKAGE} nor a {PROGRAM} on the PATH")


def devices() -> str:
    """Return the graphics cards that the package computes on, "cpu" without one. Raises: what importing it raises."""
    found = importlib.import_module(PACKAGE).get_device_info()  # a compiled package without types
    names = [str(device["description"]) for device in found if "GPU" in device["type"].name]
    return ", ".join(names) or "cpu"
