"""Emacs without windows, and lsp-mode: from a Debian suite, unpacked with their own libc into the cache folder."""

from __future__ import annotations

import shutil
from pathlib import Path

from filelock import FileLock

from tests.editors.debian import STEP_TIMEOUT_S, run, unpack
from tests.editors.errors import InstallError

SUITE = "trixie"  # the Emacs of bookworm does not start outside of its own system


def install(cache: Path) -> Path:
    """Return the program, fetched into `cache` where it is missing. Raises: InstallError."""
    cache.mkdir(parents=True, exist_ok=True)
    program = program_in(cache)
    with FileLock(cache / "emacs.lock", timeout=STEP_TIMEOUT_S):
        if not program.exists():
            shutil.rmtree(program.parent, ignore_errors=True)
            program.parent.mkdir()
            unpack(SUITE, ["emacs-nox", "elpa-lsp-mode"], program.parent)
            _write_program(program)
    if not (said := run(str(program), "--version")).startswith("GNU Emacs"):
        raise InstallError(f"{program} says {said[:60]!r}: delete its folder and install again")
    return program


def program_in(cache: Path) -> Path:
    return cache / "emacs" / "emacs"


def _write_program(program: Path) -> None:
    """Write a script that starts Emacs with the libraries and Lisp files of its own suite, lsp-mode among them."""
    usr = program.parent / "usr"
    loader = next(program.parent.rglob("ld-linux*.so.*"))
    dump = next((usr / "libexec/emacs").rglob("*.pdmp"))
    share = next((usr / "share/emacs").glob("[0-9]*"))
    lisp = [path for path in (share / "lisp").rglob("*") if path.is_dir()]
    load_path = [*sorted((usr / "share/emacs/site-lisp/elpa-src").iterdir()), share / "lisp", *sorted(lisp)]
    libraries = usr / "lib" / dump.parent.name  # both folders are named by the architecture
    binary = usr / "bin/emacs-nox"
    # Emacs looks for its parts from the folder of argv0 on.
    start = f"exec '{loader}' --argv0 '{binary}' --library-path '{libraries}' '{binary}' --dump-file='{dump}' \"$@\""
    lines = [
        "#!/bin/sh",
        f"export EMACSLOADPATH='{':'.join(map(str, load_path))}'",
        f"export EMACSDATA='{share}/etc' EMACSDOC='{share}/etc' EMACSPATH='{dump.parent}'",
        start,
    ]
    draft = program.with_suffix(".tmp")
    draft.write_text("\n".join(lines) + "\n", encoding="utf-8")
    draft.chmod(0o755)
    draft.rename(program)
