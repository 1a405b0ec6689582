"""With a remote engine nothing but the base dependencies is needed: no torch, no onnxruntime, no model on the disk."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from lsp_client import ROOT, attach, finish, marked, start_process

from tests.contract.scripted_server import Answer, Script, plain, serving, sse

SLIM = str(Path(__file__).parent / "slim.py")


@pytest.fixture(autouse=True)
def no_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPLETER_CACHE", str(tmp_path))


def script_of() -> Script:
    """Return a server of the model family qwen that ends every line with "left + right"."""

    def complete(body: Any) -> Answer:
        logprobs = {"token_logprobs": [-0.1], "top_logprobs": [{"re": -0.1}]}
        word = "return left + right" if body["prompt"].endswith("\n") or body["prompt"].endswith("    ") else "left + right"
        return sse(
            {"choices": [{"text": word, "logprobs": logprobs}]}, {"choices": [{"text": "", "finish_reason": "stop"}]}, done=True
        )

    models = {"data": [{"id": "Qwen/Qwen2.5-Coder-7B", "owned_by": "someone", "max_model_len": 8192}]}
    return Script({"/v1/models": lambda _: plain(models), "/v1/completions": complete})


def test_the_language_server_completes_over_a_remote_engine_without_any_inference_library() -> None:
    with serving(script_of()) as script:
        process = start_process(SLIM, "lsp", "--stdio", "--engine", "remote", "--set", f'endpoints=["{script.url}"]')
        try:
            client = attach(process)
            client.initialize(textDocument={"inlineCompletion": {}}, settings={"budget_ms": 5000})
            client.wait_until_ready()
            status = client.call("completer/status")
            assert (status["state"], status["engine"], status["model"]) == ("ready", "remote", "Qwen/Qwen2.5-Coder-7B")
            text = "def add(left, right):\n    return "
            client.open(text)
            (item,) = client.inline(1, len("    return "), trigger_kind=1)
            assert item["insertText"] == "left + right"
        finally:
            code, said = finish(process)
    assert code == 0, said.decode()
    prompt = script.bodies("/v1/completions")[-1]["prompt"]
    assert prompt.startswith("<|file_sep|>example.py\n<|fim_prefix|>")


def test_a_server_that_is_not_up_yet_is_told_and_waited_for() -> None:
    script, up = script_of(), [False]
    models = script.answers["/v1/models"]
    script.answers["/v1/models"] = lambda body: models(body) if up[0] else plain({"error": "starting"}, 503)
    with serving(script):
        process = start_process(SLIM, "lsp", "--stdio")
        try:
            client = attach(process)
            settings = marked({"engine": "remote", "endpoints": [script.url]})
            client.initialize(textDocument={"inlineCompletion": {}}, settings=settings)
            while not (message := client.call("completer/status")["message"]).startswith("no endpoint takes requests"):
                time.sleep(0.02)
            assert script.url in message and "HTTP 503 starting" in message and "tried again" in message
            up[0] = True
            client.wait_until_ready()
            assert client.call("completer/status")["state"] == "ready"
        finally:
            finish(process)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"engine": "remote"}, "needs the setting 'endpoints'"),
        ({"engine": "remote", "endpoints": ["http://models.example.org"], "token_env": "T"}, "use https"),
        ({"engine": "remote", "endpoints": ["http://127.0.0.1:9"], "token_env": "NOT_SET_ANYWHERE"}, "NOT_SET_ANYWHERE"),
    ],
)
def test_wrong_settings_are_told_when_the_engine_is_loaded(settings: dict[str, Any], says: str) -> None:
    process = start_process(SLIM, "lsp", "--stdio")
    try:
        client = attach(process)
        client.initialize(textDocument={"inlineCompletion": {}}, settings=marked(settings))
        client.wait_until_ready()
        status = client.call("completer/status")
        assert status["state"] == "error"
        assert says in status["message"]
    finally:
        finish(process)


def test_the_doctor_lists_the_remote_engine_and_asks_each_endpoint() -> None:
    with serving(script_of()) as script:
        options = ["doctor", "--engine", "remote", "--set", f'endpoints=["http://127.0.0.1:9", "{script.url}"]']
        result = subprocess.run(
            [sys.executable, SLIM, *options],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env=os.environ | {"COLUMNS": "220"},
        )
    assert result.returncode == 0, result.stderr
    said = " ".join(result.stdout.split())
    assert "http://127.0.0.1:9: no endpoint takes requests" in said
    assert f"{script.url}: openai, model Qwen/Qwen2.5-Coder-7B, 4096 tokens, takes text" in said
    assert "not installed: torch" in said
