"""docs/reference/protocol.md against the code: its examples are messages that the server understands."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import attrs
import pytest

from completer.complete.trace import Trace, TraceLog
from completer.server import messages

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "protocol.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^### `(completer/\w+)`\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL))
NOTIFICATIONS = {method: type_ for method, type_ in messages.MESSAGE_TYPES.items() if method.startswith("completer/")}


def example(method: str) -> dict[str, Any]:
    """Return the JSON example below the heading of a method."""
    found = re.search(r"```json\n(.*?)```", SECTIONS[method], re.DOTALL)
    assert found, f"{method} has no example"
    return dict(json.loads(found[1]))


@pytest.mark.parametrize("method", sorted(NOTIFICATIONS))
def test_example_of_a_notification_is_understood_with_all_its_fields(method: str) -> None:
    converter = messages.make_converter()
    shown = example(method)
    typed = converter.structure({"jsonrpc": "2.0", "method": method, "params": shown}, NOTIFICATIONS[method]).params
    fields = {name.replace("_", "").lower() for name in attrs.asdict(typed)}
    assert {name.lower() for name in shown} == fields


@pytest.mark.parametrize("method", [messages.STATUS, messages.METRICS, messages.MODELS])
def test_answer_of_a_request_has_an_example(method: str) -> None:
    assert example(method)


def test_example_of_a_trace_has_the_fields_of_one() -> None:
    (shown,) = example(messages.METRICS)["traces"]
    assert set(shown) == {field.name for field in dataclasses.fields(Trace)}


def test_latency_is_null_before_the_first_request() -> None:
    assert TraceLog().latency_ms(50) is None
