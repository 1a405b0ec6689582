"""A stand-in for the program llama-server: its options, and no others, over the server of the package xllamacpp."""

from __future__ import annotations

import argparse
import os
import sys
import threading
from pathlib import Path

import xllamacpp


def main() -> None:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    for name in ("--model", "--host"):
        parser.add_argument(name, required=True)
    for name in ("--port", "--parallel", "--ctx-size", "--threads", "--threads-batch"):
        parser.add_argument(name, required=True, type=int)
    options = parser.parse_args()
    params = xllamacpp.CommonParams()
    params.model.path = options.model
    params.hostnames, params.port = [options.host], options.port
    params.n_parallel, params.n_ctx = options.parallel, options.ctx_size
    params.cpuparams.n_threads, params.cpuparams_batch.n_threads = options.threads, options.threads_batch
    params.api_keys = [os.environ["LLAMA_API_KEY"]]
    params.cache_ram_mib = int(os.environ["LLAMA_ARG_CACHE_RAM"])
    params.verbosity = int(os.environ["LLAMA_ARG_LOG_VERBOSITY"])
    params.warmup = False
    try:
        server = xllamacpp.Server(params)
    except RuntimeError:
        os._exit(1)
    threading.Event().wait()
    del server


def install(folder: Path) -> Path:
    """Return a program of the name llama-server in `folder` that runs this."""
    program = folder / "llama-server"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{__file__}" "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    return program


if __name__ == "__main__":
    main()
