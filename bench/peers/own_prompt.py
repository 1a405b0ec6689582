"""llama.cpp's `/completion` with prompts built here, so that the effect of the prompt and of the engine come apart.

Layouts: `psm` is the usual order with the cursor at the end of the prefix; `anchored` freezes the prefix at the
start of the line and puts what was typed behind the middle token, the last word of it taken back and reproduced
by a grammar, so that a key costs only the tokens of the line.
"""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass
from typing import Literal

from bench.client import Json
from bench.document import Change, Document
from bench.peers.base import HttpPeer, fill_stages
from bench.peers.http import LlamaServer, PeerError
from bench.screen import Record
from bench.trace import Event

Layout = Literal["psm", "anchored"]
LINES_BEFORE = 80
LINES_AFTER = 16
MAX_TOKENS = 24
LAST_WORD = re.compile(r"(\w+|[^\w\s]+)$")


@dataclass(frozen=True, slots=True)
class FimTokens:
    """The marks of a model family, as text that the server turns into their tokens."""

    prefix: str = "<|fim_prefix|>"
    suffix: str = "<|fim_suffix|>"
    middle: str = "<|fim_middle|>"


@dataclass(frozen=True, slots=True)
class Request:
    """prompt: for `/completion`. given: text that the answer must begin with and that is typed already."""

    prompt: str
    given: str


def build(document: Document, layout: Layout, fim: FimTokens) -> Request:
    """Return the request for the cursor of `document`."""
    before, after = document.text[: document.cursor], document.text[document.cursor :]
    prefix = "\n".join(before.split("\n")[-LINES_BEFORE:])
    suffix = "\n".join(after.split("\n")[:LINES_AFTER])
    if layout == "psm":
        return Request(f"{fim.prefix}{prefix}{fim.suffix}{suffix}{fim.middle}", "")
    line = document.line_prefix
    found = LAST_WORD.search(line)
    given = found.group() if found else ""
    fixed, typed = prefix.removesuffix(line), line.removesuffix(given)
    return Request(f"{fim.prefix}{fixed}{fim.suffix}{suffix}{fim.middle}{typed}", given)


class OwnPrompt(HttpPeer):
    """Asks at each key, cancels what is superseded, and shortens its last answer while it is typed along."""

    def __init__(self, server: LlamaServer, layout: Layout = "psm", fim: FimTokens | None = None, name: str = "") -> None:
        super().__init__(name or f"llama.cpp {layout}", server)
        self.layout: Layout = layout
        self.fim = fim or FimTokens()
        self.screen.keeps_typed_through = True
        self._request: asyncio.Task[None] | None = None

    def event(self, event: Event, record: Record, document: Document, change: Change | None) -> None:
        """Show what is left of the last answer, or ask."""
        self.screen.event(event, record.index, record.t_ms)
        if change is None:
            return
        if self._request is not None and not self._request.done():
            self._request.cancel()
        if self.screen.text:
            record.answered_ms, record.ghost, record.answered_by = record.t_ms, self.screen.text, "typed-through"
            return
        record.asked_ms = self._now_ms()
        self._request = asyncio.create_task(self._ask(build(document, self.layout, self.fim), record))
        self._begin(self._request)

    async def _ask(self, request: Request, record: Record) -> None:
        body: Json = {
            "prompt": request.prompt,
            "n_predict": MAX_TOKENS,
            "temperature": 0.0,
            "stop": ["\n"],
            "cache_prompt": True,
            "id_slot": 0,
        }
        if request.given:
            # The line break must be allowed, or the model could not end its line; the stop rule takes it off again.
            body["grammar"] = f'root ::= {json.dumps(request.given)} [^\\n]* "\\n"?'
        try:
            answer = await self.server.post("/completion", body)
        except PeerError as error:
            record.error = str(error)
            return
        except asyncio.CancelledError:
            record.cancelled = True
            raise
        fill_stages(record, answer)
        record.answered_ms = self._now_ms()
        content = str(answer.get("content", ""))
        record.ghost = content[len(request.given) :] if content.startswith(request.given) else ""
        self.screen.show(record.ghost, record.index, record.answered_ms)
