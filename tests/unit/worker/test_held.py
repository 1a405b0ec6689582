"""What slots hold, told in changes: every follower's copy is equal to the slots, whatever happened in between."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from completer.tokens.prefix import common_length
from completer.worker.held import Mirror, Publisher
from completer.worker.wire import Held

SLOTS = st.lists(st.lists(st.integers(0, 3), max_size=6), max_size=4)


@given(st.lists(SLOTS, max_size=8), st.integers(0, 8))
def test_mirrors_equal_the_slots_also_those_that_join_late(states: list[list[list[int]]], joins_at: int) -> None:
    now: list[list[int]] = []
    early, late = Mirror(), Mirror()
    followers = [early]
    publisher = Publisher(lambda: now, lambda held: [mirror.take(held) for mirror in followers] and None)
    for n, state in enumerate([*states, *([[]] * (joins_at + 1 - len(states)))]):
        if n == joins_at:
            publisher.joined(late.take)
            followers.append(late)
        now = state
        publisher.publish()
        for mirror in followers:
            for prompt in ([0, 1, 2], [3], [0, 0, 0, 0, 0, 0, 0]):
                assert mirror.n_cached(prompt) == max((common_length(ids, prompt) for ids in now), default=0)


def test_only_what_changed_is_told() -> None:
    now = [[1, 2, 3], [4]]
    told: list[Held] = []
    publisher = Publisher(lambda: now, told.append)
    publisher.publish()
    publisher.publish()
    now = [[1, 2, 9, 8], [4]]
    publisher.publish()
    assert [held.changes for held in told] == [((0, 0, (1, 2, 3)), (1, 0, (4,))), ((0, 2, (9, 8)),)]
