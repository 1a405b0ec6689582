"""From the body of a message to one JSON-RPC object, or why it is none. Pure functions."""

from __future__ import annotations

import json
import re
from typing import Any

from lsprotocol.types import ErrorCodes

MAX_DEPTH = 128
"""Of arrays and objects. Real messages need about ten; the JSON decoder and the converter recurse once or more a level."""

_BRACKETS = re.compile(r"[\[\]{}]")


class BadMessage(Exception):
    """A body that must be answered with an error. id: of the request, None where it cannot be known."""

    def __init__(self, message_id: str | int | None, code: ErrorCodes, reason: str) -> None:
        super().__init__(reason)
        self.id = message_id
        self.code = code


def decode(body: bytes) -> dict[str, Any]:
    """Return a message: a dict with "jsonrpc": "2.0" that is a request, a notification or a response.

    The id of a request is a string or an integer; `params`, `result` and the id of a response are not checked.
    Raises: BadMessage.
    """
    try:
        text = body.decode("utf-8", "surrogatepass")  # the mirror replaces lone surrogates
        if _is_too_deep(text):
            raise BadMessage(None, ErrorCodes.InvalidRequest, f"JSON nested more than {MAX_DEPTH} deep")
        data = json.loads(text)
    except ValueError as error:
        raise BadMessage(None, ErrorCodes.ParseError, f"not JSON: {error}") from error
    if not isinstance(data, dict):
        raise BadMessage(None, ErrorCodes.InvalidRequest, "a message must be one JSON-RPC object")
    if reason := _objection(data):
        raise BadMessage(_id_to_answer(data), ErrorCodes.InvalidRequest, reason)
    return data


def _id_to_answer(data: dict[str, Any]) -> str | int | None:
    """Return the id of what may be a request; the id of a response is one of ours, and no answer to it is awaited."""
    is_response = "method" not in data and ("result" in data or "error" in data)
    return data["id"] if _is_id(data.get("id")) and not is_response else None


def _objection(data: dict[str, Any]) -> str | None:
    if data.get("jsonrpc") != "2.0":
        return 'a message must have "jsonrpc": "2.0"'
    is_answer = "result" in data or "error" in data
    if ("method" in data) == is_answer:
        return "a message must have either a method, or a result or error"
    if is_answer:
        return None
    if not isinstance(data["method"], str):
        return "the method must be a string"
    return None if "id" not in data or _is_id(data["id"]) else "the id must be a string or an integer"


def _is_id(value: object) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool)


def _is_too_deep(text: str) -> bool:
    """Whether arrays and objects nest deeper than MAX_DEPTH in what is, or is not, JSON. Linear, without recursion."""
    if text.count("[") + text.count("{") <= MAX_DEPTH:  # nearly every message
        return False
    # Without escaped backslashes and then without escaped quotes, every quote begins or ends a string.
    outside_strings = "".join(text.replace("\\\\", "").replace('\\"', "").split('"')[::2])
    depth = 0
    for bracket in _BRACKETS.findall(outside_strings):
        depth += 1 if bracket in "[{" else -1
        if depth > MAX_DEPTH:
            return True
    return False
