"""One engine in a process of its own: `python -m bench.engine_worker NAME MODEL --threads N --device cpu`.

Prints a JSON line when the engine is ready, then answers each JSON line {"widths", "context", "seconds"} on its input with a
line of milliseconds. Between two questions it waits on its input and uses no CPU, so engines can be measured in turns.
NAME: one of bench.formats, "llama.cpp", or "limits" (what the machine can do at most).
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated, Any, Protocol

import psutil
import typer

from bench.client import Json

VERIFY_WIDTHS = 16
"""Up to so many tokens go through one forward with logits for each (decode, verify); more are a prefill."""


class Subject(Protocol):
    """What is measured."""

    info: Json

    def time_ms(self, context: int, width: int) -> float:
        """Return the milliseconds of a forward over `width` tokens behind `context` tokens."""
        ...

    def close(self) -> None: ...


class Engine:
    """One of our engines. Widths above VERIFY_WIDTHS: prefill of all but the last token, whose logits are wanted."""

    def __init__(self, name: str, model: str, threads: int, device: str) -> None:
        from bench.formats import build, build_on_cuda
        from completer.models.store import locate

        files = locate(model)
        built = build(name, files, threads) if device == "cpu" else build_on_cuda(name, files)
        self._engine = built.engine
        self.info = {"weight_bytes": built.weight_bytes, "product_weights": built.product_weights}

    def time_ms(self, context: int, width: int) -> float:
        engine, ids = self._engine, pseudo_ids(context + width)
        if engine.length(0) < context:
            engine.truncate(0, 0)
            for _ in engine.prefill(0, ids[:context]):
                pass
        engine.truncate(0, context)
        fed = ids[context:]
        begun = time.perf_counter()
        if width <= VERIFY_WIDTHS:
            self._verify(fed)
        else:
            for _ in engine.prefill(0, fed[:-1]):
                pass
            self._verify(fed[-1:])
        return (time.perf_counter() - begun) * 1e3

    def close(self) -> None:
        self._engine.close()

    def _verify(self, fed: list[int]) -> None:
        """Forward as the decoder does: where the engine chooses on its device, only the choices come back."""
        from completer.engines.base import ChoosingEngine

        if isinstance(self._engine, ChoosingEngine):
            self._engine.forward_choices(0, fed, [None] * len(fed))
        else:
            self._engine.forward(0, fed, len(fed))


def pseudo_ids(n: int) -> list[int]:
    """Return `n` ordinary token ids that never repeat in a pattern a cache could use; the same on every call."""
    return [(i * 7919 + 1013) % 50_000 for i in range(n)]


def sample(subject: Subject, context: int, width: int, seconds: float) -> list[float]:
    """Return the milliseconds of forwards over `width` tokens, three at least, for about `seconds`."""
    subject.time_ms(context, width)  # the first one of a shape sets up buffers and kernels
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < 3 or (time.perf_counter() < end and len(times) < 200):
        times.append(subject.time_ms(context, width))
    return times


def main(
    name: str,
    model: str,
    threads: Annotated[int, typer.Option()] = 2,
    device: Annotated[str, typer.Option()] = "cpu",
) -> None:
    """Load the engine NAME, then answer questions until the input ends."""
    begun = time.perf_counter()
    if name == "limits":
        _serve({}, _limits(threads, device))
        return
    subject: Subject
    if name == "llama.cpp":
        from bench.engine_llama import LlamaCpp

        subject = LlamaCpp(model, threads)
    else:
        subject = Engine(name, model, threads, device)
    load_s = time.perf_counter() - begun
    subject.time_ms(300, 8)

    def answer(question: Json) -> Any:
        widths, context, seconds = question["widths"], question["context"], question["seconds"]
        return {width: sample(subject, context, width, seconds) for width in widths}

    memory = psutil.Process().memory_full_info()
    resident = {"rss_mb": memory.rss / 2**20, "own_mb": memory.uss / 2**20}
    _serve({"load_s": load_s, **resident, **subject.info}, answer)
    subject.close()


def _limits(threads: int, device: str) -> Callable[[Json], Any]:
    import torch

    from completer.engines.measure import measure_limits

    torch.set_num_threads(threads)
    return lambda _: asdict(measure_limits(device=device))


def _serve(ready: Json, answer: Callable[[Json], Any]) -> None:
    _say({"ready": ready})
    for line in sys.stdin:
        _say({"answer": answer(json.loads(line))})


def _say(message: Json) -> None:
    sys.stdout.write("\n" + json.dumps(message) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    typer.run(main)
