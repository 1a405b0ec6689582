"""The engine table: what a forward costs on each engine and in each format, beside llama.cpp on the same file.

`python -m bench engine`. Each engine lives in a process of its own and they are measured in turns, one at a time, so that
a machine that gets warm or busy weighs on all of them. Fractions are of what this machine was measured to do in the
same rounds: a decode step is bound by reading the weights, a prefill by the matrix product.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Annotated, Any

import typer
from rich.table import Table

from bench import inside
from bench.client import Json
from bench.formats import FORMATS, ON_CUDA
from bench.options import finish
from bench.provenance import provenance

SUBJECTS = (*FORMATS, "llama.cpp")
WIDTHS = (1, 2, 4, 8, 16, 128, 512)
CONTEXT_TOKENS = 300


class WorkerError(RuntimeError):
    """An engine's process ended; the message is its last line."""


class Worker:
    """A process of `bench.engine_worker`. `ready`: what it said of itself when it was loaded."""

    def __init__(self, name: str, model: str, threads: int, device: str = "cpu") -> None:
        self.name = name
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  # closed in __exit__
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.engine_worker", name, model, "--threads", str(threads), "--device", device],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        self.ready: Json = {}

    def __enter__(self) -> Worker:
        self.ready = self._read("ready")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._errors.close()

    def ask(self, question: Json) -> Json:
        """Return the answer to one question. Raises: WorkerError."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        return self._read("answer")

    def _read(self, kind: str) -> Json:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith(f'{{"{kind}"'):
                message: Json = json.loads(line)[kind]
                return message
        self._errors.seek(0)
        last = [line for line in self._errors.read().splitlines() if line.strip()][-1:]
        raise WorkerError(f"{self.name}: {last[0] if last else 'ended without a word'}")


@dataclass(slots=True)
class Samples:
    """What came back of one subject. ms: {width: milliseconds of every forward, all rounds}."""

    ready: Json
    ms: dict[int, list[float]] = field(default_factory=dict)

    def add(self, answer: Json) -> None:
        for width, times in answer.items():
            self.ms.setdefault(int(width), []).extend(times)


def shares(samples: Samples, limits: Json) -> tuple[dict[int, float], dict[int, float]]:
    """Return {width: share of the memory limit} for decode widths and {width: share of the product rate} for prefill widths.

    Both from the median; a share above 1 of the bf16 product rate is possible with 8-bit weights.
    """
    memory, product = {}, {}
    for width, times in samples.ms.items():
        seconds = statistics.median(times) / 1e3
        if width <= 16:
            memory[width] = samples.ready["weight_bytes"] / seconds / 1e9 / limits["memory_gb_s"]
        else:
            product[width] = 2 * samples.ready["product_weights"] * width / seconds / 1e9 / limits["product_gflop_s"]
    return memory, product


def describe(samples: Samples, limits: Json) -> Json:
    """Return one subject's part of the result."""
    memory, product = shares(samples, limits)
    rounded = {key: round(value, 2) if isinstance(value, float) else value for key, value in samples.ready.items()}
    quartiles = {width: statistics.quantiles(times, n=4) for width, times in samples.ms.items()}
    return {
        **rounded,
        "ms": {width: {"p50": round(q[1], 2), "p25": round(q[0], 2), "p75": round(q[2], 2)} for width, q in quartiles.items()},
        "n": {width: len(times) for width, times in samples.ms.items()},
        "memory_share": {width: round(value, 3) for width, value in memory.items()},
        "product_share": {width: round(value, 3) for width, value in product.items()},
    }


def measure(
    names: Sequence[str], model: str, threads: int, rounds: int, seconds: float, widths: Sequence[int], device: str = "cpu"
) -> Json:
    """Return {"limits", "engines", "unavailable"}: every subject loaded one after the other, then measured in turns.

    seconds: spent on each width in each round. An engine that cannot be loaded is named with its reason.
    """
    question = {"widths": list(widths), "context": CONTEXT_TOKENS, "seconds": seconds}
    unavailable: dict[str, str] = {}
    with ExitStack() as stack, inside.bars() as bars:
        limits_of_machine = stack.enter_context(Worker("limits", model, threads, device))
        loading = bars.add_task("loading", total=len(names))
        workers: list[Worker] = []
        for name in names:
            bars.update(loading, description=f"loading {name}")
            try:
                workers.append(stack.enter_context(Worker(name, model, threads, device)))
            except WorkerError as error:
                unavailable[name] = str(error)
            bars.advance(loading)
        results = {worker.name: Samples(worker.ready) for worker in workers}
        limits: Json = {}
        measuring = bars.add_task("measuring", total=rounds * len(workers))
        for _ in range(rounds):
            found = limits_of_machine.ask({})
            limits = {key: max(value, limits.get(key, 0.0)) for key, value in found.items()}
            for worker in workers:
                bars.update(measuring, description=f"measuring {worker.name}")
                results[worker.name].add(worker.ask(question))
                bars.advance(measuring)
    _same_products(results)
    engines = {name: describe(samples, limits) for name, samples in results.items()}
    return {
        "limits": {key: round(value, 1) for key, value in limits.items()},
        "engines": engines,
        "unavailable": unavailable,
    }


def _same_products(results: dict[str, Samples]) -> None:
    """Give llama.cpp the number of weights that ours counted: it runs the same model. Mutates: its `ready`."""
    count = max((samples.ready["product_weights"] for samples in results.values()), default=0)
    for samples in results.values():
        samples.ready["product_weights"] = samples.ready["product_weights"] or count


def tables(result: Json, widths: Sequence[int]) -> list[Table]:
    """Return the tables of times, of shares, and of load times and memory."""
    engines: dict[str, Any] = result["engines"]
    limits = result["limits"]

    def cells(values: dict[int, Any], form: str) -> list[str]:
        return [inside.figure(values.get(width), form.format) for width in widths]

    times = [[name, *cells({w: q["p50"] for w, q in e["ms"].items()}, "{:.1f}")] for name, e in engines.items()]
    of_limit = [[name, *cells({**e["memory_share"], **e["product_share"]}, "{:.0%}")] for name, e in engines.items()]
    loaded = [
        [name, f"{e['weight_bytes'] / 1e6:.0f}", f"{e['load_s']:.1f}", f"{e['rss_mb']:.0f}", f"{e['own_mb']:.0f}"]
        for name, e in engines.items()
    ]
    heads = ["engine", *(str(width) for width in widths)]
    memory, product = limits["memory_gb_s"], limits["product_gflop_s"]
    title = f"share of {memory:.0f} GB/s read (up to 16 tokens), of {product:.0f} GFLOP/s in bf16 (more)"
    return [
        inside.table(f"ms for a forward over so many tokens, {CONTEXT_TOKENS} in the context (p50)", heads, times),
        inside.table(title, heads, of_limit),
        inside.table("loading and memory", ["engine", "weights MB", "load s", "resident MB", "own MB"], loaded),
    ]


def check_device(device: str) -> None:
    """End the program with one line unless the engines can run on `device`."""
    if device not in ("cpu", "cuda"):
        raise typer.BadParameter(f"--device {device}: one of cpu, cuda")
    if device == "cpu":
        return
    import torch

    if not torch.cuda.is_available():
        inside.fail("--device cuda: torch sees no CUDA device here (no driver, no card, or a CPU build of torch)")


def engine(
    model: inside.Model = inside.DEFAULT_MODEL,
    subject: Annotated[list[str] | None, typer.Option("--engine", help=f"{', '.join(SUBJECTS)}; again for more.")] = None,
    threads: inside.Threads = 0,
    rounds: Annotated[int, typer.Option(help="How often all engines take their turn.")] = 5,
    seconds: Annotated[float, typer.Option(help="Time spent on each width in a round.")] = 1.0,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
) -> None:
    """Print what a forward costs on each engine, as milliseconds and as a share of what the machine can do."""
    check_device(device)
    known = SUBJECTS if device == "cpu" else ON_CUDA
    names = subject or list(known)
    if unknown := set(names) - set(known):
        raise typer.BadParameter(f"no engine {sorted(unknown)} on {device}: one of {', '.join(known)}")
    files = inside.open_model(model) if device == "cpu" else inside.locate_model(model)
    n = inside.n_threads(threads)
    head = provenance(files.path if files.path.is_file() else None)
    result = measure(names, model, n, rounds, seconds, WIDTHS, device)
    for one in tables(result, WIDTHS):
        inside.console.print(one)
    for name, reason in result["unavailable"].items():
        inside.console.print(f"not measured: {name}: {reason}", highlight=False)
    settings = {
        "model": model,
        "threads": n,
        "rounds": rounds,
        "seconds": seconds,
        "device": device,
        "context": CONTEXT_TOKENS,
    }
    finish({**head, "settings": settings, **result})


if __name__ == "__main__":
    typer.run(engine)
