"""Endpoints that are down, slow, busy, or want a token."""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scripted_server import Answer, Script, plain, serving

from completer.engines.remote.bearer import Bearer
from completer.engines.remote.link import Link, message_of
from completer.errors import AccessDenied, CompleterError, ConfigError, DeadlineOver, ServerError, ServerUnreachable


def closed_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


async def get(link: Link, seconds: float = 5.0) -> Any:
    try:
        return await link.get("/x", asyncio.get_running_loop().time() + seconds)
    finally:
        await link.close()


def ok(_: Any) -> Answer:
    return plain({"ok": True})


async def test_the_next_endpoint_takes_over_and_the_failed_one_is_left_alone() -> None:
    with serving(Script({"/x": ok})) as script:
        link = Link([closed_port(), script.url], Bearer())
        assert await get(link) == {"ok": True}
        started = time.perf_counter()
        assert await get(link) == {"ok": True}
        assert time.perf_counter() - started < 0.5
    assert len(script.asked) == 2


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
async def test_an_overloaded_endpoint_is_passed_over(status: int) -> None:
    with serving(Script({"/x": lambda _: plain({"error": "busy"}, status)})) as busy, serving(Script({"/x": ok})) as free:
        assert await get(Link([busy.url, free.url], Bearer())) == {"ok": True}


async def test_the_preferred_endpoint_is_used_again_when_it_has_rested(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("completer.engines.remote.link.REST_S", (0.1,))
    down = [True]
    with (
        serving(Script({"/x": lambda _: plain({}, 503) if down[0] else ok(_)})) as first,
        serving(Script({"/x": ok})) as second,
    ):
        link = Link([first.url, second.url], Bearer())
        await get(link)
        down[0] = False
        await asyncio.sleep(0.15)
        await get(link)
        assert (len(first.asked), len(second.asked)) == (2, 1)


async def test_when_all_are_down_the_error_names_each_with_its_reason() -> None:
    one, two = closed_port(), closed_port()
    with pytest.raises(ServerUnreachable) as raised:
        await get(Link([one, two], Bearer()))
    assert one in str(raised.value) and two in str(raised.value)
    assert "\n" not in str(raised.value)


async def test_a_slow_server_is_waited_for_until_the_deadline_and_no_longer() -> None:
    def late(_: Any) -> Answer:
        time.sleep(1.5)
        return plain({})

    with serving(Script({"/x": late})) as script:
        started = time.perf_counter()
        with pytest.raises(DeadlineOver, match="no answer in time"):
            await get(Link([script.url], Bearer()), seconds=0.3)
        assert time.perf_counter() - started < 0.8


@pytest.mark.parametrize("status", [401, 403])
async def test_a_missing_or_wrong_token_is_told_with_the_mend(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THE_TOKEN", "wrong")
    with serving(Script({"/x": lambda _: plain({"error": "no"}, status)})) as script:
        with pytest.raises(AccessDenied, match="wants one: set 'token_env' or 'token_command'"):
            await get(Link([script.url], Bearer()))
        with pytest.raises(AccessDenied, match="refuses this one") as raised:
            await get(Link([script.url], Bearer(env="THE_TOKEN")))
    assert "wrong" not in str(raised.value)
    assert script.asked[-1][1]["Authorization"] == "Bearer wrong"


async def test_a_token_command_is_run_again_when_its_token_expires(tmp_path: Path) -> None:
    counter = tmp_path / "n"
    code = f"p = {str(counter)!r}; f = open(p, 'a'); f.write('x'); f.close(); print('t%d' % len(open(p).read()))"
    bearer = Bearer(command=[sys.executable, "-c", code])
    script = Script()
    script.answers["/x"] = lambda _: ok(_) if script.asked[-1][1]["Authorization"] == "Bearer t2" else plain({}, 401)
    with serving(script):
        link = Link([script.url], bearer)
        assert await get(link) == {"ok": True}
        assert await get(link) == {"ok": True}
    assert counter.read_text() == "xx"


Make = Callable[[], Any]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Link([], Bearer()), "needs the setting 'endpoints'"),
        (lambda: Link(["127.0.0.1:8080"], Bearer()), "is not a URL"),
        (lambda: Link(["http://me:secret@host"], Bearer()), "must not hold a password"),
        (lambda: Link(["http://models.example.org"], Bearer(env="T")), "token in clear: use https"),
        (lambda: Link(["https://h"], Bearer(), ca_file="/nowhere.pem"), "'tls_ca'"),
        (lambda: Bearer("T", ["cmd"]), "exclude each other"),
    ],
)
def test_wrong_settings_are_refused_with_the_mend(make: Make, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as raised:
        make()
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    "bearer",
    [Bearer(env="NOT_SET_ANYWHERE"), Bearer(command=["no-such-program"]), Bearer(command=[sys.executable, "-c", "exit(3)"])],
)
async def test_a_token_that_cannot_be_had_is_an_error_and_not_a_request(bearer: Bearer) -> None:
    with serving(Script({"/x": ok})) as script, pytest.raises(CompleterError, match="token"):
        await get(Link([script.url], bearer))
    assert not script.asked


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_no_proxy_stands_before_a_server_of_this_machine(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, closed_port())
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with serving(Script({"/x": ok})) as script:
        assert await get(Link([script.url.replace("127.0.0.1", host)], Bearer())) == {"ok": True}


async def test_an_answer_that_is_no_json_is_an_error() -> None:
    page = Answer([b"<html>sign in</html>"], kind="text/html")
    with serving(Script({"/x": lambda _: page})) as script, pytest.raises(ServerError, match="behind a proxy"):
        await get(Link([script.url], Bearer()))


def test_the_message_of_an_error_is_one_short_line() -> None:
    assert message_of({"error": {"message": "a\nb", "code": 3}}) == "a"
    assert message_of({"detail": [{"msg": "x" * 500, "input": "secret"}]}) == "x" * 160
    assert message_of({"object": "error", "message": "no"}) == "no"
    assert message_of({"x": 1}) == message_of([]) == message_of(None) == ""
