"""The engine `remote`: a StreamEngine over servers that others run."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from typing import Any

import httpx
from httpx_sse import EventSource, SSEError

from completer.engines.base import CostCurve, StreamPiece, StreamRequest
from completer.engines.remote.dialect import Alternative, Ask, Dialect, Event, Read
from completer.engines.remote.link import Link, message_of
from completer.errors import DeadlineOver, ServerError
from completer.tokens.tokenizer import Tokenizer

_DONE = "[DONE]"
DRAIN_S = 0.05


class RemoteEngine:
    """Speaks one dialect over one link. See `completer.engines.base.StreamEngine`.

    Token ids travel when the server was seen to have the tokenizer's vocabulary (`same_vocabulary`); else text does.
    """

    def __init__(
        self, link: Link, dialect: Dialect, model: str, tokenizer: Tokenizer, max_len: int, *, same_vocabulary: bool
    ) -> None:
        self.name = "remote"
        self.max_len = max_len
        self.costs = CostCurve({1: 20.0}, 0.5)  # until they are measured
        self.constrains = dialect.constrains
        self.dialect = dialect
        self.model = model
        self.sends_ids = same_vocabulary and dialect.takes_ids
        self._link = link
        self._tokenizer = tokenizer
        self._same_vocabulary = same_vocabulary
        # Sessions of two processes must not meet on a router, and a document's path is nobody's business.
        self._session_key = uuid.uuid5(uuid.uuid4(), str(os.getpid()))
        self._special = _special_texts(tokenizer)

    async def stream(self, request: StreamRequest) -> AsyncGenerator[StreamPiece, None]:
        """Raises: ServerError and its kinds, ConfigError."""
        deadline = asyncio.get_running_loop().time() + request.deadline_s
        session = str(uuid.uuid5(self._session_key, request.session)) if request.session else ""
        read = self.dialect.reader()
        async with self._link.post(
            self.dialect.path, self.dialect.body(self._ask(request)), deadline=deadline, session=session
        ) as response:
            messages = _messages(response, self.dialect.framing)
            while True:
                message = await _next(messages, deadline, str(response.url))
                if message is None:
                    return
                event = read(message)
                if event.end:
                    n_cached = await _drained(messages, read)
                    event = event._replace(n_cached=event.n_cached if n_cached is None else n_cached)
                piece = self._piece(event)
                if not request.n_predict:  # llama-server gives a token all the same
                    piece = StreamPiece(n_cached=piece.n_cached, end=piece.end)
                if piece.ids or piece.end or piece.n_cached is not None:
                    yield piece
                if piece.end:
                    return

    async def close(self) -> None:
        await self._link.close()

    async def move_to(self, link: Link) -> None:
        """Go on over another link: the same server, started again elsewhere. Mutates: the link; the old one is closed."""
        old, self._link = self._link, link
        await old.close()

    def _ask(self, request: StreamRequest) -> Ask:
        format_ = self._tokenizer.fim.format
        line_end = ("\n",) if request.single_line else ()
        return Ask(
            model=self.model,
            prompt=list(request.ids) if self.sends_ids else self.text_of(request.ids),
            n_predict=request.n_predict,
            # Where ids travel the end tokens are known by their ids; a text server may spell them out.
            stop=line_end if self.sends_ids else (*line_end, *format_.end),
            end_ids=tuple(sorted(self._tokenizer.fim.end)) if self._same_vocabulary else (),
            begins_with=request.begins_with.decode(),
            n_top=request.n_top,
            deadline_s=request.deadline_s,
        )

    def text_of(self, ids: Iterable[int]) -> str:
        """Return a prompt as text: special tokens spelt out, and no text of the document taken for one.

        The token at the beginning is left to the server, which puts it in front of every text.
        """
        bos = self._tokenizer.fim.bos
        parts: list[str] = []
        for is_special, run in itertools.groupby(ids, key=self._special.__contains__):
            if is_special:
                parts.extend(self._special[id_] for id_ in run if id_ != bos)
            else:
                parts.append(self._harmless(self._tokenizer.bytes_of(run).decode(errors="replace")))
        return "".join(parts)

    def _harmless(self, text: str) -> str:
        for name in self._special.values():
            if name in text:
                text = text.replace(name, f"{name[0]} {name[1:]}")
        return text

    def _piece(self, event: Event) -> StreamPiece:
        ids = event.ids if event.ids is not None and self._same_vocabulary else tuple(self._tokenizer.encode(event.text))
        # llama-server holds back half a character and then names only the last of its tokens: there the text is whole.
        if event.text and self._tokenizer.bytes_of(ids) != event.text.encode():
            ids = tuple(self._tokenizer.encode(event.text))
        prob = 1.0 if event.prob is None else event.prob
        return StreamPiece(ids, prob, tuple((self._ids_of(one), one.prob) for one in event.top), event.n_cached, event.end)

    def _ids_of(self, one: Alternative) -> tuple[int, ...]:
        if one.id is not None and self._same_vocabulary:
            return (one.id,)
        return tuple(self._tokenizer.encode(one.text))


def _special_texts(tokenizer: Tokenizer) -> dict[int, str]:
    """Return the text of each special token that a prompt may hold, by id."""
    fim, format_ = tokenizer.fim, tokenizer.fim.format
    names = {
        fim.prefix: format_.prefix,
        fim.suffix: format_.suffix,
        fim.middle: format_.middle,
        fim.bos: format_.bos,
        fim.repo_name: format_.repo_name,
        fim.file_sep: format_.file_sep,
    }
    return {
        id_: name.replace("▁", " ") if format_.name == "codellama" else name for id_, name in names.items() if id_ is not None
    }


async def _messages(response: httpx.Response, framing: str) -> AsyncIterator[str]:
    if framing == "lines":
        async for line in response.aiter_lines():
            if line.strip():
                yield line
        return
    async for event in EventSource(response).aiter_sse():
        if event.data and event.data != _DONE:
            yield event.data


async def _drained(messages: AsyncIterator[str], read: Read) -> int | None:
    """Read what follows the end of an answer, so that the connection can be used again; return n_cached from there."""
    n_cached: int | None = None
    try:
        async with asyncio.timeout(DRAIN_S):
            async for text in messages:
                n_cached = read(json.loads(text)).n_cached
    except (TimeoutError, httpx.HTTPError, SSEError, ValueError):
        return n_cached  # the answer is complete; the connection is given up
    return n_cached


async def _next(messages: AsyncIterator[str], deadline: float, url: str) -> dict[str, Any] | None:
    """Return the next message, None at the end. Raises: DeadlineOver, ServerError."""
    try:
        async with asyncio.timeout_at(deadline):
            text = await anext(messages, None)
        message = None if text is None else json.loads(text)
    except TimeoutError:
        raise DeadlineOver(f"{url} did not come to an end in time") from None
    except (httpx.HTTPError, SSEError, ValueError) as error:
        raise ServerError(f"{url} broke off its answer: {type(error).__name__}") from error
    if isinstance(message, dict) and message.get("error"):
        raise ServerError(f"{url}: {message_of(message)}")
    return message if isinstance(message, dict) or message is None else {}
