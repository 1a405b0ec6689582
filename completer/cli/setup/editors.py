"""The editors that `completer setup` knows, and which of them this machine has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePath

from completer.cli.setup import guides
from completer.cli.setup.guides import Guide
from completer.cli.setup.host import Host
from completer.cli.setup.installation import Installation
from completer.errors import ConfigError
from completer.system.programs import find_program


@dataclass(frozen=True, slots=True)
class Editor:
    """One editor. programs: its names on the PATH. apps: its names in /Applications. folder: its configuration, if it has run."""

    name: str
    title: str
    guide: Callable[[Host, Installation], Guide]
    programs: tuple[str, ...]
    apps: tuple[str, ...] = ()
    folder: Callable[[Host], PurePath] | None = None


EDITORS = {
    editor.name: editor
    for editor in (
        Editor("vscode", "VS Code", guides.vscode, ("code",), ("Visual Studio Code",), lambda host: host.config / "Code"),
        Editor("neovim", "Neovim", guides.neovim, ("nvim",)),
        Editor("emacs", "Emacs", guides.emacs, ("emacs",), ("Emacs",)),
        Editor("helix", "Helix", guides.helix, ("hx", "helix")),
        Editor("zed", "Zed", guides.zed, ("zed", "zeditor"), ("Zed",)),
        Editor("jetbrains", "JetBrains", guides.jetbrains, (), (), lambda host: host.config / "JetBrains"),
        Editor("sublime", "Sublime Text", guides.sublime, ("subl",), ("Sublime Text",)),
        Editor("kate", "Kate", guides.kate, ("kate",), ("kate",)),
    )
}


def editor_named(name: str) -> Editor:
    """Return an editor by the name that a user types. Raises: ConfigError."""
    if name not in EDITORS:
        raise ConfigError(f"there is no editor {name!r}: write one of {', '.join(EDITORS)}; any other starts `completer lsp`")
    return EDITORS[name]


def where_found(editor: Editor, host: Host) -> str | None:
    """Return the program of an editor, or another sign that this machine has it; None without one."""
    if program := next(filter(None, map(find_program, editor.programs)), None):
        return program
    places = [editor.folder(host)] if editor.folder else []
    if host.platform == "darwin":
        places += [type(host.home)(f"/Applications/{app}.app") for app in editor.apps]
    return next((str(place) for place in places if host.exists(place)), None)
