"""Folders and files that only their owner may use."""

from __future__ import annotations

import os
import socket
import stat
import sys
from pathlib import Path

import pytest

from completer.cli.lsp import Endpoint
from completer.errors import ConfigError
from completer.system.private import default_folder, ensure_private, listening_socket, peer_uid, token_file

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="modes, owners and Unix sockets")


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777, 0o1777])
def test_folder_that_others_may_write_to_is_refused(tmp_path: Path, mode: int) -> None:
    tmp_path.chmod(mode)
    with pytest.raises(ConfigError, match="others may write"):
        ensure_private(tmp_path)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give a folder away")
def test_folder_of_another_user_is_refused(tmp_path: Path) -> None:
    os.chown(tmp_path, 65534, 65534)
    with pytest.raises(ConfigError, match="belongs to another user"):
        ensure_private(tmp_path)


@pytest.mark.parametrize("variable", ["XDG_RUNTIME_DIR", "XDG_STATE_HOME"])
@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such variables")
def test_default_folder_is_the_owners_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setenv(variable, str(tmp_path))
    (tmp_path / "completer").mkdir(mode=0o755)
    assert default_folder() == tmp_path / "completer"
    assert stat.S_IMODE((tmp_path / "completer").stat().st_mode) == 0o700


def test_token_is_not_written_through_a_link(tmp_path: Path) -> None:
    precious, link = tmp_path / "precious", tmp_path / "token"
    precious.write_text("precious")
    link.symlink_to(precious)
    with pytest.raises(ConfigError, match="is no token of yours"), token_file(link, "0" * 64):
        pass
    assert precious.read_text() == "precious"


def test_token_of_a_server_that_came_later_stays(tmp_path: Path) -> None:
    path = tmp_path / "token"
    with token_file(path, "1" * 64):
        path.write_text("2" * 64 + "\n")
    assert path.read_text() == "2" * 64 + "\n"


def test_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes"
    path.write_text("precious")
    with pytest.raises(ConfigError, match="is no socket of yours"), listening_socket(path):
        pass
    assert path.read_text() == "precious"


def test_path_that_is_too_long_for_a_socket_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no socket can be made"), listening_socket(tmp_path / ("x" * 120)):
        pass


def test_peer_of_a_unix_socket_is_known() -> None:
    one, other = socket.socketpair()
    with one, other:
        assert peer_uid(one) == os.geteuid()


@pytest.mark.parametrize(
    "endpoint",
    [
        Endpoint(stdio=True, socket="auto"),
        Endpoint(tcp="127.0.0.1:0", socket="auto"),
        Endpoint(token_file=Path("token")),
        Endpoint(socket="auto", allow_remote=True),
    ],
)
def test_options_that_do_not_go_together_are_refused(endpoint: Endpoint) -> None:
    with pytest.raises(ConfigError):
        endpoint.checked()


def test_relative_paths_count_from_the_folder_in_which_the_server_was_started() -> None:
    assert Endpoint(socket="auto").checked().socket == "auto"
    assert Endpoint(socket="run/server.sock").checked().socket == str(Path.cwd() / "run" / "server.sock")
    assert Endpoint(tcp="127.0.0.1:0", token_file=Path("token")).checked().token_file == Path.cwd() / "token"
