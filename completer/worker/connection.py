"""The worker's end of one front: what it may send, and what becomes of it."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, Protocol

from completer import __version__
from completer.config import Settings, update
from completer.errors import ConfigError
from completer.types import Done, Request, Stats, Tokens
from completer.worker.channel import Channel
from completer.worker.wire import (
    MAX_PENDING,
    MAX_TEXT_TOKENS,
    MAX_TEXTS,
    WIRE,
    Ask,
    Broken,
    Cancel,
    Down,
    Ended,
    Failed,
    Grew,
    Hello,
    Load,
    Message,
    Ping,
    Pong,
    Report,
    Stop,
    Submit,
    Text,
    Welcome,
)

if TYPE_CHECKING:
    from completer.worker.models import Shared

log = logging.getLogger(__name__)

MAX_DRAFTS = 64
MAX_TOKENS = 1 << 14
"""That a front may want of one request."""

_ids = itertools.count(1)


class _Text(NamedTuple):
    """A text for drafts. largest: its largest id; looking for it at each request would take a millisecond."""

    ids: tuple[int, ...]
    largest: int


class Owner(Protocol):
    """The server, as far as a connection knows it. All methods are called on the event loop."""

    pid: int

    def wants(self, connection: Connection, settings: Settings) -> None: ...

    def works(self, shared: Shared) -> None:
        """A request was submitted."""
        ...

    def report(self) -> Report: ...

    def stop(self) -> None: ...


class Connection:
    """Owned by the event loop; events of its requests come from the engine's thread."""

    def __init__(self, number: int, owner: Owner, channel: Channel[Down]) -> None:
        self.channel = channel
        self.greeted = False
        self._number = number
        self._owner = owner
        self._shared: Shared | None = None
        self._texts: dict[int, _Text] = {}
        self._pending: dict[int, int] = {}  # the front's id -> the id in the generator

    def handle(self, message: Down) -> None:
        """Handle one message. Raises: Broken, after which the connection must be closed."""
        if isinstance(message, Hello):
            self._greet(message)
            return
        if not self.greeted:
            raise Broken(f"{type(message).__name__} before Hello")
        match message:
            case Submit():
                self._submit(message)
            case Cancel(request_id):
                self._cancel(request_id)
            case Text(number, ids):
                if not 0 <= number < MAX_TEXTS or not 0 < len(ids) <= MAX_TEXT_TOKENS or min(ids) < 0:
                    raise Broken(f"text {number} of {len(ids)} tokens")
                self._texts[number] = _Text(ids, max(ids))
            case Load(settings):
                self._load(settings)
            case Ping():
                self.send(Pong())
            case Ask():
                self.send(self._owner.report())
            case Stop():
                self._owner.stop()

    def send(self, *messages: Message) -> None:
        if not self.channel.send(*messages):
            self.channel.abort()  # the event loop sees that, and frees what belongs to the front

    def joined(self, shared: Shared) -> None:
        self._shared = shared

    def left(self) -> None:
        self._shared = None

    def end(self) -> None:
        """The front is gone: nothing of it may occupy the engine any more. Mutates: the connection."""
        shared, self._shared = self._shared, None
        if shared is not None and shared.hosted is not None:
            for request_id in list(self._pending.values()):
                shared.hosted.generator.cancel(request_id)
        self.channel.close()

    def _greet(self, hello: Hello) -> None:
        if self.greeted:
            raise Broken("a second Hello")
        self.greeted = True
        self.send(Welcome(WIRE, __version__, self._owner.pid))

    def _load(self, changes: dict[str, object]) -> None:
        try:
            settings = update(Settings(), changes)
        except ConfigError as error:
            self.send(Failed("ConfigError", str(error)))
        else:
            self._owner.wants(self, settings)

    def _submit(self, message: Submit) -> None:
        front_id, shared = message.request.id, self._shared
        if front_id in self._pending or len(self._pending) >= MAX_PENDING:
            raise Broken(f"request {front_id} beside {len(self._pending)} others")
        if shared is None or shared.hosted is None:  # it was unloaded while this was on its way
            self.send(Ended(Done(front_id, "error", Stats())))
            return
        request = self._own(message, shared.hosted.vocab_size)
        self._pending[front_id] = request.id
        self._owner.works(shared)
        shared.hosted.generator.submit(request, self._listener(front_id, shared))

    def _own(self, message: Submit, vocab_size: int) -> Request:
        """Return the request under an id and a session that no other front has. Raises: Broken."""
        request = message.request
        try:
            texts = [self._texts[number] for number in message.texts]
        except KeyError as error:
            raise Broken(f"there is no text {error}") from error
        sizes_are_right = (
            len(request.drafts) <= MAX_DRAFTS
            and len(texts) + len(request.corpus_ids) <= MAX_TEXTS + MAX_DRAFTS
            and all(text.largest < vocab_size for text in texts)
            and 0 <= request.stop.max_tokens <= MAX_TOKENS
            and 0 <= request.prompt.n_heal <= len(request.prompt.ids)
        )
        if not sizes_are_right or not _are_tokens((request.prompt.ids, *request.drafts, *request.corpus_ids), vocab_size):
            raise Broken("a request that no front of ours makes")
        return replace(
            request,
            id=next(_ids),
            session=f"{self._number} {request.session}",
            corpus_ids=(*(text.ids for text in texts), *request.corpus_ids),
            client=self._number,
        )

    def _listener(self, front_id: int, shared: Shared) -> Callable[[Tokens | Done], None]:
        """Return what passes the events of a request on, from the engine's thread."""

        def on_event(event: Tokens | Done) -> None:
            if isinstance(event, Tokens):
                self.send(Grew(replace(event, request_id=front_id)))
                return
            self._pending.pop(front_id, None)
            if shared.publisher is not None:
                shared.publisher.publish()  # first: the front looks at what is held as soon as it hears of the end
            if (state := shared.state()) is not None:
                shared.tell(state)
            self.send(Ended(replace(event, request_id=front_id)))

        return on_event

    def _cancel(self, front_id: int) -> None:
        request_id = self._pending.get(front_id)
        if request_id is not None and self._shared is not None and self._shared.hosted is not None:
            self._shared.hosted.generator.cancel(request_id)


def _are_tokens(sequences: Iterable[Sequence[int]], vocab_size: int) -> bool:
    return all(not ids or (min(ids) >= 0 and max(ids) < vocab_size) for ids in sequences)
