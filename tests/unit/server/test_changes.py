"""A status is told when it is another, soon, and not too often."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from completer.server import changes
from completer.server.changes import Changes


class Watched:
    """A status that a test changes, and what was told of it."""

    def __init__(self, again_s: float | None = None) -> None:
        self.status: dict[str, Any] = {"kind": "loading", "p95": 1}
        self.told: list[dict[str, Any]] = []
        self.n_read = 0
        self.changes = Changes(self._read, self.told.append, lambda _: again_s, frozenset(("p95",)))

    def _read(self) -> dict[str, Any]:
        self.n_read += 1
        return dict(self.status)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "EVERY_S", 0.05)
    monkeypatch.setattr(changes, "FIGURES_EVERY_S", 0.1)


def test_the_first_status_is_told_at_once_and_the_same_one_never_again() -> None:
    async def run() -> Watched:
        watched = Watched()
        for _ in range(100):
            watched.changes.look()
            await asyncio.sleep(0)
        assert len(watched.told) == 1
        await asyncio.sleep(0.1)
        return watched

    watched = asyncio.run(run())
    assert watched.told == [{"kind": "loading", "p95": 1}]
    assert watched.n_read == 2


def test_of_many_changes_in_a_moment_the_last_one_is_told() -> None:
    async def run() -> Watched:
        watched = Watched()
        watched.changes.look()
        await asyncio.sleep(0)
        for kind in ("a", "b", "c"):
            watched.status["kind"] = kind
            watched.changes.look()
            await asyncio.sleep(0)
        await asyncio.sleep(0.1)
        return watched

    assert [status["kind"] for status in asyncio.run(run()).told] == ["loading", "c"]


def test_figures_alone_are_told_later() -> None:
    async def run() -> Watched:
        watched = Watched()
        watched.changes.look()
        await asyncio.sleep(0)
        watched.status["p95"] = 2
        watched.changes.look()
        await asyncio.sleep(0.06)
        assert len(watched.told) == 1
        await asyncio.sleep(0.1)
        return watched

    assert asyncio.run(run()).told[-1] == {"kind": "loading", "p95": 2}


def test_a_status_that_may_change_by_itself_is_looked_at_again_until_closed() -> None:
    async def run() -> Watched:
        watched = Watched(again_s=0.01)
        watched.changes.look()
        await asyncio.sleep(0)
        watched.status["kind"] = "ready"
        await asyncio.sleep(0.1)
        assert len(watched.told) == 2
        watched.changes.close()
        watched.status["kind"] = "error"
        watched.changes.look()
        await asyncio.sleep(0.1)
        return watched

    assert [status["kind"] for status in asyncio.run(run()).told] == ["loading", "ready"]
