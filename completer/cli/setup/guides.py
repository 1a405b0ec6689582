"""For each editor: its configuration, where that belongs, and how to check it. Pure: reads no file."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from pathlib import PurePath
from subprocess import list2cmdline
from typing import Any

from completer.cli.setup.host import Host
from completer.cli.setup.installation import Installation

GHOST_TEXT = "ghost text"
LIST_ENTRY = "the suggestion is the first entry of the completion list"


@dataclass(frozen=True, slots=True)
class Target:
    """The file that `--write` puts the configuration into, between two comment lines.

    comment: what begins a comment there. may_append: False where adding to an existing file of this format could lose
    comments or override what is in it: only a new one is written.
    """

    file: PurePath
    comment: str
    may_append: bool


@dataclass(frozen=True, slots=True)
class Programs:
    """Arguments for the editor's own program, which `--write` and `--remove` start."""

    install: tuple[str, ...]
    uninstall: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Guide:
    """What a user has to know. text: the configuration, empty if there is none; place: where it belongs.

    before: what must be there first, or "". writes: how `--write` does it; a string is the reason why it does not.
    """

    gives: str
    text: str
    place: str
    check: str
    writes: Target | Programs | str
    before: str = ""


def neovim(host: Host, installation: Installation) -> Guide:
    folder = host.folder("XDG_CONFIG_HOME", host.local if host.platform == "win32" else host.home / ".config")
    file = folder / (host.variables.get("NVIM_APPNAME") or "nvim") / "plugin" / "completer.lua"
    text = f"""\
local plugin = {quoted(installation.plugin.as_posix())}
if vim.fn.isdirectory(plugin) == 1 then
  vim.opt.runtimepath:prepend(plugin)
  dofile(plugin .. "/plugin/completer.lua")
  require("completer").setup({{ cmd = {{ {", ".join(map(quoted, installation.command))} }} }})
else
  vim.notify("completer has moved: run `completer setup neovim --write` again", vim.log.levels.WARN)
end
"""
    check = "start Neovim, open a file, and run :checkhealth completer"
    return Guide(GHOST_TEXT, text, str(file), check, Target(file, "--", may_append=True), "Neovim 0.10 or later")


def vscode(host: Host, installation: Installation) -> Guide:
    file = host.config / "Code" / "User" / "settings.json"
    before = "the extension, which `make vsix` builds in a clone of the repository"
    install = ("--install-extension", str(installation.extension))
    writes: Programs | str = (
        "the extension is not built: run `make vsix` in a clone of the repository, then this command with its completer"
    )
    if installation.extension:
        writes = Programs(install, ("--uninstall-extension", "completer.completer"))
        before = "the extension: " + command_line(host, ("code", *install))
    return Guide(
        gives=GHOST_TEXT,
        text=_json({"completer.server.command": list(installation.command)}),
        place=f"{file} (or run *Preferences: Open User Settings (JSON)*); --write does not edit it",
        check="run *Completer: Show the Log* in the command palette",
        writes=writes,
        before=before,
    )


def emacs(host: Host, installation: Installation) -> Guide:
    file = _emacs_init(host)
    text = f"""\
(with-eval-after-load 'lsp-mode
  (lsp-register-client
   (make-lsp-client
    :new-connection (lsp-stdio-connection '({" ".join(map(quoted, installation.command))}))
    :activation-fn (lambda (_file _mode) t)
    :add-on? t
    :priority -1
    :server-id 'completer)))
"""
    check = "restart Emacs, run M-x lsp in a buffer, then M-x lsp-describe-session: it lists completer"
    return Guide(LIST_ENTRY, text, str(file), check, Target(file, ";;", may_append=True), "the package lsp-mode")


def helix(host: Host, installation: Installation) -> Guide:
    folder = host.roaming if host.platform == "win32" else host.xdg_config
    file = folder / "helix" / "languages.toml"
    program, *arguments = installation.command
    tables = [
        f'[[language]]\nname = "{name}"\nlanguage-servers = {json.dumps([*servers, "completer"])}'
        for name, servers in _HELIX_SERVERS.items()
    ]
    server = (
        f"[language-server.completer]\ncommand = {quoted(program)}\nargs = [{', '.join(map(quoted, arguments))}]\n\n"
        "# One table for each language; the lists are Helix's own, with completer added. Keep the servers that you use."
    )
    target = Target(file, "#", may_append=False)
    return Guide(LIST_ENTRY, "\n\n".join((server, *tables)), str(file), "run `hx --health python`: it lists completer", target)


def sublime(host: Host, installation: Installation) -> Guide:
    folder = host.config / ("sublime-text" if host.platform not in ("win32", "darwin") else "Sublime Text")
    file = folder / "Packages" / "User" / "LSP.sublime-settings"
    client = {"enabled": True, "command": list(installation.command), "selector": "source"}
    return Guide(
        gives=LIST_ENTRY,
        text=_json({"clients": {"completer": client}}),
        place=f"{file} (or run *Preferences: LSP Settings*)",
        check="open a file and run *LSP: Troubleshoot Server* in the command palette",
        writes=Target(file, "//", may_append=False),
        before="the package LSP, by *Package Control: Install Package*",
    )


def kate(host: Host, installation: Installation) -> Guide:
    server = {"command": list(installation.command), "highlightingModeRegex": "^Python$"}
    return Guide(
        gives=LIST_ENTRY,
        text=_json({"servers": {"python": server}}),
        place="*Settings > Configure Kate > LSP Client > User Server Settings*, one entry for each language",
        check="open a Python file and press Ctrl+Space",
        writes="Kate runs one server for each language, so completer would replace the one that you have",
        before="the plugin LSP Client, which comes with Kate",
    )


def jetbrains(host: Host, installation: Installation) -> Guide:
    return Guide(
        gives=LIST_ENTRY,
        text=command_line(host, installation.command),
        place="the field *Command* of *Settings > Languages & Frameworks > Language Servers > New Language Server*; "
        "then choose the languages in its tab *Mappings*",
        check="open a file: the tool window *Language Servers* shows completer as started",
        writes="the IDE keeps its language servers in files of its own",
        before="the plugin LSP4IJ",
    )


def zed(host: Host, installation: Installation) -> Guide:
    why = "Zed starts only language servers that it knows or an extension declares, and there is none for completer yet"
    return Guide("nothing yet", "", "", "", why)


def quoted(text: str) -> str:
    """Return a string literal that means the same in Lua, Emacs Lisp, TOML and JSON, if `text` has no control characters."""
    return json.dumps(text, ensure_ascii=False)


def command_line(host: Host, command: tuple[str, ...]) -> str:
    """Return a command as a user of that system types it."""
    return list2cmdline(command) if host.platform == "win32" else shlex.join(command)


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)


def _emacs_init(host: Host) -> PurePath:
    """Return the init file that Emacs reads: the first of its places that is there, or would be."""
    home = host.home
    if host.platform == "win32":  # where Emacs takes %APPDATA% for the home folder unless HOME is set
        home = type(home)(host.variables.get("HOME", ""))
        home = home if home.is_absolute() else host.roaming
    for file in (home / ".emacs.el", home / ".emacs"):
        if host.exists(file):
            return file
    folder = home / ".emacs.d"
    xdg = host.xdg_config / "emacs"
    return (xdg if host.exists(xdg) and not host.exists(folder) else folder) / "init.el"


_HELIX_SERVERS = {
    "python": ("ty", "ruff", "jedi", "pylsp"),
    "rust": ("rust-analyzer",),
    "go": ("gopls", "golangci-lint-lsp"),
    "typescript": ("typescript-language-server",),
    "javascript": ("typescript-language-server",),
    "c": ("clangd",),
    "cpp": ("clangd",),
}
"""Helix's own servers of some languages: a list in the user's file replaces the one that Helix has."""
