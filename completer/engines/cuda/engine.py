"""The lean decoder on one device with everything in place: static slots, static shapes, one small copy back for each forward.

    forward over n tokens at position p of slot s
        width   the next of 1, 2, 4, 8          the rows after n are padding: what they write lies after the slot's end
        bucket  the next of 256, 512, 1024, ...  so many positions are looked at, with a mask over those after p
    (s, width, bucket) ── captured once as a CUDA graph ──> replayed with new ids and p in its input tensors

Longer feeds (a prefill, the end of a slot) run the same function without a graph. So all of it but the capture also runs on a
CPU, where the tests hold it against `LeanEngine`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from completer.engines.base import CostCurve, Logits
from completer.engines.cuda.static import DeviceSlots, Trunk, bucket_of
from completer.engines.lean.decoder import LeanModel, rms_norm
from completer.errors import EngineClosed, EngineError

log = logging.getLogger(__name__)

WIDTHS = (1, 2, 4, 8)
PREFILL_CHUNK = 256
"""Tokens that go through all layers between two chances to do something else."""
MIN_CHUNK = 32

T = TypeVar("T")
Capture = Callable[[Callable[[], None]], Callable[[], None]]
"""Takes work on static tensors, done once before; returns what does it again."""


@dataclass(frozen=True, slots=True)
class CapturedStep:
    """One static shape, ready to run. ids: [width] int64 and start: [1] int64 are read; logits and choices are written."""

    ids: Tensor
    start: Tensor
    logits: Tensor  # [width, vocab]
    choices: Tensor  # [2, width] float32: the likeliest id of each row (exact up to 2^24) and its probability
    run: Callable[[], None]


class CudaEngine:
    """A `StepEngine` and `ChoosingEngine` over a model whose tensors all lie on `device`.

    n_ordinary: ids from here on are padding of the embedding and never chosen.  capture: None runs every step anew.
    """

    name = "torch"

    def __init__(
        self, model: LeanModel, slots: DeviceSlots, device: torch.device, n_ordinary: int, capture: Capture | None = None
    ) -> None:
        cos, sin = model.spec.rope_table(slots.max_len)
        rope = torch.from_numpy(cos).to(device), torch.from_numpy(sin).to(device)
        self._trunk: Trunk | None = Trunk(model, slots, rope)
        self.slots = slots
        self.n_slots = slots.n_slots
        self.max_len = slots.max_len
        self.vocab_size = model.spec.vocab_size
        self.costs = CostCurve({1: 1.0}, 1.0)
        self.chunk = PREFILL_CHUNK
        self._device = device
        self._n_ordinary = n_ordinary
        self._capture = capture
        self._steps: dict[tuple[int, int, int], CapturedStep] = {}

    def forward(self, slot: int, ids: Sequence[int], n_logits: int) -> Logits:
        logits, _ = self._forward(slot, ids, n_logits)
        rows: Logits = logits.float().cpu().numpy()
        return rows  # [n_logits, vocab]

    def forward_choices(
        self, slot: int, ids: Sequence[int], allowed: Sequence[NDArray[np.int64] | None]
    ) -> list[tuple[int, float]]:
        logits, choices = self._forward(slot, ids, len(allowed))
        with torch.inference_mode():
            for row, only in enumerate(allowed):
                if only is not None and len(only):
                    places = torch.from_numpy(only).to(self._device)
                    best, probability = choose_rows(logits[row : row + 1, places])
                    choices[:, row] = as_floats(places[best], probability)[:, 0]
        ids_, probabilities = choices.cpu().tolist()  # the one copy back
        return [(int(id_), probability) for id_, probability in zip(ids_, probabilities, strict=True)]

    def prefill(self, slot: int, ids: Sequence[int]) -> Iterator[None]:
        self.slots.check_room(slot, len(ids))
        done = 0
        while done < len(ids):
            piece = ids[done : done + self.chunk]
            try:
                self._with_memory(lambda piece=piece: self._layers(slot, piece))  # type: ignore[misc]
            except EngineError:
                if self.chunk <= MIN_CHUNK:
                    raise
                self.chunk //= 2  # what a chunk needs besides weights and slots grows with its length
                continue
            if self._device.type == "cuda":
                torch.cuda.current_stream().synchronize()  # else a key would wait for all chunks, not for one
            self.slots.lengths[slot] += len(piece)
            done += len(piece)
            yield

    def length(self, slot: int) -> int:
        return self.slots.lengths[slot]

    def truncate(self, slot: int, length: int) -> int:
        return self.slots.truncate(slot, length)

    def copy(self, src: int, dst: int, length: int) -> None:
        self.slots.copy(src, dst, length)

    def close(self) -> None:
        self._steps.clear()
        self._trunk = None

    def warm_up(self) -> None:
        """Capture every width in the first bucket of every slot; the other buckets follow when they are first needed."""
        for slot in range(self.n_slots):
            for width in WIDTHS:
                self.truncate(slot, 0)
                self._forward(slot, [0] * width, width)
            self.truncate(slot, 0)

    def _forward(self, slot: int, ids: Sequence[int], n_rows: int) -> tuple[Tensor, Tensor]:
        """Append `ids`; return logits [n_rows, vocab] and choices [2, n_rows], on the device. Mutates: the slot."""
        self._open()
        self.slots.check_room(slot, len(ids))
        n, start = len(ids), self.slots.lengths[slot]
        width = next((w for w in WIDTHS if w >= n), None)
        if width is None or start + width > self.max_len or n_rows == 0:
            logits, choices = self._with_memory(lambda: self._eager(slot, ids, n_rows))
        else:
            step = self._step(slot, width, bucket_of(start + width, self.max_len))
            padded = [*ids, *[0] * (width - n)]
            step.ids.copy_(torch.tensor(padded), non_blocking=True)
            step.start.fill_(start)
            self._with_memory(step.run)
            logits, choices = step.logits[n - n_rows : n], step.choices[:, n - n_rows : n]
        self.slots.lengths[slot] += n
        return logits, choices

    def _step(self, slot: int, width: int, bucket: int) -> CapturedStep:
        """Return the step of a static shape, captured at its first use."""
        key = (slot, width, bucket)
        if key not in self._steps:
            self._steps[key] = self._with_memory(lambda: self._make_step(*key))
        return self._steps[key]

    def _make_step(self, slot: int, width: int, bucket: int) -> CapturedStep:
        trunk = self._open()
        model = trunk.model
        ids = torch.zeros(width, dtype=torch.long, device=self._device)
        start = torch.zeros(1, dtype=torch.long, device=self._device)
        logits = torch.empty(width, model.spec.vocab_size, device=self._device)
        choices = torch.empty(2, width, device=self._device)

        def run() -> None:
            with torch.inference_mode():
                x = trunk.run(slot, bucket, ids, start)
                logits.copy_(self._head(model, x))
                choices.copy_(as_floats(*choose_rows(logits[:, : self._n_ordinary])))

        start.fill_(self.slots.lengths[slot])  # what is tried before the capture writes after the slot's end only
        run()
        return CapturedStep(ids, start, logits, choices, self._captured(run, width, bucket))

    def _captured(self, run: Callable[[], None], width: int, bucket: int) -> Callable[[], None]:
        if self._capture is None:
            return run
        try:
            return self._capture(run)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            log.warning("width %d, bucket %d: no CUDA graph, which costs time and nothing else: %s", width, bucket, error)
            return run

    def _eager(self, slot: int, ids: Sequence[int], n_rows: int) -> tuple[Tensor, Tensor]:
        model, x = self._open().model, self._layers(slot, ids)
        with torch.inference_mode():
            logits = self._head(model, x[len(ids) - n_rows :])
            return logits, as_floats(*choose_rows(logits[:, : self._n_ordinary]))

    def _layers(self, slot: int, ids: Sequence[int]) -> Tensor:
        start = self.slots.lengths[slot]
        with torch.inference_mode():
            fed = torch.tensor(ids, dtype=torch.long, device=self._device)
            first = torch.full((1,), start, dtype=torch.long, device=self._device)
            return self._open().run(slot, start + len(ids), fed, first)

    def _head(self, model: LeanModel, x: Tensor) -> Tensor:
        if model.head is None:
            raise EngineClosed("this engine only prefills: it was built without the output head")
        return model.head(rms_norm(x, model.norm, model.spec.rms_eps))

    def _with_memory(self, work: Callable[[], T]) -> T:
        """Do `work`; where the device has no memory left, give back what is cached and do it once more. Raises: EngineError."""
        try:
            return work()
        except torch.OutOfMemoryError:
            self._steps.clear()  # graphs keep their intermediates; they are captured anew as they are needed
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
        try:
            return work()
        except torch.OutOfMemoryError as error:
            raise EngineError(
                "the graphics card has no memory left: lower 'kv_memory_mb', choose a smaller model or 4-bit weights, "
                "or end what else uses the card"
            ) from error

    def _open(self) -> Trunk:
        if self._trunk is None:
            raise EngineClosed("the engine was closed")
        return self._trunk


def choose_rows(scores: Tensor) -> tuple[Tensor, Tensor]:
    """Return the place of each row's maximum, [n] int64, and its probability, [n] float32. scores: [n, choices]."""
    top, best = scores.max(dim=-1, keepdim=True)
    return best[:, 0], 1.0 / (scores - top).exp().sum(dim=-1)


def as_floats(ids: Tensor, probabilities: Tensor) -> Tensor:
    """Return both in one tensor, so that one copy brings them back: [2, n] float32, exact for ids below 2^24."""
    return torch.stack([ids.float(), probabilities])


class CudaCapture:
    """A Capture with CUDA graphs, which share one pool for what they need in between.

    They may: replays follow each other on one stream, and no result stays in the pool (the tensors of a CapturedStep do not).
    Source: torch.cuda.graph, "CUDA Graphs" in PyTorch's CUDA semantics.
    """

    def __init__(self) -> None:
        self._pool = torch.cuda.graph_pool_handle()

    def __call__(self, work: Callable[[], None]) -> Callable[[], None]:
        side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):  # once outside of the capture, on a side stream: libraries set themselves up
            work()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        # thread_local: whatever other threads of the server do with the card must not end the capture.
        with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
            work()
        replay: Callable[[], None] = graph.replay
        return replay
