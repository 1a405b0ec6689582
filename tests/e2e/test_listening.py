"""Many clients at one server over TCP, and those who have no business there."""

from __future__ import annotations

import json
import os
import socket
import stat
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from lsp_client import Listening, as_another_user, client_of, completes, connect, finish, framed, start_listening, start_server

from completer.errors import ConfigError
from completer.server import run_tcp

unix_only = pytest.mark.skipif(sys.platform == "win32", reason="modes, owners and Unix sockets")
INITIALIZE: dict[str, Any] = {"processId": None, "rootUri": None, "capabilities": {}}


def stop(server: Listening) -> tuple[int, bytes]:
    server.process.terminate()
    return finish(server.process)


@pytest.fixture
def own_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Listening]:
    """A server for one test, which may stop it; its token is in the default place."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    server = start_listening("--first-message-s", "2")
    yield server
    if server.process.returncode is None:
        stop(server)


@pytest.fixture(scope="module")
def listening(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listening]:
    """A server for all the tests that do it no harm, which is what they test."""
    server = start_listening("--first-message-s", "2", "--token-file", str(tmp_path_factory.mktemp("listening") / "token"))
    yield server
    stop(server)


def everything_after(address: tuple[str, int], data: bytes, timeout_s: float = 10) -> bytes:
    """Connect, send `data`, and return all that comes until the server closes the connection."""
    with socket.create_connection(address, timeout=timeout_s) as connection:
        received = b""
        try:
            connection.sendall(data)
            while more := connection.recv(1 << 16):
                received += more
        except ConnectionError:  # reset, as some of the data was not read
            pass
        return received


def test_two_clients_are_served_at_once_and_one_may_leave(listening: Listening) -> None:
    first, second = connect(listening), connect(listening)
    for client, text in ((first, "abc"), (second, "xyz")):
        client.initialize()
        client.wait_until_ready()
        client.open(text)
    ids = [(client, client.ask_inline(0, 3)) for client in (first, second)]
    assert [client.answer(i)["result"]["items"][0]["insertText"] for client, i in ids] == ["cba", "zyx"]
    first.call("shutdown")
    first.notify("exit", None)
    assert second.inline(0, 2)[0]["insertText"] == "yx"


def test_address_that_other_machines_reach_is_refused_unless_allowed() -> None:
    def never(*_: object) -> None:
        raise AssertionError

    with pytest.raises(ConfigError, match="other machines"):
        run_tcp("0.0.0.0", 0, never)  # type: ignore[arg-type]


@unix_only
def test_token_is_readable_by_its_owner_only_and_gone_with_the_server(own_server: Listening) -> None:
    assert len(own_server.token) == 64
    assert stat.S_IMODE(own_server.token_path.stat().st_mode) == 0o600
    assert stat.S_IMODE(own_server.token_path.parent.stat().st_mode) == 0o700
    with_client = connect(own_server)
    with_client.initialize()
    assert stop(own_server)[0] == 0
    assert not own_server.token_path.exists()


@pytest.mark.parametrize("wrap", [lambda token: {"token": token}, lambda token: {"completer": {"token": token}}])
def test_initialize_may_carry_the_token_which_is_no_setting(listening: Listening, wrap: Callable[[str], Any]) -> None:
    client = client_of(socket.create_connection(listening.address))
    client.initialize(settings=wrap(listening.token))
    client.wait_until_ready()
    client.open("abc")
    assert client.inline(0, 3)
    assert not [message for message in client.seen if message["method"] == "window/showMessage"]


def test_authentication_sent_as_a_request_is_answered(listening: Listening) -> None:
    client = client_of(socket.create_connection(listening.address))
    assert client.call("completer/authenticate", {"token": listening.token}) is None
    assert completes(client)


@pytest.mark.parametrize(
    "first",
    [
        {"id": 1, "method": "initialize", "params": INITIALIZE},
        {"id": 1, "method": "initialize", "params": INITIALIZE | {"initializationOptions": {"token": "0" * 64}}},
        {"id": 1, "method": "initialize", "params": INITIALIZE | {"initializationOptions": {"token": 7}}},
        {"id": 1, "method": "completer/authenticate", "params": {"token": "ä\ud800"}},
        {"id": 1, "method": "completer/authenticate", "params": None},
        {"id": 1, "method": "completer/status"},
    ],
)
def test_without_the_token_one_error_comes_and_the_connection_ends(listening: Listening, first: dict[str, Any]) -> None:
    more = framed({"id": 2, "method": "completer/status"})
    received = everything_after(listening.address, framed(first) + more)
    answer = json.loads(received.partition(b"\r\n\r\n")[2])
    assert answer["id"] == 1
    assert "token" in answer["error"]["message"]
    assert completes(connect(listening))


@unix_only
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become another user")
def test_another_user_of_the_machine_cannot_use_the_server(listening: Listening) -> None:
    received = as_another_user(f"""
try:
    token = open({str(listening.token_path)!r}).read()
except PermissionError:
    token = "guess"
with socket.create_connection({listening.address!r}) as connection:
    connection.sendall({framed({"id": 1, "method": "initialize", "params": INITIALIZE})!r})
    print(token, connection.recv(1000))
""")
    assert received.startswith("guess")
    assert "capabilities" not in received
    assert "token is missing" in received


BODY = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": INITIALIZE}).encode()
POST = b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n"


@pytest.mark.parametrize(
    "data",
    [
        POST % len(BODY) + BODY,
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"SSH-2.0-OpenSSH_9.9\r\n",
        b"Content-Length: 2\r\nOrigin: http://evil.example\r\n\r\n{}",
        b"Content-Length: -2\r\n\r\n{}",
        b"Content-Length: 99999999999999999999\r\n\r\n{}",
        b"Content-Length: 65537\r\n\r\n{}",
        b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        b"Content-Type: x\r\n\r\n{}",
        b"Content-Length: 2" + b" " * 1100 + b"\r\n\r\n{}",
    ],
    ids=["fetch", "GET", "HTTP 2", "TLS", "SSH", "Origin", "negative", "huge", "large", "twice", "no length", "long header"],
)
def test_what_does_not_speak_the_protocol_is_closed_at_once_without_an_answer(listening: Listening, data: bytes) -> None:
    begin = time.perf_counter()
    assert everything_after(listening.address, data) == b""
    assert time.perf_counter() - begin < 1.5  # less than the time for a first message
    assert completes(connect(listening))


def test_connection_that_says_nothing_is_closed_in_time(listening: Listening) -> None:
    begin = time.perf_counter()
    assert everything_after(listening.address, b"Content-Le") == b""
    assert 1.5 < time.perf_counter() - begin < 8


def test_stream_that_breaks_later_is_closed_and_others_go_on(listening: Listening) -> None:
    good = connect(listening)
    assert completes(good)
    token = framed({"method": "completer/authenticate", "params": {"token": listening.token}})
    assert everything_after(listening.address, token + b"nonsense\r\n\r\n") == b""
    assert good.inline(0, 2)


@pytest.mark.parametrize("before", [True, False], ids=["before initialize", "after initialize"])
def test_deep_json_is_answered_and_harms_nobody(listening: Listening, before: bool) -> None:
    other, client = connect(listening), connect(listening)
    if not before:
        client.initialize()
    for deep in (b'{"a":' * 2000 + b"1" + b"}" * 2000, b"[" * 100_000):
        client.send_raw(deep)
        assert client.answer(None)["error"]["code"] in (-32600, -32700)
    if before:
        client.initialize()
    client.open("abc")
    assert client.call("completer/status")
    assert completes(other)


def test_garbage_costs_next_to_nothing_while_a_client_works(own_server: Listening) -> None:
    client = connect(own_server)
    assert completes(client)
    server = psutil.Process(own_server.process.pid)
    before = server.memory_info().rss
    waits_s = []
    for number in range(3000):
        with socket.create_connection(own_server.address) as connection:
            connection.sendall(b"Garbage: %d\r\n\r\n" % number)
        if number % 100 == 0:
            begin = time.perf_counter()
            assert client.inline(0, 3)
            waits_s.append(time.perf_counter() - begin)
    print(f"longest wait of the client: {max(waits_s) * 1e3:.0f} ms, memory +{(server.memory_info().rss - before) >> 20} MB")
    assert max(waits_s) < 1
    assert server.memory_info().rss - before < 8 << 20
    _, said = stop(own_server)
    assert b"Traceback" not in said
    assert 1 <= said.count(b"\n") < 20


def test_idle_connections_do_not_keep_a_client_out(listening: Listening) -> None:
    idle = [socket.create_connection(listening.address) for _ in range(200)]
    assert completes(connect(listening))
    for connection in idle:
        connection.close()


def test_clients_above_the_limit_are_told_so(own_server: Listening) -> None:
    clients = [connect(own_server) for _ in range(32)]
    for client in clients:
        client.initialize()
    one_more = connect(own_server)
    assert "32 clients" in one_more.answer(None)["error"]["message"]
    clients[0].call("shutdown")
    clients[0].notify("exit", None)
    assert completes(connect(own_server))


def test_token_file_of_a_server_that_died_is_replaced_but_no_other_file(tmp_path: Path) -> None:
    path = tmp_path / "token"
    first = start_listening("--token-file", str(path))
    first.process.kill()
    finish(first.process)
    second = start_listening("--token-file", str(path))
    assert second.token != first.token
    stop(second)
    path.write_text("precious")
    process = start_server("--tcp", "--token-file", str(path))
    assert b"choose another --token-file" in finish(process)[1]
    assert path.read_text() == "precious"
