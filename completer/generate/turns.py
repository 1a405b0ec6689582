"""Whose turn it is among clients that share an engine: who had the least of its time goes first.

    A asks for a whole line     A A A A . . . . A A        A went first; then its lead was QUANTUM_MS
    B types one key                     B B B B            B is served, A goes on

A client that comes back after a rest starts level with those that are served now: rest earns no credit.
"""

from __future__ import annotations

from collections.abc import Collection

QUANTUM_MS = 40.0
"""How far the client that is being served may get ahead of others: about one answer. Less would make two answers late
where one can be in time."""


class Turns:
    """Owned by the engine's thread, under its lock."""

    def __init__(self) -> None:
        self._used_ms: dict[int, float] = {}
        self._served: int | None = None

    def rank(self, client: int) -> float:
        """Return the client's place: the lowest goes first."""
        lead_ms = QUANTUM_MS if client == self._served else 0.0
        return self._used_ms.get(client, 0.0) - lead_ms

    def update(self, waiting: Collection[int]) -> None:
        """Take the clients that have work now. Mutates: the accounts; those of clients without work are closed."""
        if len(waiting) == 1 and self._used_ms.keys() == set(waiting):
            return  # the usual case
        level_ms = min((self._used_ms[client] for client in waiting if client in self._used_ms), default=0.0)
        self._used_ms = {client: self._used_ms.get(client, level_ms) - level_ms for client in waiting}

    def ran(self, client: int, ms: float) -> None:
        """Take down what a piece of work for a client took. Mutates: the accounts."""
        self._served = client
        if client in self._used_ms:
            self._used_ms[client] += ms
