"""Clients that share an engine: foreground first, then in turn, and each one's newest key first."""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import pairwise

import pytest

from completer.generate import turns
from completer.generate.scheduler import LocalGenerator
from completer.generate.turns import QUANTUM_MS, Turns
from completer.tokens.tokenizer import Tokenizer
from completer.types import Done, Request, Tokens
from tests.gate import GatedEngine, request


def served(shared: Turns, waiting: set[int], n: int, ms: float) -> list[int]:
    """Return whom n pieces of work went to."""
    order = []
    for _ in range(n):
        shared.update(waiting)
        client = min(waiting, key=shared.rank)
        shared.ran(client, ms)
        order.append(client)
    return order


def test_two_clients_that_always_want_something_get_the_same_time_in_stretches() -> None:
    shared = Turns()
    order = served(shared, {1, 2}, 400, 10.0)
    assert abs(order.count(1) - order.count(2)) <= 2 * QUANTUM_MS / 10.0
    n_switches = sum(a != b for a, b in pairwise(order))
    assert n_switches <= 400 / (QUANTUM_MS / 10.0)


def test_who_comes_in_goes_before_one_that_works_for_long_and_rest_earns_no_credit() -> None:
    shared = Turns()
    served(shared, {1}, 100, 20.0)
    assert served(shared, {1, 2}, 20, 20.0).count(2) in (9, 10, 11, 12)
    served(shared, {1}, 100, 20.0)  # 2 rests
    assert served(shared, {1, 2}, 40, 20.0).count(2) <= 24


def of_client(made: Request, client: int) -> Request:
    return replace(made, client=client, session=f"{client} a")


def test_no_client_starves_beside_one_that_floods_the_engine(tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "QUANTUM_MS", 0.0)  # forwards of this engine take no time
    engine = GatedEngine(n_slots=4)
    generator = LocalGenerator(engine, tokenizer)
    done: list[int] = []

    def on_event(event: Tokens | Done) -> None:
        if isinstance(event, Done):
            done.append(event.request_id)

    generator.submit(of_client(request(tokenizer, 1, [1, 2, 3]), 1), on_event)
    engine.wait_at_gate()
    generator.submit(of_client(request(tokenizer, 2, [9, 8, 7]), 2), on_event)
    for id_ in range(3, 30):  # newer than the one of client 2
        generator.submit(of_client(request(tokenizer, id_, [1, 2, 3, id_]), 1), on_event)
    engine.open()
    while generator.is_busy:
        time.sleep(0.005)
    generator.close()
    assert done.index(2) <= 10
    of_first = [id_ for id_ in done if id_ > 2]
    assert of_first == sorted(of_first, reverse=True)
