"""HTTP to a llama.cpp server, and the process behind it."""

from __future__ import annotations

import asyncio
import json
import shlex
import sys
from pathlib import Path

import httpx

from bench.client import Json

START_TIMEOUT_S, ANSWER_TIMEOUT_S = 300.0, 120.0


class PeerError(RuntimeError):
    """A peer that cannot be started or reached; the message says why and what to do."""


class LlamaServer:
    """A llama.cpp server: one that runs already (url), or one started here from the PyPI wheel `xllamacpp`.

    The started one runs in a process of its own, so that its time and memory can be told from ours.
    """

    def __init__(
        self, *, url: str = "", model: Path | None = None, threads: int = 2, n_ctx: int = 0, timeout_s: float = ANSWER_TIMEOUT_S
    ) -> None:
        self.url = url.rstrip("/")
        self.pid: int | None = None
        self._model, self._threads, self._n_ctx, self._timeout_s = model, threads, n_ctx, timeout_s
        self._process: asyncio.subprocess.Process | None = None
        self._http: httpx.AsyncClient | None = None

    async def start(self) -> Json:
        """Start the server where there is none yet; return what it says of itself. Raises: PeerError."""
        if not self.url:
            await self._spawn()
        self._http = httpx.AsyncClient(base_url=self.url, timeout=httpx.Timeout(self._timeout_s), trust_env=False)
        try:
            props = (await self._http.get("/props")).json()
        except (httpx.HTTPError, ValueError) as error:
            raise PeerError(f"no llama.cpp server answers at {self.url}: {error}") from None
        return {"url": self.url if self.pid is None else "own process", "build": props.get("build_info", "")}

    async def post(self, path: str, body: Json) -> Json:
        """Return the JSON answer. Raises: PeerError on any answer but 200."""
        assert self._http is not None, "start() comes first"
        try:
            response = await self._http.post(path, json=body)
        except httpx.HTTPError as error:
            raise PeerError(f"{path}: {type(error).__name__}: {error}") from None
        if response.status_code != 200:
            raise PeerError(f"{path} answered {response.status_code}: {response.text[:200]}")
        answer: Json = response.json()
        return answer

    async def stop(self) -> None:
        """Close the connection and end the process that was started here."""
        if self._http is not None:
            await self._http.aclose()
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def _spawn(self) -> None:
        if self._model is None:
            raise PeerError("the peer needs a model file (--model FILE.gguf) or a running server (--url)")
        command = [sys.executable, "-m", "bench.peers.llamacpp", str(self._model)]
        command += ["--threads", str(self._threads), "--ctx", str(self._n_ctx)]
        self._process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
        )
        assert self._process.stdout is not None
        try:
            while line := await asyncio.wait_for(self._process.stdout.readline(), START_TIMEOUT_S):
                if line.startswith(b'{"listening"'):
                    self.url = json.loads(line)["listening"]
                    self.pid = self._process.pid
                    return
        except TimeoutError:
            pass
        raise PeerError(f"llama.cpp did not start: {shlex.join(command)}")
