"""The models in the worker's memory: one for all fronts whose settings name the same, loaded once, unloaded when idle."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol

from completer.complete.api import RELOAD_SETTINGS
from completer.config import Settings
from completer.engines.base import CostCurve
from completer.errors import CompleterError, DownloadCancelled, EngineError, OutOfMemory, in_words, is_out_of_memory
from completer.generate.generator import Generator
from completer.types import Progress
from completer.worker.held import Publisher
from completer.worker.wire import Failed, Held, Loading, Message, Ready, State, Unloaded

log = logging.getLogger(__name__)

_REPORT_EVERY_S = 0.1
_MODEL_SETTINGS = tuple(name for name in RELOAD_SETTINGS if not name.startswith("worker_"))
"""A model is shared by fronts that agree in these."""


class SharedGenerator(Generator, Protocol):
    """A generator that tells what `n_cached` compares with."""

    @property
    def is_busy(self) -> bool:
        """Whether any request is under way."""
        ...

    def held(self) -> Sequence[Sequence[int]]:
        """Return the sequences that its slots hold. From any thread."""
        ...


class Hosted(Protocol):
    """A loaded model. vocab_size: of the tokenizer.  description: its costs are those at the start."""

    generator: SharedGenerator
    vocab_size: int
    description: Ready

    def costs(self) -> CostCurve:
        """Return what a forward costs, as far as is known by now."""
        ...

    def message(self) -> str:
        """Return what the user should know of the model's state; "" when all is well."""
        ...

    def close(self) -> None:
        """Free it. Blocks until its thread has ended."""
        ...


LoadModel = Callable[[Settings, Progress], Hosted]
"""Loads what the settings name. Blocks, perhaps for minutes. Raises: CompleterError."""


class Follower(Protocol):
    """A front, as far as the models know it."""

    def send(self, *messages: Message) -> None:
        """From any thread; never blocks."""
        ...

    def joined(self, shared: Shared) -> None:
        """Its model is loaded. On the event loop."""
        ...

    def left(self) -> None:
        """Its model is gone or could not be loaded. On the event loop."""
        ...


@dataclass(slots=True, eq=False)
class Shared:
    """One model and the fronts that use it. hosted, publisher: None while it is loaded. used_s: when it last worked."""

    settings: Settings
    followers: dict[Follower, None] = field(default_factory=dict)
    hosted: Hosted | None = None
    publisher: Publisher | None = None
    used_s: float = field(default_factory=time.monotonic)
    told: State | None = None

    def tell(self, *messages: Message) -> None:
        for follower in list(self.followers):
            follower.send(*messages)

    def state(self) -> State | None:
        """Return the state if it is another than the last one. Mutates: what was told."""
        assert self.hosted is not None
        now = State(self.hosted.message(), self.hosted.costs())
        if now == self.told:
            return None
        self.told = now
        return now


class Models:
    """Owned by the event loop. One model is loaded at a time: two would need the memory of both."""

    def __init__(self, load: LoadModel) -> None:
        self._load = load
        self._loop = asyncio.get_running_loop()
        self._shared: dict[tuple[object, ...], Shared] = {}
        self._loader = ThreadPoolExecutor(max_workers=1, thread_name_prefix="worker-load")
        self._tasks: set[asyncio.Future[None]] = set()
        self.is_loading = False

    @property
    def loaded(self) -> list[Shared]:
        return [shared for shared in self._shared.values() if shared.hosted is not None]

    def want(self, follower: Follower, settings: Settings) -> None:
        """Give a front the model that its settings name, now or when it is loaded. Mutates: the models."""
        key = tuple(getattr(settings, name) for name in _MODEL_SETTINGS)
        shared = self._shared.get(key)
        if shared is None:
            shared = self._shared[key] = Shared(settings)
            self._spawn(key, shared)
        shared.followers[follower] = None
        shared.used_s = time.monotonic()
        if shared.hosted is not None:
            self._join(follower, shared)

    def leave(self, follower: Follower) -> None:
        """A front is gone, or wants another model. Its model stays until another is loaded, or it was idle for long."""
        for shared in self._shared.values():
            shared.followers.pop(follower, None)

    def unload_idle(self, after_s: float) -> None:
        """Free what was idle for so long, and tell its fronts. Mutates: the models."""
        now = time.monotonic()
        for key, shared in list(self._shared.items()):
            if shared.hosted is not None and shared.hosted.generator.is_busy:
                shared.used_s = now
            if shared.hosted is not None and now - shared.used_s >= after_s:
                log.info("unloaded %s: idle for %.0f s", shared.hosted.description.name, now - shared.used_s)
                self._free(key)

    async def close(self) -> None:
        """Free all models. A load that is under way goes on in its thread, which ends with the process."""
        for key in list(self._shared):
            self._free(key)
        if not self.is_loading:
            await asyncio.gather(*self._tasks)

    def _spawn(self, key: tuple[object, ...], shared: Shared) -> None:
        task = asyncio.ensure_future(self._bring(key, shared))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _bring(self, key: tuple[object, ...], shared: Shared) -> None:
        try:
            hosted = await self._loop.run_in_executor(self._loader, self._load_now, shared)
        except DownloadCancelled as error:
            if shared.followers:  # somebody came after the last one had left
                self._spawn(key, shared)
            else:
                self._failed(key, Failed(type(error).__name__, str(error)))
            return
        except CompleterError as error:
            self._failed(key, Failed(type(error).__name__, str(error)))
            return
        if self._shared.get(key) is not shared:  # the worker is about to end
            self._close_later(hosted)
            return
        shared.hosted, shared.used_s = hosted, time.monotonic()
        shared.publisher = Publisher(hosted.generator.held, shared.tell)
        for follower in list(shared.followers):
            self._join(follower, shared)

    def _join(self, follower: Follower, shared: Shared) -> None:
        """Mutates: the front, which may submit requests from now on."""
        assert shared.hosted is not None and shared.publisher is not None
        hosted = shared.hosted

        def join(held: Held) -> None:
            follower.send(hosted.description, held, State(hosted.message(), hosted.costs()))

        follower.joined(shared)
        shared.publisher.joined(join)

    def _load_now(self, shared: Shared) -> Hosted:
        """Runs in the loading thread."""
        last_s = 0.0

        def progress(label: str, done: int, total: int) -> None:
            nonlocal last_s
            if not shared.followers:
                raise DownloadCancelled("nobody waits for this model any more")
            if (now := time.monotonic()) - last_s >= _REPORT_EVERY_S or done in (0, total):
                last_s = now
                shared.tell(Loading(label, done, total))

        self.is_loading = True
        try:
            hosted = self._loaded(shared, progress)
            # A vocabulary is a million objects that live for ever: the collector need not walk them at some key.
            gc.collect()
            gc.freeze()
            return hosted
        finally:
            self.is_loading = False

    def _loaded(self, shared: Shared, progress: Progress) -> Hosted:
        """Load. Whatever a library throws becomes an error of ours: SystemExit would end the event loop."""
        try:
            self._free_unused(shared)
            return self._load(shared.settings, progress)
        except CompleterError:
            raise
        except BaseException as error:
            log.exception("the model could not be loaded")
            kind = OutOfMemory if is_out_of_memory(error) else EngineError
            raise kind(f"the model could not be loaded: {in_words(error)}") from error

    def _free_unused(self, wanted: Shared) -> None:
        """A front that changes its model must not leave the old one in memory. Runs in the loading thread."""
        unused: list[Hosted] = asyncio.run_coroutine_threadsafe(self._take_unused(wanted), self._loop).result()
        for hosted in unused:
            hosted.close()

    async def _take_unused(self, wanted: Shared) -> list[Hosted]:
        keys = [key for key, one in self._shared.items() if one is not wanted and one.hosted and not one.followers]
        return [one.hosted for one in map(self._shared.pop, keys) if one.hosted is not None]

    def _failed(self, key: tuple[object, ...], failed: Failed) -> None:
        if (shared := self._shared.pop(key, None)) is not None:
            shared.tell(failed)
            _dismiss(shared.followers)

    def _free(self, key: tuple[object, ...]) -> None:
        shared = self._shared.pop(key)
        if shared.hosted is not None:
            _dismiss(shared.followers)
            shared.tell(Unloaded())
            self._close_later(shared.hosted)

    def _close_later(self, hosted: Hosted) -> None:
        closing = self._loop.run_in_executor(self._loader, hosted.close)
        self._tasks.add(closing)
        closing.add_done_callback(self._tasks.discard)


def _dismiss(followers: Collection[Follower]) -> None:
    for follower in list(followers):
        follower.left()
