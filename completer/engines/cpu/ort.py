"""Plain onnxruntime over our own KV slots: the quickest decode and verification we know on a CPU.

The graph's past and present tensors are bound to the same buffers, so a forward writes its keys and values in place.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from completer.engines.base import CostCurve, Logits
from completer.engines.kv import KvSlots
from completer.engines.weights.rowfile import RowFile
from completer.engines.weights.spec import ModelSpec
from completer.errors import EngineClosed

PREFILL_WIDTH = 8
"""Tokens in one forward of a prefill: a piece of work of about 20 ms on two cores."""

LOGIT_ROWS = 32
"""Rows of logits that have a buffer from the start."""


class OnnxEngine:
    """A `StepEngine` over the graph of `onnx_graph`. embed: [vocab, hidden] rows, looked up outside of the graph."""

    name = "onnx"

    def __init__(self, graph: Path, spec: ModelSpec, embed: RowFile, kv: KvSlots, threads: int) -> None:
        self.kv = kv
        self.n_slots = kv.n_slots
        self.max_len = kv.max_len
        self.vocab_size = spec.vocab_size
        self.costs = CostCurve({1: 1.0}, 1.0)
        self._embed = embed  # bfloat16 as raw 16 bits
        self._session: ort.InferenceSession | None = ort.InferenceSession(str(graph), _options(threads), ["CPUExecutionProvider"])
        self._bindings = [self._bind(slot, spec.n_layers) for slot in range(kv.n_slots)]
        self._logits: Logits = np.empty((1, LOGIT_ROWS, spec.vocab_size), np.float32)  # takes memory as rows are first written

    def forward(self, slot: int, ids: Sequence[int], n_logits: int) -> Logits:
        if self._session is None:
            raise EngineClosed("the engine was closed")
        n, start = len(ids), self.kv.lengths[slot]
        self.kv.check_room(slot, n)
        # The graph computes at least one row; with n_logits 0 the caller does not look at it.
        logits = self._logits_buffer(max(n_logits, 1))
        binding = self._bindings[slot]
        inputs = {
            "embeds": bfloat16_rows(self._embed, ids)[None],  # [1, n, hidden]
            "rows": np.arange(n - max(n_logits, 1), n, dtype=np.int64),
            "last_position": np.array([start + n - 1], np.int32),
            "n_positions": np.array(start + n, np.int32),
        }
        for name, array in inputs.items():
            binding.bind_ortvalue_input(name, ort.OrtValue.ortvalue_from_numpy(array))
        binding.bind_ortvalue_output("logits", ort.OrtValue.ortvalue_from_numpy(logits))
        self._session.run_with_iobinding(binding)
        self.kv.lengths[slot] += n
        return logits[0, :n_logits]  # [n_logits, vocab]

    def prefill(self, slot: int, ids: Sequence[int]) -> Iterator[None]:
        self.kv.check_room(slot, len(ids))
        for start in range(0, len(ids), PREFILL_WIDTH):
            self.forward(slot, ids[start : start + PREFILL_WIDTH], 0)
            yield

    def length(self, slot: int) -> int:
        return self.kv.lengths[slot]

    def truncate(self, slot: int, length: int) -> int:
        return self.kv.truncate(slot, length)

    def copy(self, src: int, dst: int, length: int) -> None:
        self.kv.copy(src, dst, length)

    def close(self) -> None:
        self._session = None
        self._bindings.clear()

    def _bind(self, slot: int, n_layers: int) -> ort.IOBinding:
        """Bind the slot's buffers as both past and present; they stay bound for the life of the engine."""
        assert self._session is not None
        binding = self._session.io_binding()
        for i in range(n_layers):
            for kind, buffers in (("key", self.kv.keys), ("value", self.kv.values)):
                shared = ort.OrtValue.ortvalue_from_numpy(buffers[i][slot])
                binding.bind_ortvalue_input(f"past_{kind}.{i}", shared)
                binding.bind_ortvalue_output(f"present_{kind}.{i}", shared)
        return binding

    def _logits_buffer(self, rows: int) -> Logits:
        """Return [1, rows, vocab] of the one buffer, which grows where a forward is wider. Valid until the next forward."""
        if rows > self._logits.shape[1]:
            self._logits = np.empty((1, rows, self.vocab_size), np.float32)
        return self._logits[:, :rows]


def bfloat16_rows(table: RowFile, ids: Sequence[int]) -> NDArray[np.float32]:
    """Return rows `ids` of a bfloat16 table given as raw 16 bits: [n, hidden] float32 (exact)."""
    rows: NDArray[np.float32] = (table[ids].astype(np.uint32) << 16).view(np.float32)
    return rows


def _options(threads: int) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Spin while a forward runs (threads that sleep wake slowly), never between forwards (an idle editor costs no CPU).
    options.add_session_config_entry("session.intra_op.allow_spinning", "1")
    options.add_session_config_entry("session.force_spinning_stop", "1")
    options.enable_cpu_mem_arena = False
    return options
