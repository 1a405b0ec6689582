"""llama.cpp as a subject of the engine table: the server of the PyPI wheel `xllamacpp` in this process.

Its own clock is read (`timings` of POST /completion), so HTTP and JSON are not counted against it.
"""

from __future__ import annotations

import importlib
from pathlib import Path

import httpx

from bench.client import Json
from bench.engine_worker import pseudo_ids
from completer.models.store import locate

N_STEPS = 8
"""Decode steps in one request: their mean is the time of a forward over one token."""


class LlamaCpp:
    """The model's own GGUF file, with llama.cpp's defaults for batches and for the KV cache (fp16)."""

    def __init__(self, model: str, threads: int) -> None:
        path = locate(model).path
        xllamacpp = importlib.import_module("xllamacpp")  # a compiled package without types
        params = xllamacpp.CommonParams()
        params.model.path = str(path)
        params.hostnames, params.port = ["127.0.0.1"], 0
        params.n_ctx, params.n_parallel = 2048, 1
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
        self._server = xllamacpp.Server(params)
        self._http = httpx.Client(base_url=self._server.listening_address, timeout=120.0, trust_env=False)
        self._turn = 0
        build = self._http.get("/props").json().get("build_info", "")
        self.info = {"weight_bytes": weight_bytes(path), "product_weights": 0, "build": build}

    def time_ms(self, context: int, width: int) -> float:
        ids = pseudo_ids(context)
        if width == 1:
            timings = self._complete(ids, N_STEPS + 1)
            # The first token comes out of the prompt's forward.
            return float(timings["predicted_ms"]) / (int(timings["predicted_n"]) - 1)
        self._turn += 1  # other tokens each time: what is fed must not be found in the cache
        fed = [50_000 + (self._turn * 641 + i * 31) % 40_000 for i in range(width)]
        timings = self._complete([*ids, *fed], 1)
        if int(timings["prompt_n"]) != width:  # the first request behind another context
            timings = self._complete([*ids, *(id_ + 1 for id_ in fed)], 1)
        if int(timings["prompt_n"]) != width:
            raise RuntimeError(f"llama.cpp fed {timings['prompt_n']} tokens instead of {width}")
        return float(timings["prompt_ms"])

    def close(self) -> None:
        self._http.close()

    def _complete(self, ids: list[int], n_predict: int) -> Json:
        body = {"prompt": ids, "n_predict": n_predict, "cache_prompt": True, "ignore_eos": True, "temperature": 0}
        answer: Json = self._http.post("/completion", json=body).raise_for_status().json()
        timings: Json = answer["timings"]
        return timings


def weight_bytes(path: Path) -> int:
    """Return the bytes that a decode step reads of a GGUF file: all tensors but a lookup-only embedding table."""
    import gguf

    tensors = {tensor.name: int(tensor.n_bytes) for tensor in gguf.GGUFReader(str(path)).tensors}
    unread = tensors.get("token_embd.weight", 0) if "output.weight" in tensors else 0
    return sum(tensors.values()) - unread
