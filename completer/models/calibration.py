"""Code that the rounding of weights is calibrated on: real source text that every installation has."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from importlib import import_module, resources

CURSOR = "«|»"
"""Marks the cursor in a demo snippet."""
_MODULES = ("argparse", "heapq", "json.decoder", "textwrap", "shlex", "dataclasses", "queue", "fractions")


def calibration_texts() -> Iterator[str]:
    """Yield source texts: the snippets of the demo (Python, TypeScript, Go, Rust) and some modules of the standard library.

    A frozen binary has no standard library sources; the demo snippets are enough then.
    """
    for file in sorted(resources.files("completer.models.samples").iterdir(), key=lambda f: f.name):
        if not file.name.startswith("__"):
            yield file.read_text(encoding="utf-8").replace(CURSOR, "")
    for name in _MODULES:
        try:
            yield inspect.getsource(import_module(name))
        except OSError:
            continue
