"""Any bytes at all: the server neither dies nor leaves a request without its one answer.

COMPLETER_FUZZ_S=300 makes it run that long, with other examples each time.
"""

from __future__ import annotations

import itertools
import json
import os
import time
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from in_process import INITIALIZE, framed, request, say
from lsprotocol.types import METHOD_TO_TYPES

from bench.fuzz.hostile import due_of
from completer.server import messages

LONG_S = float(os.environ.get("COMPLETER_FUZZ_S", "0"))
URIS = ["file:///a.py", "nb:1", "cell:1", "", "file://[", "\ud800"]
OURS = [value for name, value in vars(messages).items() if name.isupper() and isinstance(value, str) and "/" in value]
KNOWN = [
    *OURS,
    *(method for method in METHOD_TO_TYPES if method.startswith(("textDocument/did", "notebook", "workspace/", "$/"))),
]
COMMON = ["initialize", "initialized", "shutdown", "textDocument/inlineCompletion", "textDocument/completion", *KNOWN]

numbers = st.one_of(st.integers(-3, 9), st.integers(), st.floats(), st.sampled_from([2**31, 2**64, 10**400]))
scalars = st.one_of(st.none(), st.booleans(), numbers, st.text(max_size=8), st.sampled_from(URIS))
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
)
positions = st.fixed_dictionaries({"line": numbers, "character": numbers}) | anything
ranges = st.fixed_dictionaries({"start": positions, "end": positions}) | anything
uris = st.sampled_from(URIS)
texts = st.text(max_size=12) | anything
changes = st.lists(st.fixed_dictionaries({"text": texts}, optional={"range": ranges}) | anything, max_size=3)
documents = st.fixed_dictionaries(
    {"uri": uris}, optional={"version": numbers | st.none(), "text": texts, "languageId": st.just("python"), "cells": anything}
)
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "textDocument": documents,
    "notebookDocument": documents,
    "cellTextDocuments": st.lists(documents, max_size=2),
    "contentChanges": changes,
    "position": positions,
    "context": st.fixed_dictionaries({"triggerKind": st.integers(0, 3)}),
    "change": anything,
    "event": anything,
    "settings": anything,
    "initializationOptions": anything,
    "capabilities": st.just({}) | anything,
    "rootUri": uris | anything,
    "workspaceFolders": st.lists(st.fixed_dictionaries({"uri": uris, "name": st.just("x")}), max_size=2) | anything,
    "processId": numbers | st.none(),
    "command": st.sampled_from(["completer.didAccept", "x"]),
    "arguments": st.lists(anything, max_size=2),
    "id": anything,
    "token": anything,
    "value": anything,
}
params = st.fixed_dictionaries({}, optional=FIELDS) | anything
ids = st.one_of(st.integers(0, 3), st.text(max_size=3), scalars, st.lists(scalars, max_size=1))
message_parts = st.fixed_dictionaries(
    {},
    optional={
        "jsonrpc": st.sampled_from(["2.0", "2.0", "2.0", "1.0", 2]),
        "id": ids,
        "method": st.sampled_from(COMMON) | scalars,
        "params": params,
        "result": anything,
        "error": anything,
    },
)

pytestmark = pytest.mark.slow
likely = st.builds(
    lambda method, params, more: {"jsonrpc": "2.0", "method": method, "params": params, **more},
    st.sampled_from(COMMON),
    params,
    st.fixed_dictionaries({}, optional={"id": ids}),
)
deep = st.builds(lambda opening, n: (opening * n).encode(), st.sampled_from(["[", '{"a":', '[{"":']), st.integers(100, 3000))
bodies = (
    st.one_of(likely, likely, message_parts, anything).map(lambda value: json.dumps(value).encode())
    | deep
    | st.binary(max_size=40)
)
header_lines = st.sampled_from(
    [
        b"Content-Length: 2",
        b"content-length:2",
        b"Content-Length: -1",
        b"Content-Length: 9" + b"9" * 30,
        b"Content-Type: x",
        b"X: y",
        b"",
    ]
)
broken = st.lists(header_lines | st.binary(max_size=20), max_size=3).map(b"\r\n".join)


@st.composite
def streams(draw: st.DrawFn) -> tuple[list[bytes], bytes]:
    """Bodies that are framed rightly, often after a handshake, and bytes that come after them."""
    hello = [json.dumps(request("initialize", INITIALIZE, "hello")).encode()] if draw(st.booleans()) else []
    return hello + draw(st.lists(bodies, max_size=6)), draw(st.just(b"") | broken | st.binary(max_size=60))


def check(stream: tuple[list[bytes], bytes]) -> None:
    bodies, rest = stream
    sent, _, _ = say(b"".join(map(framed, bodies)) + rest)
    asked = Counter(id_ for body in bodies if (id_ := due_of(body)) is not None)
    answered = Counter(message["id"] for message in sent if "method" not in message)
    del answered[None]
    assert answered == asked


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(streams())
def test_any_stream_is_survived_and_each_request_has_one_answer(stream: tuple[list[bytes], bytes]) -> None:
    check(stream)


def test_the_same_for_long_if_wanted() -> None:
    end = time.monotonic() + LONG_S
    for _ in itertools.takewhile(lambda _: time.monotonic() < end, itertools.count()):
        settings(max_examples=500, deadline=None, database=None, suppress_health_check=list(HealthCheck))(
            given(streams())(check)
        )()
