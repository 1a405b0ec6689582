"""Runs `completer` where only its base dependencies can be imported: `python slim.py ARGUMENTS`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

EXTRAS = {"torch", "onnxruntime", "onnx", "gguf", "safetensors", "transformers", "xllamacpp", "matplotlib"}


class _WithoutExtras(PathFinder):
    @classmethod
    def find_spec(cls, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        return None if fullname.partition(".")[0] in EXTRAS else PathFinder.find_spec(fullname, path, target)


sys.meta_path[:] = [_WithoutExtras if finder is PathFinder else finder for finder in sys.meta_path]

if __name__ == "__main__":
    from completer.cli.main import main

    main()
    assert not EXTRAS & sys.modules.keys()
