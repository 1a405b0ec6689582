"""A block of ours in a configuration file of another program: written, updated and removed, byte for byte.

Two comment lines enclose the block. Everything outside them belongs to the user and is kept as it is.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from completer.errors import ConfigError
from completer.system.replace import replace_file

_BEGIN = "completer: begin (written by `completer setup`, which replaces everything up to the end line)"
_END = "completer: end"
_BACKUP = ".before-completer"


@dataclass(frozen=True, slots=True)
class Edited:
    """What an edit did. file: the one that was meant, with symbolic links followed.

    backup: the copy of what was there before; None if the file is new, unchanged, or deleted because all of it was ours.
    """

    file: Path
    changed: bool
    backup: Path | None = None


def block(text: str, comment: str) -> str:
    """Return `text` between the two lines that mark it, without a line ending. comment: what begins a comment line."""
    return "\n".join((f"{comment} {_BEGIN}", text.strip("\n"), f"{comment} {_END}"))


def with_block(old: bytes | None, text: str, comment: str, *, may_append: bool) -> bytes:
    """Return the content of a file with the block `text` in it: in place of the one that is there, else at the end.

    old: None without a file. may_append: False refuses a file that has no block yet.
    Raises: ConfigError for that, and for markers that do not match.
    """
    marked = block(text, comment).encode()
    if old is None:
        return marked + b"\n"
    if found := _find(old, comment):
        return old[: found.start()] + _with_newline(marked, found["newline"]) + old[found.end() :]
    if not may_append:
        raise ConfigError(
            "the file is there already, and adding to it could override what is in it: add the configuration by hand"
        )
    newline = b"\r\n" if b"\r\n" in old else b"\n"
    marked = _with_newline(marked, newline)
    # The line ending that we add goes before the block, or after it: `without_block` removes the same one.
    return old + marked + newline if old.endswith(b"\n") else old + newline + marked


def without_block(old: bytes | None, comment: str) -> bytes | None:
    """Return the content without the block, as it was before `with_block`; None if nothing else was in the file.

    Raises: ConfigError for markers that do not match.
    """
    if old is None or not (found := _find(old, comment)):
        return old
    before, after, newline = old[: found.start()], old[found.end() :], found["newline"]
    if after.startswith(newline):
        after = after.removeprefix(newline)
        return before + after or None
    return before.removesuffix(newline) + after


def edit_file(path: Path, change: Callable[[bytes | None], bytes | None]) -> Edited:
    """Replace the content of a file of this user by what `change` makes of it; None is no file. A backup is kept.

    Mutates: the file, whose folder is made and whose mode is kept; NAME.before-completer beside it.
    Raises: ConfigError when the file, or the folder it is in, is not this user's, or is no UTF-8 text; OSError.
    """
    target = _own_file(path)
    old = target.read_bytes() if target.exists() else None
    if old is not None:
        _require_text(target, old)
    new = change(old)
    if new == old:
        return Edited(target, changed=False)
    if new is None:
        target.unlink()
        return Edited(target, changed=True)
    backup = target.with_name(target.name + _BACKUP) if old is not None else None
    if old is not None and backup is not None:
        _write(backup, old, like=target)
    _write(target, new, like=target if old is not None else None)
    return Edited(target, True, backup)


def _find(content: bytes, comment: str) -> re.Match[bytes] | None:
    prefix = re.escape(comment.encode())
    begin, end = prefix + rb" completer: begin\b", prefix + rb" completer: end(?=\r?\n|\Z)"
    n_begins, n_ends = (len(re.findall(rb"^" + line, content, re.MULTILINE)) for line in (begin, end))
    if n_begins == n_ends == 0:
        return None
    whole = re.compile(rb"^" + begin + rb"[^\r\n]*(?P<newline>\r?\n).*?^" + end, re.MULTILINE | re.DOTALL)
    found = whole.search(content)
    if found is None or n_begins != 1 or n_ends != 1:
        lines = f"'{comment} completer: begin' to '{comment} completer: end'"
        raise ConfigError(f"the lines that mark completer's block are damaged: delete {lines} by hand, and run this again")
    return found


def _with_newline(marked: bytes, newline: bytes) -> bytes:
    return marked.replace(b"\n", newline)


def _own_file(path: Path) -> Path:
    try:
        target = path.resolve()
    except (OSError, RuntimeError) as error:
        raise ConfigError(f"{path} leads nowhere: {error}") from error
    if target.is_symlink():  # a loop, which newer versions of Python return as it is
        raise ConfigError(f"{path} leads nowhere: it is a loop of links")
    if target.exists() and not target.is_file():
        raise ConfigError(f"{target} is no file: add the configuration by hand")
    if sys.platform != "win32":  # which has no owners and modes, but the access list of the profile
        folder = next(parent for parent in target.parents if parent.exists())
        for place in (target, folder) if target.exists() else (folder,):
            _refuse_foreign(place)
    return target


def _refuse_foreign(place: Path) -> None:
    if sys.platform == "win32":
        return
    info = place.stat()
    if info.st_uid != os.geteuid():
        raise ConfigError(f"{place} belongs to another user (id {info.st_uid}): add the configuration by hand")
    if info.st_mode & stat.S_IWOTH:  # not the group: many systems give each user one of their own
        raise ConfigError(f"everybody can write to {place}: run `chmod o-w` on it, and try again")


def _require_text(target: Path, content: bytes) -> None:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{target} is not UTF-8: add the configuration by hand") from error


def _write(target: Path, content: bytes, like: Path | None) -> None:
    """Write a file whole or not at all. like: the file whose mode it gets; None: 0644."""
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    fresh = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        if like is None:
            fresh.chmod(0o644)
        else:
            shutil.copymode(like, fresh)
        replace_file(fresh, target)
    except BaseException:
        with contextlib.suppress(OSError):
            fresh.unlink()
        raise
