"""`completer setup`: what each editor gets on each system is valid and complete."""

from __future__ import annotations

import json
import shlex
import tomllib
from collections.abc import Callable
from typing import Any

import pytest
import tree_sitter_lua
from tree_sitter import Language, Parser

from completer.cli.setup import run
from completer.cli.setup.editors import EDITORS
from completer.cli.setup.guides import Guide, Target
from completer.errors import ConfigError
from tests.setup_hosts import LINUX, ODD, WINDOWS, host, installation

SYSTEMS = pytest.mark.parametrize(
    ("platform", "program"), [("linux", LINUX), ("linux", ODD), ("darwin", LINUX), ("win32", WINDOWS)]
)


def guide(editor: str, platform: str, program: str) -> Guide:
    return EDITORS[editor].guide(host(platform), installation(program))


def lua_strings(source: str) -> list[str]:
    """Parse Lua; return the values of its string literals. An error in the syntax fails the test."""
    tree = Parser(Language(tree_sitter_lua.language())).parse(source.encode())
    assert not tree.root_node.has_error, source
    found, nodes = [], [tree.root_node]
    while nodes:
        node = nodes.pop()
        nodes += reversed(node.children)
        if node.type == "string":
            assert node.text is not None
            found.append(json.loads(node.text))
    return found


def read_elisp(source: str) -> Any:
    """Read one Emacs Lisp form as nested lists; strings keep their quotes' content after a zero byte."""
    at = 0

    def read() -> Any:
        nonlocal at
        while source[at].isspace() or source[at] == "'":
            at += 1
        if source[at] == "(":
            at += 1
            items = []
            while True:
                while source[at].isspace():
                    at += 1
                if source[at] == ")":
                    at += 1
                    return items
                items.append(read())
        begin = at
        if source[at] == '"':
            value = ""
            at += 1
            while source[at] != '"':
                at += source[at] == "\\"
                value += source[at]
                at += 1
            at += 1
            return "\0" + value
        while not source[at].isspace() and source[at] not in "()":
            at += 1
        return source[begin:at]

    form = read()
    assert not source[at:].strip()
    return form


@SYSTEMS
def test_neovims_configuration_is_lua_with_the_command_and_the_plugin(platform: str, program: str) -> None:
    made = guide("neovim", platform, program)
    strings = lua_strings(made.text)
    assert strings[0] == installation(program).plugin.as_posix()
    assert [program, "lsp"] == strings[strings.index(program) :][:2]


@SYSTEMS
def test_emacs_configuration_is_one_form_that_waits_for_lsp_mode(platform: str, program: str) -> None:
    form = read_elisp(guide("emacs", platform, program).text)
    assert form[:2] == ["with-eval-after-load", "lsp-mode"]
    client = form[2][1]
    connection = client[client.index(":new-connection") + 1]
    assert connection == ["lsp-stdio-connection", ["\0" + program, "\0lsp"]]


@SYSTEMS
def test_helix_configuration_is_toml_that_adds_completer_to_helix_own_servers(platform: str, program: str) -> None:
    made = tomllib.loads(guide("helix", platform, program).text)
    assert made["language-server"]["completer"] == {"command": program, "args": ["lsp"]}
    assert all(language["language-servers"][-1] == "completer" for language in made["language"])
    assert next(language for language in made["language"] if language["name"] == "rust")["language-servers"][0] == "rust-analyzer"


@SYSTEMS
@pytest.mark.parametrize(
    ("editor", "command"),
    [
        ("vscode", lambda made: made["completer.server.command"]),
        ("sublime", lambda made: made["clients"]["completer"]["command"]),
        ("kate", lambda made: made["servers"]["python"]["command"]),
    ],
)
def test_the_others_take_json_with_the_command(
    editor: str, command: Callable[[Any], list[str]], platform: str, program: str
) -> None:
    assert command(json.loads(guide(editor, platform, program).text)) == [program, "lsp"]


def test_jetbrains_takes_a_command_line_in_the_systems_own_quotes() -> None:
    assert shlex.split(guide("jetbrains", "linux", ODD).text) == [ODD, "lsp"]
    assert guide("jetbrains", "win32", WINDOWS).text == f'"{WINDOWS}" lsp'


ROAMING = r"C:\Users\me\AppData\Roaming"
LOCAL = r"C:\Users\me\AppData\Local"
SUPPORT = "/home/me/Library/Application Support"
PLACES = [
    ("neovim", "linux", "/home/me/.config/nvim/plugin/completer.lua"),
    ("neovim", "darwin", "/home/me/.config/nvim/plugin/completer.lua"),
    ("neovim", "win32", rf"{LOCAL}\nvim\plugin\completer.lua"),
    ("emacs", "linux", "/home/me/.emacs.d/init.el"),
    ("emacs", "darwin", "/home/me/.emacs.d/init.el"),
    ("emacs", "win32", rf"{ROAMING}\.emacs.d\init.el"),
    ("helix", "linux", "/home/me/.config/helix/languages.toml"),
    ("helix", "darwin", "/home/me/.config/helix/languages.toml"),
    ("helix", "win32", rf"{ROAMING}\helix\languages.toml"),
    ("sublime", "linux", "/home/me/.config/sublime-text/Packages/User/LSP.sublime-settings"),
    ("sublime", "darwin", f"{SUPPORT}/Sublime Text/Packages/User/LSP.sublime-settings"),
    ("sublime", "win32", rf"{ROAMING}\Sublime Text\Packages\User\LSP.sublime-settings"),
    ("vscode", "linux", "/home/me/.config/Code/User/settings.json"),
    ("vscode", "darwin", f"{SUPPORT}/Code/User/settings.json"),
    ("vscode", "win32", rf"{ROAMING}\Code\User\settings.json"),
]


@pytest.mark.parametrize(("editor", "platform", "place"), PLACES)
def test_the_configuration_belongs_where_that_system_keeps_it(editor: str, platform: str, place: str) -> None:
    made = guide(editor, platform, WINDOWS if platform == "win32" else LINUX)
    assert made.place.startswith(place)
    if isinstance(made.writes, Target):
        assert str(made.writes.file) == place


@pytest.mark.parametrize(
    ("editor", "platform", "variables", "place"),
    [
        ("neovim", "linux", {"XDG_CONFIG_HOME": "/cfg"}, "/cfg/nvim/plugin/completer.lua"),
        ("neovim", "linux", {"XDG_CONFIG_HOME": "cfg"}, "/home/me/.config/nvim/plugin/completer.lua"),
        ("neovim", "linux", {"NVIM_APPNAME": "other"}, "/home/me/.config/other/plugin/completer.lua"),
        ("helix", "win32", {"APPDATA": r"D:\data"}, r"D:\data\helix\languages.toml"),
        ("helix", "win32", {"APPDATA": r"data"}, rf"{ROAMING}\helix\languages.toml"),
        ("emacs", "win32", {"HOME": r"D:\me"}, r"D:\me\.emacs.d\init.el"),
    ],
)
def test_variables_move_the_place_unless_they_are_relative(
    editor: str, platform: str, variables: dict[str, str], place: str
) -> None:
    made = EDITORS[editor].guide(host(platform, variables), installation(LINUX))
    assert made.place == place


@pytest.mark.parametrize(
    ("there", "place"),
    [
        (["/home/me/.emacs", "/home/me/.emacs.d"], "/home/me/.emacs"),
        (["/home/me/.emacs", "/home/me/.emacs.el"], "/home/me/.emacs.el"),
        (["/home/me/.config/emacs"], "/home/me/.config/emacs/init.el"),
        (["/home/me/.config/emacs", "/home/me/.emacs.d"], "/home/me/.emacs.d/init.el"),
    ],
)
def test_emacs_configuration_goes_into_the_file_that_emacs_reads(there: list[str], place: str) -> None:
    assert EDITORS["emacs"].guide(host("linux", {}, *there), installation(LINUX)).place == place


@pytest.mark.parametrize("path", ["/a\nb/completer", "/a\x7fb/completer", "/a\udcffb/completer"])
def test_a_path_that_no_configuration_can_hold_is_refused(path: str) -> None:
    with pytest.raises(ConfigError, match="install completer elsewhere"):
        installation(path)


@pytest.mark.parametrize("editor", EDITORS)
def test_the_guide_names_the_command_the_place_and_the_check(editor: str) -> None:
    printed = "\n".join(run.show(editor, host("linux"), installation(LINUX)))
    if editor == "zed":
        assert "there is none for completer yet" in printed
    else:
        assert LINUX in printed and "Put this into" in printed and "To check it: " in printed and "--write" in printed
