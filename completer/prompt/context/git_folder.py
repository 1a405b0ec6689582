"""The ignore rules that git keeps outside of the working tree. Found without running git.

Only the user's own configuration is read for `core.excludesFile`: a repository's may come from anybody.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from completer.prompt.context.read_file import TooLarge, read_regular

_MAX_POINTER_BYTES = 8_000
_MAX_CONFIG_BYTES = 256_000
_SECTION = re.compile(r"\[\s*([\w.-]+)\s*(\"[^\"]*\")?\s*\]\s*(.*)")
_EXCLUDES = re.compile(r"excludesfile\s*=\s*(.*)", re.IGNORECASE)


def is_repository(folder: Path) -> bool:
    """Whether git takes this folder for the top of a working tree; a `.git` that is empty is none.

    A link is none either: whatever it leads to is not looked at.
    """
    marker = folder / ".git"
    if os.path.islink(marker):
        return False
    return os.path.isfile(marker) or all(os.path.lexists(marker / name) for name in ("HEAD", "objects", "refs"))


def exclude_file(top: Path) -> Path | None:
    """Return the path of the `info/exclude` of a repository, whether or not it exists; None if it may not be read.

    top: of the working tree, a real path. Its `.git` may be a file that points elsewhere. It is followed only to where git
    itself puts the folder of a submodule, inside the `.git` of a working tree around it, and to the repository of a linked
    worktree, if that repository names this worktree in turn. Nothing else that a file of the workspace names is looked at.
    """
    marker = top / ".git"
    if os.path.islink(marker):
        return None
    pointer = _line_of(marker)
    folder = marker if pointer is None else _pointed_to(pointer, top)
    if folder is None or os.path.islink(folder / "info"):
        return None
    return folder / "info" / "exclude"


def _pointed_to(pointer: str, top: Path) -> Path | None:
    """Return the folder with the `info` of the working tree at `top`, whose `.git` is a file with this text."""
    target = pointer.removeprefix("gitdir:").strip()
    if not pointer.startswith("gitdir:") or _is_remote(target):
        return None
    folder = Path(os.path.normpath(top / target))
    if folder.parent.name == "worktrees":
        back = _line_of(folder / "gitdir")
        names_us = back is not None and not _is_remote(back) and Path(os.path.normpath(folder / back)) == top / ".git"
        return folder.parent.parent if names_us else None
    return folder if _is_submodule(folder, top) else None


def _is_submodule(folder: Path, top: Path) -> bool:
    """Whether a path lies in the `.git` of a folder around `top`, with no link on the way."""
    around = next((outer / ".git" for outer in top.parents if folder.is_relative_to(outer / ".git")), None)
    if around is None:
        return False
    steps = [step for step in (folder, *folder.parents) if step.is_relative_to(around)]
    return not any(os.path.islink(step) for step in steps)


def global_excludes() -> Path | None:
    """Return the path of the user's own ignore file, whether or not it exists.

    It is `core.excludesFile` of the user's configuration, else `git/ignore` in the configuration folder.
    """
    home = Path(os.path.expanduser("~"))
    config_home = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    own = os.environ.get("GIT_CONFIG_GLOBAL")
    configurations = [Path(own)] if own is not None else [home / ".gitconfig", config_home / "git" / "config"]
    for configuration in configurations:
        if (value := _excludes_value(configuration)) is not None:
            return home / os.path.expanduser(value) if value else None
    return config_home / "git" / "ignore"


def _excludes_value(configuration: Path) -> str | None:
    """Return the last `core.excludesFile` of a configuration file; files that it includes are not read."""
    try:
        data = read_regular(configuration, _MAX_CONFIG_BYTES, follow=True) or b""
    except TooLarge:
        return None
    section, value = "", None
    for line in data.decode(errors="replace").removeprefix("\ufeff").splitlines():
        line = line.strip()
        if found := _SECTION.match(line):
            section, line = found[1].lower() + (found[2] or ""), found[3]
        if section == "core" and (found := _EXCLUDES.match(line)):
            value = _unquoted(found[1])
    return value


def _unquoted(value: str) -> str:
    """Return a configuration value without quotes, escapes and comments."""
    text, quoted, characters = "", False, iter(value)
    for character in characters:
        if character == '"':
            quoted = not quoted
        elif character in "#;" and not quoted:
            break
        elif character == "\\":
            text += {"n": "\n", "t": "\t", "b": "\b"}.get(following := next(characters, ""), following)
        else:
            text += character
    return text.strip()


def _line_of(file: Path) -> str | None:
    """Return the text of a file of one line, or None."""
    try:
        data = read_regular(file, _MAX_POINTER_BYTES)
    except TooLarge:
        return None
    return os.fsdecode(data).strip() if data is not None else None


def _is_remote(path: str) -> bool:
    """Whether a path names another machine (Windows would sign in there), or nothing."""
    return not path or path.replace("\\", "/").startswith("//") or "\0" in path
