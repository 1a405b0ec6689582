"""`python -m bench fuzz`: hostile messages to a real language server and its worker."""

from __future__ import annotations

import contextlib
import json
import random
import subprocess
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated

import psutil
import typer

from bench import options as o
from bench.client import Json
from bench.fuzz import scenes, worker_side
from bench.fuzz.hostile import Hostile
from bench.fuzz.lsp import Broken, Connection, Slowest
from bench.stand import Stand, stand

PER_CONNECTION = 300
PER_PROBE = 25
START_S = 120.0
MB = 2**20
GROWTH_MB = 100.0
"""That the server may have grown, once everything is closed, over what it had after the first round of scenes."""


@dataclass(slots=True)
class Run:
    """One run.

    n_lsp, n_worker: messages sent.  n_large: scenes played.
    resident_mb, worker_mb: after each round of scenes, when all is closed again.
    """

    server: psutil.Process
    lsp_socket: Path
    worker_socket: Path
    seed: int
    n_lsp: int = 0
    n_worker: int = 0
    n_large: int = 0
    peak_mb: float = 0.0
    resident_mb: list[float] = field(default_factory=list)
    worker_mb: list[float] = field(default_factory=list)
    slowest: Slowest = field(default_factory=Slowest)
    worker_report_s: float = 0.0

    def connect(self, greeted: bool = True) -> Connection:
        connection = Connection(self.lsp_socket, self.server, self.slowest)
        if greeted:
            scenes.shake_hands(connection)
        else:
            connection.probe("nothing")  # the first message may be short only
        return connection

    def random_messages(self, numbers: random.Random, n: int) -> None:
        """Send `n` messages on one connection, then break it in some way. Raises: Broken."""
        connection, hostile = self.connect(numbers.random() < 0.9), Hostile(numbers.getrandbits(64))
        kinds: list[str] = []
        for i in range(n):
            sent = hostile.message()
            connection.send(sent.body, sent.due)
            kinds.append(sent.kind)
            if i % PER_PROBE == 0:
                connection.probe(" ".join(kinds))
                kinds.clear()
        self.n_lsp += n
        connection.settle()
        ending = numbers.choice((*scenes.HEADERS, scenes.cut_message(), b""))
        connection.send_raw(ending)
        if ending in scenes.HEADERS and not ending.startswith(b"Content-Type"):
            connection.closes()
        connection.close()

    def large_inputs(self, small: bool) -> None:
        """Play each scene. Raises: Broken."""
        for name, scene in scenes.scenes(small):
            connection = self.connect()
            n_sent = scene(connection)
            self.n_lsp, self.n_large = self.n_lsp + n_sent, self.n_large + 1
            connection.settle()
            self.peak_mb = max(self.peak_mb, _mb(self.server))
            connection.probe(f"closing of {name}")
            connection.close()

    def worker_messages(self, numbers: random.Random, n: int) -> None:
        """Raises: Broken."""
        self.n_worker += worker_side.play(self.worker_socket, numbers, n)
        self.worker_report_s = max(self.worker_report_s, worker_side.report_s(self.worker_socket))

    def figures(self) -> Json:
        names = ("seed", "n_lsp", "n_worker", "n_large", "peak_mb", "resident_mb", "worker_mb", "worker_report_s")
        return {**{name: getattr(self, name) for name in names}, "slowest": asdict(self.slowest)}

    def rest(self, worker: psutil.Process) -> None:
        """Take down what memory is left. Mutates: the figures."""
        time.sleep(0.5)
        self.resident_mb.append(round(_mb(self.server), 1))
        self.worker_mb.append(round(_mb(worker), 1))


def fuzz(
    messages: Annotated[int, typer.Option(help="Messages to send; a tenth of them to the worker.")] = 20_000,
    seed: Annotated[int, typer.Option(help="Of the random messages; the same seed sends the same.")] = 1,
    minutes: Annotated[float, typer.Option(help="Stop after so long, whatever was sent until then.")] = 60.0,
    small: Annotated[bool, typer.Option("--small", help="Large inputs at a hundredth of their size.")] = False,
    out: o.Out = Path("out/bench/fuzz"),
) -> None:
    """Send hostile messages: each request must have one answer, nothing may crash or hang, memory must come back."""
    with stand() as place:
        result = fuzz_at(place, messages, seed, minutes, small)
    out.mkdir(parents=True, exist_ok=True)
    (out / "fuzz.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    o.finish(result)
    if result["failures"]:
        raise typer.Exit(1)


def fuzz_at(place: Stand, messages: int, seed: int, minutes: float, small: bool) -> Json:
    """Start a server on the stand and send it what `fuzz` describes; return the figures, and what failed."""
    path = place.folder / "lsp.sock"
    process = place.start("--socket", str(path))
    failures: list[str] = []
    try:
        worker, run = _begin(place, psutil.Process(process.pid), path, seed)
        began = time.monotonic()
        try:
            _play(run, worker, messages, began + 60 * minutes, small)
        except (Broken, OSError) as error:
            failures.append(f"seed {seed}, after {run.n_lsp} messages: {type(error).__name__}: {error}")
        failures += _failures(run, worker, process.poll())
        return {"failures": failures, "seconds": round(time.monotonic() - began, 1), **run.figures()}
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            failures.append("the server did not end within 20 s")


def _begin(place: Stand, server: psutil.Process, path: Path, seed: int) -> tuple[psutil.Process, Run]:
    """Wait until the server listens and its worker has the model."""
    until = time.monotonic() + START_S
    connection: Connection | None = None
    while not (sockets := list((place.folder / "run").rglob("worker-*.sock"))):
        if connection is None and path.exists():
            with contextlib.suppress(OSError):
                connection = Connection(path, server, Slowest())
                scenes.shake_hands(connection)
        if time.monotonic() > until:
            raise Broken("the server or its worker did not start")
        time.sleep(0.1)
    time.sleep(1)  # the model is loaded for a client, so this one must stay
    if connection is not None:
        connection.probe("the start")
        connection.close()
    (worker,) = place.workers()
    return worker, Run(server, path, sockets[0], seed)


def _play(run: Run, worker: psutil.Process, messages: int, until: float, small: bool) -> None:
    numbers = random.Random(run.seed)
    run.large_inputs(small)
    run.rest(worker)
    n_rounds = 1
    while run.n_lsp + run.n_worker < messages and time.monotonic() < until:
        n = min(PER_CONNECTION, messages)
        run.random_messages(numbers, n)
        if numbers.random() < 0.5:
            run.worker_messages(numbers, n // 5)
        if run.n_lsp > n_rounds * 200_000:
            n_rounds += 1
            run.large_inputs(small)
            run.rest(worker)
    run.rest(worker)


def _failures(run: Run, worker: psutil.Process, code: int | None) -> list[str]:
    found = []
    if code is not None:
        return [f"the server ended with status {code}"]
    if not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE:
        found.append("the worker ended")
    if run.slowest.cpu_s > 1:
        found.append(f"an answer took {run.slowest.cpu_s:.1f} s of CPU time after {run.slowest.after}")
    if run.resident_mb and run.resident_mb[-1] > run.resident_mb[0] + GROWTH_MB:
        found.append(f"memory grew: {run.resident_mb}")
    return found


def _mb(process: psutil.Process) -> float:
    try:
        return float(process.memory_info().rss) / MB
    except psutil.Error:
        return 0.0
