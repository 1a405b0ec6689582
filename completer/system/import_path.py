"""Takes the working folder off the import path. Imports nothing that a file of the same name there could replace."""

import os
import sys


def leave_out_working_folder() -> None:
    """Remove the working folder, and whatever PYTHONPATH names relative to it, from the import path.

    An editor starts us in a repository, and `python -m` puts that folder first: its `typer.py` would run in place of
    ours. The folders of this package and of the standard library stay. A file there that Python itself imports before
    this runs cannot be stopped here: only `-P` or `-I` on the interpreter's command line does that.
    Mutates: sys.path, whose entries are absolute afterwards.
    """
    relative = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if not os.path.isabs(entry)]
    try:
        unwanted = {os.path.realpath(entry) for entry in ("", *relative)}
    except OSError:  # the working folder was deleted
        sys.path[:] = [entry for entry in sys.path if os.path.isabs(entry)]
        return
    wanted = [entry for entry in sys.path if _is_ours(entry) or os.path.realpath(entry) not in unwanted]
    sys.path[:] = map(os.path.abspath, wanted)


def _is_ours(entry: str) -> bool:
    folder = os.path.realpath(entry)
    package = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
    library = os.path.dirname(os.path.realpath(os.__file__))
    return folder in (package, library) or folder.startswith(library + os.sep)
