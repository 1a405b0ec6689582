"""Several typists at once on one server: how throughput and latency grow, and where they break."""

from __future__ import annotations

import asyncio
import shlex
import socket
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from bench.drive import Typist
from bench.editor import Editor, EditorModel
from bench.figures import Summary, before_next, latencies, model_work
from bench.replay import Run, collect, join_stages
from bench.resources import Meter
from bench.trace import Trace

STILL_GOOD = 0.8
"""A load breaks the server when fewer of the keys than this share are answered before the next key."""
START_TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True)
class Target:
    """The server: a command, and the address it listens on ("": each typist starts a process of their own).

    token: what completer wants to hear from a client on TCP; "": other servers want nothing.
    """

    command: str
    tcp: str = ""
    pid: int | None = None
    token: str = ""


async def measure(
    target: Target, n_typists: int, traces: Sequence[Trace], model: EditorModel, *, warm_up_s: float = 0.0
) -> Summary:
    """Let `n_typists` type at the same time, each a trace of their own (in turn from `traces`); return the figures."""
    origin_s = perf_counter()
    options = {"token": target.token} if target.token else None
    tools = [
        Editor(target.command, model, name=f"typist-{i}", options=options, tcp=target.tcp, warm_up_s=warm_up_s)
        for i in range(n_typists)
    ]
    try:
        for tool in tools:
            await tool.start(origin_s)
        roots = [target.pid] if target.tcp else [tool.pid for tool in tools]
        meters = [Meter(pid) for pid in roots]
        for meter in meters:
            meter.resume()
        begun = perf_counter()
        runs = await asyncio.gather(*(_type(tool, traces[i % len(traces)], f"{i}/", origin_s) for i, tool in enumerate(tools)))
        seconds = perf_counter() - begun
        for meter in meters:
            meter.pause()
    finally:
        await asyncio.gather(*(tool.stop() for tool in tools), return_exceptions=True)
    keys = [r for run in runs for r in run.records if r.kind == "key"]
    answered = sum(r.status in ("shown", "empty") for r in keys)
    return {
        "typists": n_typists,
        "keys": len(keys),
        "seconds": round(seconds, 2),
        "keys_per_s": round(len(keys) / seconds, 2),
        "answers_in_time_per_s": round(answered / seconds, 2),
        "latency_ms": latencies(keys),
        "before_next_key": before_next(keys),
        "model": model_work(keys),
        "cpu_s": round(sum(meter.cpu_s for meter in meters), 2),
        "peak_mb": round(sum(meter.peak_mb for meter in meters), 1),
    }


def breaks_at(steps: Sequence[Summary]) -> int | None:
    """Return the smallest number of typists at which too few keys are answered in time; None: none of them."""
    broken = [s["typists"] for s in steps if s["before_next_key"]["answered"] < STILL_GOOD]
    return min(broken, default=None)


@asynccontextmanager
async def serving(command: str, tcp: str, token_file: Path | None = None) -> AsyncIterator[Target]:
    """Yield the server to connect to.

    tcp: one that runs already, token_file: where it wrote its token. Otherwise a command that holds "{address}" is
    started once, with a free address and a path for "{token_file}" filled in; without it each typist starts the command
    for themselves. Raises: TimeoutError, OSError.
    """
    if tcp or "{address}" not in command:
        yield Target(command, tcp, token=read_token(token_file))
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    with tempfile.TemporaryDirectory() as folder:
        own_token = Path(folder) / "token"
        process = await asyncio.create_subprocess_exec(
            *shlex.split(command.replace("{address}", address).replace("{token_file}", shlex.quote(str(own_token)))),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            await _listening(address, lambda: process.returncode)
            yield Target(command, address, process.pid, read_token(own_token if "{token_file}" in command else None))
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()


def read_token(path: Path | None) -> str:
    """Return the token in a file, "" without one. Raises: OSError."""
    return path.read_text(encoding="ascii").strip() if path else ""


async def _listening(address: str, exit_status: Callable[[], int | None]) -> None:
    host, _, port = address.rpartition(":")
    deadline = perf_counter() + START_TIMEOUT_S
    while perf_counter() < deadline:
        if (status := exit_status()) is not None:
            raise ConnectionError(f"the server ended with status {status} before it listened")
        try:
            _, writer = await asyncio.open_connection(host, int(port))
        except OSError:
            await asyncio.sleep(0.1)
            continue
        writer.close()
        return
    raise TimeoutError(f"the server does not listen on {address}")


async def _type(tool: Editor, trace: Trace, prefix: str, origin_s: float) -> Run:
    typist = Typist(tool, trace, origin_s, prefix=prefix)
    run = Run(tool, Meter(None))
    for segment in trace.segments():
        records = await typist.play(segment)
        join_stages(records, await tool.stages())
    typist.finish()
    collect(run, typist.records)
    return run
