"""A status is told when it is another, soon, and not too often."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from completer.server.changes import EVERY_S, FIGURES_EVERY_S, Changes


class Loop(asyncio.SelectorEventLoop):
    """A loop whose clock jumps to the next timer, so that a test waits for nothing and every moment is exact."""

    _now_s = 0.0
    _ready: Any
    _scheduled: Any

    def time(self) -> float:
        return self._now_s

    def _run_once(self) -> None:
        if not self._ready and self._scheduled:
            self._now_s = max(self._now_s, self._scheduled[0].when())
        super()._run_once()  # type: ignore[misc]


class Watched:
    """A status that a test changes, and when what was told of it."""

    def __init__(self, again_s: float | None = None) -> None:
        self.status: dict[str, Any] = {"kind": "loading", "p95": 1}
        self.told: list[tuple[float, Any, Any]] = []
        self.n_read = 0
        self.changes = Changes(self._read, self._tell, lambda _: again_s, frozenset(("p95",)))

    def set(self, name: str, value: Any) -> None:
        self.status[name] = value
        self.changes.look()

    def _read(self) -> dict[str, Any]:
        self.n_read += 1
        return dict(self.status)

    def _tell(self, status: dict[str, Any]) -> None:
        self.told.append((asyncio.get_running_loop().time(), status["kind"], status["p95"]))


def run(test: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(test)


def test_the_first_status_is_told_at_once_and_the_same_one_never_again() -> None:
    async def test() -> None:
        watched = Watched()
        for _ in range(100):
            watched.changes.look()
            await asyncio.sleep(EVERY_S / 100)
        await asyncio.sleep(10)
        assert watched.told == [(0.0, "loading", 1)]
        assert watched.n_read == 2

    run(test())


def test_of_many_changes_in_a_moment_the_last_one_is_told() -> None:
    async def test() -> None:
        watched = Watched()
        watched.changes.look()
        await asyncio.sleep(EVERY_S / 4)
        for kind in ("a", "b", "c"):
            watched.set("kind", kind)
        await asyncio.sleep(10)
        watched.set("kind", "d")
        await asyncio.sleep(10)
        assert watched.told == [(0.0, "loading", 1), (EVERY_S, "c", 1), (EVERY_S / 4 + 10, "d", 1)]

    run(test())


def test_figures_alone_are_told_later() -> None:
    async def test() -> None:
        watched = Watched()
        watched.changes.look()
        await asyncio.sleep(1)
        watched.set("p95", 2)
        await asyncio.sleep(1)
        watched.set("p95", 3)
        await asyncio.sleep(10)
        assert watched.told == [(0.0, "loading", 1), (FIGURES_EVERY_S, "loading", 3)]

    run(test())


def test_a_status_that_may_change_by_itself_is_looked_at_again_until_closed() -> None:
    async def test() -> None:
        watched = Watched(again_s=2)
        watched.changes.look()
        await asyncio.sleep(1)
        watched.status["kind"] = "ready"
        await asyncio.sleep(2)
        watched.changes.close()
        watched.set("kind", "error")
        await asyncio.sleep(10)
        assert watched.told == [(0.0, "loading", 1), (2.0, "ready", 1)]

    run(test())
