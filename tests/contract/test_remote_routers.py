"""Real routers between the engine and scripted workers: what keeps a document on one worker.

    pip install sglang-router vllm-router setproctitle

The routers are the released ones and need no GPU; the workers behind them are scripts, so nothing is said of their speed.
"""

from __future__ import annotations

import asyncio
import importlib.util
import socket
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from typing import Any

import httpx
import pytest
from scripted_server import Answer, Script, plain, serving, sse

from completer.config import Settings
from completer.engines.base import StreamRequest
from completer.engines.remote.load import Connected, connect

N_DOCUMENTS, N_KEYS = 7, 6
START_S = 20.0


def worker() -> Script:
    def complete(_: Any) -> Answer:
        return sse({"choices": [{"text": "left"}]}, {"choices": [{"text": "", "finish_reason": "stop"}]}, done=True)

    name = "Qwen/Qwen2.5-Coder-7B"
    pages = ("/health", "/get_server_info", "/server_info", "/get_model_info", "/model_info")
    answers: dict[str, Any] = {page: lambda _: plain({"model_path": name}) for page in pages}
    return Script({**answers, "/v1/models": lambda _: plain({"data": [{"id": name}]}), "/v1/completions": complete})


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


@contextmanager
def routing(module: str, policy: str, *workers: str) -> Iterator[str]:
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"not installed: {module}")
    port = free_port()
    options = ["--worker-urls", *workers, "--policy", policy, "--port", port, "--prometheus-port", free_port()]
    output = subprocess.DEVNULL
    process = subprocess.Popen([sys.executable, "-m", f"{module}.launch_router", *options], stdout=output, stderr=output)
    url, deadline = f"http://127.0.0.1:{port}", time.monotonic() + START_S
    try:
        while time.monotonic() < deadline:
            assert process.poll() is None, "the router ended"
            try:
                if httpx.get(f"{url}/v1/models").status_code == 200:
                    break
            except httpx.HTTPError:
                time.sleep(0.1)
        yield url
    finally:
        process.kill()
        process.wait()


async def type_in_documents(made: Connected) -> None:
    """Send a few keys of several documents, one document after another at each key."""
    encode, fim = made.tokenizer.encode, made.tokenizer.fim
    assert fim.middle is not None
    for n in range(N_KEYS):
        for document in range(N_DOCUMENTS):
            head = encode(f"# document {document}\n" + f"x{document} = {document}\n" * 80)
            ids = (fim.prefix, *head, fim.suffix, fim.middle, *encode("return left"[: n + 1]))
            request = StreamRequest(ids, 4, session=f"file:///{document}.py")
            async with aclosing(made.engine.stream(request)) as pieces:
                assert [piece async for piece in pieces]
    await made.engine.close()


@pytest.mark.parametrize(
    ("module", "policy", "keeps"),
    [
        ("vllm_router", "consistent_hash", True),  # by our session header
        ("vllm_router", "sticky_least_loaded", True),
        ("vllm_router", "cache_aware", True),  # by the text of the prompt
        ("sglang_router", "cache_aware", True),
        ("vllm_router", "round_robin", False),  # so that the test can fail
        ("sglang_router", "round_robin", False),
    ],
)
def test_a_router_keeps_a_document_on_one_worker(module: str, policy: str, keeps: bool) -> None:
    with serving(worker()) as one, serving(worker()) as two, routing(module, policy, one.url, two.url) as url:
        # A gateway may not know what its workers serve ("unknown"): the setting says the family.
        made = connect(Settings(engine="remote", endpoints=(url,), dialect="openai", model="qwen2.5-coder-7b-base"))
        one.asked.clear()
        two.asked.clear()
        asyncio.run(type_in_documents(made))
        by_document: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for script in (one, two):
            for body in script.bodies("/v1/completions"):
                by_document[body["prompt"].partition("\n")[0]][script.url] += 1
    assert len(by_document) == N_DOCUMENTS
    assert all(sum(workers.values()) == N_KEYS for workers in by_document.values())
    assert all(len(workers) == 1 for workers in by_document.values()) is keeps
