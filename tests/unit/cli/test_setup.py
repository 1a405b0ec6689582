"""`completer setup`: what each editor gets on each system is valid, complete and reversible."""

from __future__ import annotations

import json
import shlex
import sys
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import Any

import pytest
import tree_sitter_lua
from tree_sitter import Language, Parser
from typer.testing import CliRunner

from completer.cli.main import app
from completer.cli.setup import editors, run
from completer.cli.setup.editors import EDITORS
from completer.cli.setup.guides import Guide, Target
from completer.cli.setup.host import Host, this_host
from completer.cli.setup.installation import Installation, this_installation
from completer.errors import ConfigError

LINUX = "/home/me/.local/bin/completer"
ODD = '/home/m\'é/a "b" \\c [[d]] -- ;; # $e/completer'
WINDOWS = r"C:\Users\Jo Smith\new\completer.exe"
ROOT = Path(__file__).parents[3]


def host(platform: str, variables: Mapping[str, str] | None = None, *there: str) -> Host:
    home: PurePath = PurePosixPath("/home/me")
    if platform == "win32":
        home = PureWindowsPath(r"C:\Users\me")
    return Host(platform, home, variables or {}, lambda path: str(path) in there)


def installation(program: str) -> Installation:
    kind = PureWindowsPath if program[1] == ":" else PurePosixPath
    return Installation((program, "lsp"), kind(program).parent / "nvim", None)


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


# Writing, on this system, in a home folder of its own.


@pytest.fixture
def home(tmp_path: Path) -> Host:
    return Host(sys.platform, tmp_path, {}, lambda path: Path(path).exists())


INSTALLED = installation(LINUX)
WRITTEN = [editor for editor in EDITORS if isinstance(EDITORS[editor].guide(host("linux"), INSTALLED).writes, Target)]


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_four_editors_can_be_written_to() -> None:
    assert WRITTEN == ["neovim", "emacs", "helix", "sublime"]


@pytest.mark.parametrize("editor", WRITTEN)
def test_writing_twice_is_writing_once_and_removing_leaves_nothing(editor: str, home: Host, tmp_path: Path) -> None:
    assert "is written. To check it: " in run.write(editor, home, INSTALLED)
    once = files(tmp_path)
    assert len(once) == 1 and LINUX.encode() in next(iter(once.values()))
    assert "is up to date" in run.write(editor, home, INSTALLED)
    assert files(tmp_path) == once
    run.remove(editor, home, INSTALLED)
    assert files(tmp_path) == {}
    assert "holds no configuration of completer" in run.remove(editor, home, INSTALLED)


@pytest.mark.parametrize("editor", WRITTEN)
def test_an_installation_that_moved_updates_what_it_wrote(editor: str, home: Host, tmp_path: Path) -> None:
    run.write(editor, home, INSTALLED)
    run.write(editor, home, installation("/opt/completer"))
    file = next(path for name, path in ((p.name, p) for p in tmp_path.rglob("*")) if path.is_file() and "before" not in name)
    assert b"/opt/completer" in file.read_bytes() and LINUX.encode() not in file.read_bytes()


@pytest.mark.parametrize("editor", ["neovim", "emacs"])
def test_a_file_of_the_users_is_restored_byte_for_byte(editor: str, home: Host, tmp_path: Path) -> None:
    target = EDITORS[editor].guide(home, INSTALLED).writes
    assert isinstance(target, Target)
    file = Path(target.file)
    file.parent.mkdir(parents=True)
    file.write_bytes(b"mine, without a line ending")
    assert ".before-completer" in run.write(editor, home, INSTALLED)
    assert file.read_bytes().startswith(b"mine, without a line ending\n")
    run.remove(editor, home, INSTALLED)
    assert file.read_bytes() == b"mine, without a line ending"


@pytest.mark.parametrize("editor", ["helix", "sublime"])
def test_json_and_toml_of_the_users_are_refused_and_left_alone(editor: str, home: Host, tmp_path: Path) -> None:
    target = EDITORS[editor].guide(home, INSTALLED).writes
    assert isinstance(target, Target)
    file = Path(target.file)
    file.parent.mkdir(parents=True)
    file.write_bytes(b"# mine")
    with pytest.raises(ConfigError, match=f"left as it is.*by hand.*`completer setup {editor}` prints it"):
        run.write(editor, home, INSTALLED)
    run.remove(editor, home, INSTALLED)
    assert list(files(tmp_path).values()) == [b"# mine"]


@pytest.mark.parametrize("editor", ["vscode", "zed", "jetbrains", "kate"])
@pytest.mark.parametrize("act", [run.write, run.remove])
def test_where_writing_is_not_safe_it_is_refused_with_the_reason(
    editor: str, act: Callable[..., str], home: Host, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=f"`completer setup {editor}` tells what to do"):
        act(editor, home, INSTALLED)
    assert files(tmp_path) == {}


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program `code` on the PATH that writes its arguments and its folder to the file that comes back."""
    if sys.platform == "win32":
        pytest.skip("the stand-in for VS Code's command is a shell script")
    programs, said = tmp_path / "bin", tmp_path / "said"
    programs.mkdir()
    (programs / "code").write_text(f'#!/bin/sh\n/bin/pwd > "{said}"\nfor each; do echo "$each" >> "{said}"; done\n')
    (programs / "code").chmod(0o755)
    monkeypatch.setenv("PATH", str(programs))
    return said


def test_the_extension_of_vs_code_is_installed_and_removed_by_its_own_command(
    home: Host, tmp_path: Path, code: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    built = Installation((LINUX, "lsp"), tmp_path, tmp_path / "a b.vsix")
    assert f"code --install-extension '{tmp_path}/a b.vsix'" in "\n".join(run.show("vscode", home, built))
    run.write("vscode", home, built)
    folder, *arguments = code.read_text().splitlines()
    assert arguments == ["--install-extension", f"{tmp_path}/a b.vsix"]
    assert Path(folder) != tmp_path
    run.remove("vscode", home, built)
    assert code.read_text().splitlines()[1:] == ["--uninstall-extension", "completer.completer"]


def test_a_command_of_vs_code_that_fails_or_is_missing_is_told(
    home: Host, tmp_path: Path, code: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = Installation((LINUX, "lsp"), tmp_path, tmp_path / "completer.vsix")
    (tmp_path / "bin" / "code").write_text("#!/bin/sh\necho too old >&2\nexit 3\n")
    with pytest.raises(ConfigError, match="status 3: too old"):
        run.write("vscode", home, built)
    monkeypatch.setenv("PATH", "bin")  # relative: not followed
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="'code' is not on the PATH"):
        run.write("vscode", home, built)


# The command line.


def invoke(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["setup", *arguments], catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


def test_without_an_editor_it_lists_those_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(editors, "find_program", lambda name: "/usr/bin/nvim" if name == "nvim" else None)
    lines = invoke().splitlines()
    assert any(line.split() == ["Neovim", "/usr/bin/nvim", "completer", "setup", "neovim"] for line in lines)
    assert any(line.startswith("not found: ") and "helix" in line for line in lines)


def test_editors_of_macos_are_found_in_applications(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(editors, "find_program", lambda name: None)
    mac = host("darwin", {}, "/Applications/Zed.app")
    assert [name for name, editor in EDITORS.items() if editors.where_found(editor, mac)] == ["zed"]


def test_the_command_writes_and_removes_and_asks_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    for variable in ("XDG_CONFIG_HOME", "APPDATA", "LOCALAPPDATA", "NVIM_APPNAME"):
        monkeypatch.delenv(variable, raising=False)
    assert "completer: begin" in invoke("neovim") and files(tmp_path) == {}
    invoke("neovim", "--write")
    (content,) = files(tmp_path).values()
    assert this_installation().plugin.as_posix().encode() in content
    invoke("neovim", "--remove")
    assert files(tmp_path) == {}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nvim"], "write one of vscode, neovim"),
        (["neovim", "--write", "--remove"], "exclude each other"),
        (["--write"], "name the editor"),
    ],
)
def test_wrong_arguments_are_told_with_the_mend(arguments: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        invoke(*arguments)


def test_the_help_names_every_editor() -> None:
    printed = " ".join(invoke("--help").split())
    assert all(name in printed for name in EDITORS)


def test_a_home_folder_that_is_not_absolute_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "home", lambda: Path("here"))
    with pytest.raises(ConfigError, match="set HOME"):
        this_host()


# This installation.


def test_the_command_of_this_installation_is_absolute_and_there() -> None:
    command = this_installation().command
    assert Path(command[0]).is_absolute() and Path(command[0]).is_file() and command[-1] == "lsp"


def test_without_a_console_script_the_interpreter_starts_the_module_safely(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("completer.cli.setup.installation._console_script", lambda: None)
    assert this_installation().command == (sys.executable, "-P", "-m", "completer", "lsp")


def test_the_standalone_binary_starts_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert this_installation().command == (sys.executable, "lsp")


def test_a_clone_has_the_plugin_of_neovim() -> None:
    assert this_installation().plugin == ROOT / "editors" / "nvim"
