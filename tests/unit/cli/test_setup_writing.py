"""`completer setup`: what is written can be written again, updated and removed, and what is the user's stays."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from completer.cli.main import app
from completer.cli.setup import editors, run
from completer.cli.setup.editors import EDITORS
from completer.cli.setup.guides import Target
from completer.cli.setup.host import Host, this_host
from completer.cli.setup.installation import Installation, this_installation
from completer.errors import ConfigError
from tests.setup_hosts import LINUX, host, installation

ROOT = Path(__file__).parents[3]


@pytest.fixture
def home(tmp_path: Path) -> Host:
    return Host(sys.platform, tmp_path, {}, lambda path: Path(path).exists())


INSTALLED = installation(LINUX)
WRITTEN = [editor for editor in EDITORS if isinstance(EDITORS[editor].guide(host("linux"), INSTALLED).writes, Target)]


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def theirs(editor: str, home: Host, content: bytes) -> Path:
    """Write the file that `setup` would write, as the user's own; return it."""
    target = EDITORS[editor].guide(home, INSTALLED).writes
    assert isinstance(target, Target)
    file = Path(target.file)
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    return file


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
    file = theirs(editor, home, b"mine, without a line ending")
    assert ".before-completer" in run.write(editor, home, INSTALLED)
    assert file.read_bytes().startswith(b"mine, without a line ending\n")
    run.remove(editor, home, INSTALLED)
    assert file.read_bytes() == b"mine, without a line ending"


@pytest.mark.parametrize("editor", ["helix", "sublime"])
def test_json_and_toml_of_the_users_are_refused_and_left_alone(editor: str, home: Host, tmp_path: Path) -> None:
    theirs(editor, home, b"# mine")
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
