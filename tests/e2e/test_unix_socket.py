"""Many clients at one server over a Unix socket."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

import pytest
from lsp_client import as_another_user, client_of, completes, finish, framed, start_server

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Unix sockets")


@pytest.fixture
def socket_path(tmp_path: Path) -> Iterator[Path]:
    """The path of a socket at which a server listens."""
    path = tmp_path / "owner" / "server.sock"
    process = start_server("--socket", str(path))
    wait_until_listening(process)
    yield path
    process.terminate()
    finish(process)


def wait_until_listening(process: subprocess.Popen[bytes]) -> None:
    assert b"listening on" in cast("BinaryIO", process.stderr).readline()


def test_socket_needs_no_token_and_is_gone_with_the_server(socket_path: Path) -> None:
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(str(socket_path))
    assert completes(client_of(connection))
    assert stat.S_IMODE(socket_path.stat().st_mode) == 0o600
    assert stat.S_IMODE(socket_path.parent.stat().st_mode) == 0o700


def test_socket_of_a_live_server_is_left_alone_and_that_of_a_dead_one_replaced(tmp_path: Path) -> None:
    path = tmp_path / "server.sock"
    first = start_server("--socket", str(path))
    wait_until_listening(first)
    code, said = finish(start_server("--socket", str(path)))
    assert code != 0
    assert b"a server listens" in said
    first.kill()
    finish(first)
    assert path.is_socket()
    second = start_server("--socket", str(path))
    wait_until_listening(second)
    second.terminate()
    assert finish(second)[0] == 0
    assert not path.exists()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become another user")
def test_another_user_is_refused_at_the_socket_whatever_its_mode(socket_path: Path) -> None:
    for folder in (socket_path.parent, *socket_path.parent.parents):
        if folder.stat().st_mode & 0o005 != 0o005:
            folder.chmod(0o755)
    socket_path.chmod(0o666)
    received = as_another_user(f"""
with socket.socket(socket.AF_UNIX) as connection:
    connection.connect({str(socket_path)!r})
    try:
        connection.sendall({framed({"id": 1, "method": "initialize", "params": {"capabilities": {}}})!r})
        print("received", connection.recv(1000))
    except ConnectionError:
        print("received", b"")
""")
    assert received == "received b''\n"
