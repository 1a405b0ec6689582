"""Our server (or any with inline completion) asked at places, each in a document that was never open before.

explicit-cold, automatic-cold   the document is opened and the request follows at once (trigger kind 1, 2)
explicit-warm, automatic-warm   the document is opened, the cursor moves there, and after QUIET_S the request
explicit-again                  explicit-cold, and after AGAIN_S the same request: both answers are kept

An automatic answer may grow after it was given; what is there LATE_S later is kept as `automatic-cold, late`.
"""

from __future__ import annotations

import asyncio
from itertools import count
from time import perf_counter

from bench.answer import read_answer
from bench.client import Json, LspClient
from bench.document import Encoding, Position, position
from bench.places.case import Case
from bench.places.visit import Reply
from bench.warmup import warm_up

STATES = ("explicit-cold", "explicit-warm", "automatic-cold", "automatic-warm", "explicit-again")
QUIET_S, AGAIN_S, LATE_S = 2.0, 3.0, 1.0
REST_S = 0.2
"""After a document is closed, so that work for it has ended before the next one is opened."""
START_S, ANSWER_S = 900.0, 120.0
INLINE = "textDocument/inlineCompletion"


class Server:
    """Implements `bench.places.visit.Tool` with one server process at a time."""

    def __init__(self, command: str, options: Json) -> None:
        self._command, self._options = command, options
        self._client: LspClient | None = None
        self._encoding: Encoding = "utf-16"
        self._numbers = count()
        self._grown: asyncio.Queue[tuple[float, Json]] = asyncio.Queue()

    async def start(self) -> None:
        """Start the server and wait until it has answered once. Raises: OSError, ServerDied, TimeoutError."""
        self._client = await LspClient.spawn(self._command)
        self._client.handlers["completer/didExtendSuggestion"] = lambda params, at_s: self._grown.put_nowait((at_s, params))
        hello = {
            "processId": None,
            "rootUri": None,
            "capabilities": {"general": {"positionEncodings": ["utf-16"]}, "textDocument": {"inlineCompletion": {}}},
            "initializationOptions": self._options,
        }
        reply = await self._client.call("initialize", hello, START_S)
        if reply.error or not isinstance(reply.result, dict):
            raise ConnectionError(f"initialize failed: {reply.error}")
        self._encoding = reply.result.get("capabilities", {}).get("positionEncoding", "utf-16")
        self._client.notify("initialized", {})
        await warm_up(self._client, START_S)

    async def stop(self) -> None:
        """End the server."""
        if self._client is not None:
            await self._client.close()

    def names(self, state: str) -> tuple[str, ...]:
        """Return the names of the answers that a visit in `state` gives."""
        if state == "explicit-again":
            return ("explicit-cold", state)
        return (state, f"{state}, late") if state.startswith("automatic") else (state,)

    async def visit(self, case: Case, state: str) -> dict[str, Reply]:
        """Open the document, ask, close it; return the answers by name. Raises: ServerDied, TimeoutError."""
        assert self._client is not None, "start() comes first"
        uri = f"file:///bench/places/{next(self._numbers)}/{case.path}"
        item = {"uri": uri, "languageId": case.language, "version": 1, "text": case.text}
        here = position(case.text, len(case.prefix), self._encoding)
        self._client.notify("textDocument/didOpen", {"textDocument": item})
        if state.endswith("warm"):
            self._client.notify("completer/didMoveCursor", {"textDocument": {"uri": uri}, "position": here})
            await asyncio.sleep(QUIET_S)
        try:
            return await self._ask(case, state, uri, here)
        finally:
            self._client.notify("textDocument/didClose", {"textDocument": {"uri": uri}})
            await asyncio.sleep(REST_S)

    async def _ask(self, case: Case, state: str, uri: str, here: Position) -> dict[str, Reply]:
        first, *more = self.names(state)
        asked_s, reply = perf_counter(), await self._request(case, uri, here, 1 if state.startswith("explicit") else 2)
        answers = {first: reply}
        if state == "explicit-again":
            await asyncio.sleep(AGAIN_S)
            answers[state] = await self._request(case, uri, here, 1)
        elif more:
            answers[more[0]] = await self._late(case, uri, asked_s, reply)
        return answers

    async def _request(self, case: Case, uri: str, here: Position, kind: int) -> Reply:
        assert self._client is not None
        params = {"textDocument": {"uri": uri}, "position": here, "context": {"triggerKind": kind}}
        reply = await self._client.call(INLINE, params, ANSWER_S)
        if reply.error is not None:
            return Reply("", reply.ms, f"{reply.error.get('code')}: {reply.error.get('message', '')}"[:200])
        answer = read_answer(reply.result, case.text, len(case.prefix), self._encoding)
        return Reply("" if answer.problem else answer.ghost, reply.ms, answer.problem)

    async def _late(self, case: Case, uri: str, asked_s: float, reply: Reply) -> Reply:
        """Return what is visible once the suggestion has stopped growing, and when anything first was."""
        end_s = perf_counter() + LATE_S
        while (left_s := end_s - perf_counter()) > 0:
            try:
                at_s, params = await asyncio.wait_for(self._grown.get(), left_s)
            except TimeoutError:
                break
            item = {"insertText": params.get("text"), "range": params.get("range")}
            answer = read_answer([item], case.text, len(case.prefix), self._encoding)
            if params.get("uri") != uri or answer.problem or not answer.ghost:
                continue
            reply = Reply(answer.ghost, reply.ms if reply.text else (at_s - asked_s) * 1e3)
            if params.get("complete"):
                break
        return reply
