"""TLS with a company's certificate authority, against a real server (hypercorn) that offers HTTP/2 and HTTP/1.1."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trustme
from hypercorn.asyncio import serve
from hypercorn.config import Config

from completer.engines.base import StreamRequest
from completer.engines.remote.bearer import Bearer
from completer.engines.remote.dialects import DIALECTS
from completer.engines.remote.engine import RemoteEngine
from completer.engines.remote.link import Link
from completer.errors import ServerUnreachable
from completer.tokens.tokenizer import Tokenizer

N_MESSAGES = 400


@dataclass
class Seen:
    """What the server saw. Mutated by its thread."""

    url: str
    ca_file: str
    versions: list[str] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    n_broken_off: int = 0


def app_of(seen: Seen) -> Callable[..., Awaitable[None]]:
    """Return an application that streams until its client leaves."""

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        seen.versions.append(scope["http_version"])
        seen.tokens.append(dict(scope["headers"]).get(b"authorization", b"").decode())
        while (await receive()).get("more_body"):
            continue
        left = asyncio.create_task(receive())
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
        for _ in range(N_MESSAGES):
            if left.done():
                seen.n_broken_off += 1
                return
            message = json.dumps({"choices": [{"text": "a"}]})
            await send({"type": "http.response.body", "body": f"data: {message}\n\n".encode(), "more_body": True})
            await asyncio.sleep(0.01)
        await send({"type": "http.response.body", "body": b""})

    return app


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Seen]:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    paths = {name: str(tmp_path / name) for name in ("ca.pem", "cert.pem", "key.pem")}
    authority.cert_pem.write_to_path(paths["ca.pem"])
    certificate.cert_chain_pems[0].write_to_path(paths["cert.pem"])
    certificate.private_key_pem.write_to_path(paths["key.pem"])
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    config = Config()
    config.bind, config.certfile, config.keyfile, config.loglevel = [address], paths["cert.pem"], paths["key.pem"], "CRITICAL"
    seen = Seen(f"https://{address}", paths["ca.pem"])
    loop, stop = asyncio.new_event_loop(), asyncio.Event()
    serving = serve(app_of(seen), config, shutdown_trigger=stop.wait)  # type: ignore[arg-type]
    thread = threading.Thread(target=loop.run_until_complete, args=(serving,), daemon=True)
    thread.start()
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", int(address.rpartition(":")[2]))) == 0:
                break
        threading.Event().wait(0.02)
    yield seen
    loop.call_soon_threadsafe(stop.set)
    thread.join(5)


def engine_of(server: Seen, tokenizer: Tokenizer, bearer: Bearer, ca_file: str) -> RemoteEngine:
    return RemoteEngine(Link([server.url], bearer, ca_file), DIALECTS["openai"], "m", tokenizer, 2048, same_vocabulary=False)


async def first_pieces(engine: RemoteEngine, n_streams: int) -> None:
    """Read the first piece of several streams at once, then leave them all."""

    async def one() -> None:
        async with aclosing(engine.stream(StreamRequest((1, 2, 3), 9, deadline_s=10))) as pieces:
            assert (await anext(pieces)).ids

    await asyncio.gather(*(one() for _ in range(n_streams)))


async def test_leaving_ends_each_stream_at_the_server_which_http_2_would_not(
    server: Seen, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THE_TOKEN", "t1")
    engine = engine_of(server, tokenizer, Bearer(env="THE_TOKEN"), server.ca_file)
    await first_pieces(engine, 3)
    for _ in range(100):
        if server.n_broken_off == 3:
            break
        await asyncio.sleep(0.02)
    await engine.close()
    assert server.n_broken_off == 3
    assert set(server.versions) == {"1.1"}
    assert set(server.tokens) == {"Bearer t1"}


async def test_a_certificate_that_nobody_vouches_for_is_refused_with_the_mend(server: Seen, tokenizer: Tokenizer) -> None:
    engine = engine_of(server, tokenizer, Bearer(), "")
    with pytest.raises(ServerUnreachable, match="not trusted: name the certificate authority's file in 'tls_ca'"):
        await first_pieces(engine, 1)
    await engine.close()
    assert server.versions == []
