"""An inline completion answer, checked and turned into the text that would stand behind the cursor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bench.document import Encoding, offset_at
from bench.screen import Problem


@dataclass(frozen=True, slots=True)
class Answer:
    """ghost: what an editor would show behind the cursor ("" for nothing); problem: why it must not."""

    ghost: str
    problem: Problem | None = None


def read_answer(result: Any, text: str, cursor: int, encoding: Encoding) -> Answer:
    """Return the first suggestion of `result` for `text` with the cursor at `cursor` (code points).

    result: what `textDocument/inlineCompletion` answered: null, a list of items, or {"items": [...]}.
    A range must lie on the cursor's line and touch the cursor, and the inserted text must begin with what the
    range holds before the cursor: editors show nothing otherwise.
    """
    items = result.get("items") if isinstance(result, dict) else result
    if not items:
        return Answer("")
    item = items[0] if isinstance(items, list) else None
    insert = item.get("insertText") if isinstance(item, dict) else None
    if isinstance(insert, dict):
        insert = insert.get("value")
    if not isinstance(item, dict) or not isinstance(insert, str):
        return Answer("", "malformed")
    if item.get("range") is None:
        return Answer(insert)
    try:
        start = offset_at(text, item["range"]["start"], encoding)
        end = offset_at(text, item["range"]["end"], encoding)
    except (KeyError, TypeError):
        return Answer("", "malformed")
    if start is None or end is None or not start <= cursor <= end:
        return Answer("", "wrong-range")
    if any(c in "\r\n" for c in text[start:end]):
        return Answer("", "wrong-range")
    if not insert.startswith(text[start:cursor]):
        return Answer("", "wrong-prefix")
    ghost, replaced = insert[cursor - start :], text[cursor:end]
    return Answer(ghost.removesuffix(replaced) if replaced else ghost)
