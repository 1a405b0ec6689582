"""A slice of `python -m bench fuzz` and of `python -m bench endurance`: hostile input, and a worker that is killed."""

from __future__ import annotations

import pytest

from bench.endurance import endurance_at
from bench.fuzz.command import fuzz_at
from bench.fuzz.hostile import Hostile
from bench.stand import stand
from completer.worker import start

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not start.is_possible(), reason="needs Unix sockets")]


@pytest.mark.xfail(reason="25 documents opened at once can take more than 1 s of CPU time: docs/reliability.md, open")
def test_hostile_messages_are_answered_once_each_by_a_server_and_a_worker_that_live_on() -> None:
    with stand() as place:
        result = fuzz_at(place, messages=5_000, seed=7, minutes=1.0, small=True)
        left = place.end()
    assert result["failures"] == []
    assert result["n_lsp"] > 1_000 and result["n_worker"] > 50
    assert left == []


def test_the_same_seed_sends_the_same() -> None:
    first, second = Hostile(3), Hostile(3)
    assert [first.message() for _ in range(200)] == [second.message() for _ in range(200)]


def test_editors_that_type_while_the_worker_is_killed_see_no_error_and_leave_nothing() -> None:
    with stand(tiny="echo") as place:
        result = endurance_at(place, seconds=25.0, n_clients=2, kill_every=5.0, recovery_s=15.0)
        left = place.end()
    assert result["failures"] == []
    assert result["shown"] > 0 and result["kills"] > 0
    assert left == []
