"""A larger model behind the default one, as an editor sees it: the answer comes from one, more of it from the other."""

from __future__ import annotations

import time
from typing import Any

import pytest
from lsp_client import Client, attach, finish, marked, start_process

from bench.inside import open_model
from completer.models.store import is_pulled

SMALL, LARGE = "qwen2.5-coder-0.5b", "qwen2.5-coder-1.5b"
pytestmark = [
    pytest.mark.model,
    pytest.mark.skipif(not is_pulled(LARGE), reason=f"`completer models pull {LARGE}` first"),
    pytest.mark.timeout(1800),  # a slow machine converts the larger model for ten minutes, once
]

URI = "file:///project/calendar.py"
DOCUMENT = """from datetime import datetime


def is_leap(year: int) -> bool:
    return {}


def days_between(a: datetime, b: datetime) -> int:
    return (b - a).days
"""
LINE, CHARACTER = 4, 11
LOOK_S = 6.0


@pytest.fixture(scope="module", autouse=True)
def converted() -> None:
    for model in (SMALL, LARGE):
        open_model(model)


def extension(client: Client) -> dict[str, Any] | None:
    """Return what the server has sent of more, when it is there or time is up."""
    end = time.monotonic() + LOOK_S
    while time.monotonic() < end:
        client.call("completer/status")
        if more := [message["params"] for message in client.seen if message["method"] == "completer/didExtendSuggestion"]:
            return dict(more[-1])
        time.sleep(0.05)
    return None


def test_what_the_default_model_is_sure_of_is_extended_by_the_larger_one_and_typed_through() -> None:
    process = start_process("-m", "completer", "lsp", "--stdio")
    try:
        client = attach(process)
        settings = marked({"model": SMALL, "cascade_model": LARGE, "budget_ms": 5000, "threads": 2})
        client.initialize(textDocument={"inlineCompletion": {}}, settings=settings)
        client.wait_until_ready()
        status = client.call("completer/status")
        assert (status["state"], status["model"]) == ("ready", f"{SMALL}, then {LARGE}"), status["message"]
        client.open(DOCUMENT.format(""), uri=URI)
        for _ in range(3):  # the first looks may be given up while the prefill engines are still being made
            (item,) = client.inline(LINE, CHARACTER, uri=URI)
            if more := extension(client):
                break
        assert more is not None, "the larger model said nothing"
        assert more["text"].startswith(item["insertText"]) and len(more["text"]) > len(item["insertText"])
        (item,) = client.inline(LINE, CHARACTER, uri=URI)
        assert item["insertText"] == more["text"], "from then on it is the answer"
        client.type(LINE, CHARACTER, more["text"][0], version=2, uri=URI)
        (item,) = client.inline(LINE, CHARACTER + 1, uri=URI)
        assert item["insertText"] == more["text"][1:]
        assert client.call("completer/metrics")["traces"][-1]["answered_by"] == "typed-through"
    finally:
        code, said = finish(process)
    assert code == 0, said.decode()
