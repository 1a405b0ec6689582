"""The way to the endpoints: kept connections, TLS, bearer token, fail-over.

Endpoints are tried in their order: the first that takes the request gets it, so that its prefix cache stays warm. One
that fails is left alone for a while, longer each time, and then tried again by the next request.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

from completer.engines.remote.bearer import Bearer
from completer.errors import AccessDenied, ConfigError, DeadlineOver, ServerError, ServerUnreachable
from completer.system.proxies import is_loopback, proxy_for

log = logging.getLogger(__name__)

CONNECT_S = 2.0
REST_S = (1.0, 5.0, 30.0)
"""How long an endpoint is left alone after its first, second, and each further failure in a row."""
ROUNDS = 2
"""So often all endpoints are tried before a request fails."""
BETWEEN_ROUNDS_S = 0.2
_ELSEWHERE = frozenset((429, 500, 502, 503, 504))
"""Statuses with which another endpoint, or the same one a little later, may do better."""
_MAX_MESSAGE = 160


@dataclass(slots=True)
class _State:
    failures: int = 0
    rests_until: float = 0.0


class Link:
    """Connections to a list of equal endpoints. Used from one event loop at a time; `close` lets another one go on with it."""

    def __init__(
        self, endpoints: Sequence[str], bearer: Bearer, ca_file: str = "", session_header: str = "", socket: str = ""
    ) -> None:
        """endpoints: base URLs.  ca_file: certificates to trust besides the system's.  session_header: name, or "" for none.

        socket: path of the Unix socket at which they are reached; "": by their addresses.
        Raises: ConfigError for a wrong URL, a token that would travel in clear, a certificate file that cannot be read,
        or a proxy that cannot be used.
        """
        self.endpoints = tuple(_checked(url, bool(bearer)) for url in endpoints)
        if not self.endpoints:
            raise ConfigError("engine 'remote' needs the setting 'endpoints': a list of URLs such as http://127.0.0.1:8080")
        self._bearer = bearer
        self._tls = _tls(ca_file)
        self._session_header = session_header
        self._socket = socket
        self._states = {url: _State() for url in self.endpoints}
        self._proxies = {url: proxy_for(url) for url in self.endpoints}
        self._clients: dict[str, httpx.AsyncClient] = {}

    @asynccontextmanager
    async def post(self, path: str, body: Any, *, deadline: float, session: str = "") -> AsyncIterator[httpx.Response]:
        """Yield the response to a POST, its body not read yet; leaving the context closes the stream, which cancels it.

        deadline: of the event loop's clock, until the headers are here.
        Raises: ServerUnreachable, AccessDenied, DeadlineOver, ServerError, ConfigError.
        """
        headers = {self._session_header: session} if self._session_header and session else {}
        response = await self._opened("POST", path, body, headers, deadline)
        try:
            yield response
        finally:
            await response.aclose()

    async def get(self, path: str, deadline: float) -> Any:
        """Return the JSON of a GET. Raises: as `post`."""
        return await self._json(await self._opened("GET", path, None, {}, deadline), path)

    async def post_json(self, path: str, body: Any, deadline: float) -> Any:
        """Return the JSON of a POST. Raises: as `post`."""
        return await self._json(await self._opened("POST", path, body, {}, deadline), path)

    async def close(self) -> None:
        clients, self._clients = self._clients, {}
        for client in clients.values():
            await client.aclose()

    @staticmethod
    async def _json(response: httpx.Response, path: str) -> Any:
        try:
            await response.aread()
            return response.json()
        except (httpx.HTTPError, ValueError) as error:
            raise ServerError(
                f"{response.url} did not answer with JSON: {type(error).__name__}; is {path} behind a proxy?"
            ) from error
        finally:
            await response.aclose()

    async def _opened(self, method: str, path: str, body: Any, headers: dict[str, str], deadline: float) -> httpx.Response:
        """Return the response of the first endpoint that takes the request. Mutates: what is known of the endpoints."""
        reasons: dict[str, str] = {}
        renewed = False
        try:
            async with asyncio.timeout_at(deadline):
                for turn in range(ROUNDS):
                    if turn:
                        await asyncio.sleep(BETWEEN_ROUNDS_S)
                    for url in self._in_order():
                        response = await self._sent(method, url, path, body, headers, reasons)
                        if response is not None and response.status_code == 401 and self._bearer.can_renew and not renewed:
                            renewed = True  # tokens of commands expire
                            await response.aclose()
                            self._bearer.forget()
                            response = await self._sent(method, url, path, body, headers, reasons)
                        if response is not None:
                            return await self._accepted(response, url)
        except TimeoutError:
            raise DeadlineOver(f"no answer in time from {', '.join(self.endpoints)}{_because(reasons)}") from None
        raise ServerUnreachable(f"no endpoint takes requests{_because(reasons)}")

    async def _sent(
        self, method: str, url: str, path: str, body: Any, headers: dict[str, str], reasons: dict[str, str]
    ) -> httpx.Response | None:
        """Return the endpoint's response, or None when another one should be asked. Mutates: its state, reasons."""
        headers = {**headers, **await self._bearer.headers()}
        client = self._client_of(url)
        try:
            response = await client.send(client.build_request(method, url + path, json=body, headers=headers), stream=True)
        except httpx.HTTPError as error:
            reasons[url] = _reason(error)
            self._failed(url, reasons[url])
            return None
        if response.status_code in _ELSEWHERE:
            reasons[url] = f"HTTP {response.status_code} {await _message(response)}".strip()
            await response.aclose()
            self._failed(url, reasons[url])
            return None
        self._states[url] = _State()
        return response

    async def _accepted(self, response: httpx.Response, url: str) -> httpx.Response:
        if response.status_code < 300:
            return response
        said = await _message(response)
        await response.aclose()
        if response.status_code in (401, 403):
            how = "the server refuses this one" if self._bearer else "the server wants one"
            raise AccessDenied(
                f"{url}: HTTP {response.status_code}: {how}: set 'token_env' or 'token_command' so that it gives a valid token"
            )
        raise ServerError(f"{response.url}: HTTP {response.status_code} {said}".strip())

    def _in_order(self) -> list[str]:
        """Return the endpoints to try: those that do not rest; all when all do."""
        now = time.monotonic()
        return [url for url in self.endpoints if self._states[url].rests_until <= now] or list(self.endpoints)

    def _failed(self, url: str, reason: str) -> None:
        state = self._states[url]
        rest_s = REST_S[min(state.failures, len(REST_S) - 1)]
        self._states[url] = _State(state.failures + 1, time.monotonic() + rest_s)
        log.warning("%s: %s; it is left alone for %.0f s", url, reason, rest_s)

    def _client_of(self, url: str) -> httpx.AsyncClient:
        """Return the connections to one endpoint. Mutates: the connections."""
        if url not in self._clients:
            limits = httpx.Limits(max_keepalive_connections=8, keepalive_expiry=60.0)
            # The deadline of each request bounds reading; a server may be silent for long while it reads the prompt.
            timeout = httpx.Timeout(None, connect=CONNECT_S, pool=CONNECT_S)
            # No HTTP/2: httpcore (1.0) does not reset a stream that is left, so the server would go on decoding for nobody
            # (0 of 3 ended in tests/contract/test_remote_tls.py with http2=True). Here leaving closes the connection.
            # Not trust_env: httpx would fail on any proxy of the environment that it does not know, needed or not.
            self._clients[url] = httpx.AsyncClient(
                transport=httpx.AsyncHTTPTransport(uds=self._socket, limits=limits) if self._socket else None,
                verify=self._tls,
                limits=limits,
                timeout=timeout,
                proxy=self._proxies[url],
                trust_env=False,
            )
        return self._clients[url]


def _checked(url: str, has_token: bool) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(f"endpoint {url!r} is not a URL such as https://models.example.org or http://127.0.0.1:8080")
    if parts.username or parts.password:
        raise ConfigError("an endpoint's URL must not hold a password: use 'token_env' or 'token_command'")
    if has_token and parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ConfigError(f"endpoint {url!r} would get the bearer token in clear: use https")
    return url.rstrip("/").removesuffix("/v1")


def _tls(ca_file: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca_file:
        try:
            context.load_verify_locations(cafile=ca_file)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"the certificates in {ca_file!r} (setting 'tls_ca') cannot be read: {error}") from error
    return context


def _reason(error: httpx.HTTPError) -> str:
    if isinstance(error, httpx.ConnectTimeout):
        return f"no connection within {CONNECT_S:.0f} s"
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return "its certificate is not trusted: name the certificate authority's file in 'tls_ca'"
    return str(error) or type(error).__name__


def _because(reasons: dict[str, str]) -> str:
    return "".join(f"; {url}: {reason}" for url, reason in reasons.items())


async def _message(response: httpx.Response) -> str:
    """Return a server's message about an error, shortened; never the request, which some servers repeat."""
    try:
        await response.aread()
        said: Any = response.json()
    except (httpx.HTTPError, ValueError):
        return ""
    return message_of(said)


def message_of(said: Any) -> str:
    """Return the one line of an error answer that tells what is wrong; "" when there is none."""
    for key in ("error", "message", "detail", "msg"):
        if isinstance(said, dict) and key in said:
            return message_of(said[key])
    if isinstance(said, list) and said:
        return message_of(said[0])
    return said.partition("\n")[0][:_MAX_MESSAGE] if isinstance(said, str) else ""
