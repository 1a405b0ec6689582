"""A llama.cpp server in this process, from the PyPI wheel `xllamacpp`: `python -m bench.peers.llamacpp MODEL`.

The settings are those that llama.vim recommends for the small models (its `--fim-qwen-1.5b-default`): batch and
micro batch 1024, reuse of shifted chunks from 256 tokens on. Prints {"listening": URL} once it answers.
"""

from __future__ import annotations

import importlib
import json
import sys
import threading
from pathlib import Path
from typing import Annotated

import typer


def main(
    model: Path,
    threads: Annotated[int, typer.Option(help="Threads for prompt and decoding.")] = 2,
    port: Annotated[int, typer.Option(help="0: any free port.")] = 0,
    ctx: Annotated[int, typer.Option(help="Context length of all slots together; 0: the model's own.")] = 0,
    slots: Annotated[int, typer.Option(help="Prompts that are kept at once.")] = 1,
) -> None:
    """Serve MODEL until the process is ended."""
    try:
        xllamacpp = importlib.import_module("xllamacpp")  # a compiled package without types
    except ImportError as error:
        raise SystemExit(f"the peer needs the package xllamacpp (pip install xllamacpp): {error}") from None
    params = xllamacpp.CommonParams()
    params.model.path = str(model)
    params.hostnames, params.port = ["127.0.0.1"], port
    params.n_ctx = ctx
    params.n_batch = params.n_ubatch = 1024
    params.n_cache_reuse = 256
    params.n_parallel = slots
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.warmup = True
    server = xllamacpp.Server(params)
    sys.stdout.write("\n" + json.dumps({"listening": server.listening_address}) + "\n")
    sys.stdout.flush()
    threading.Event().wait()


if __name__ == "__main__":
    typer.run(main)
