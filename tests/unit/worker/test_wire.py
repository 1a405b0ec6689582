"""The wire form: what travels comes back equal, what is none of it ends the connection, and the page lists it all."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from completer.engines.base import CostCurve
from completer.types import Done, Prompt, Request, Stats, StopRule, Token, Tokens
from completer.worker import wire
from completer.worker.wire import Broken, Message, reads_fronts, reads_worker
from tests.unit.worker.in_thread import Events, StartFront, Worker, request, wait_until

PAGE = Path(__file__).parents[3] / "docs" / "explanation" / "worker.md"
REQUEST = Request(
    7,
    "file:///a.py",
    Prompt((1, 70_000, 3), 1, b"\xff", 2),
    StopRule(max_tokens=9, end_ids=frozenset({5}), block_indent=4),
    priority=1,
    drafts=((1, 2),),
    corpus_ids=((3,),),
    avoid=(b"", b"x"),
)
STATS = Stats(1.5, n_keep=3, drafted={"ngram": 2})
VOCABULARY = wire.Vocabulary("/m/tokenizer.json", "qwen", True, 5)
DOWN: list[Any] = [
    wire.Hello(1, "0.1"), wire.Load({"model": "m"}), wire.Text(3, (1, 2)), wire.Submit(REQUEST, (3,)), wire.Cancel(7),
    wire.Ping(), wire.Ask(), wire.Stop(),
]  # fmt: skip
UP: list[Any] = [
    wire.Welcome(1, "0.1", 99), wire.Loading("reading", 1, 2), wire.Failed("ModelError", "no"),
    wire.Ready("m", "phased", 2048, True, VOCABULARY, CostCurve({1: 2.0, 4: 3.0}, 0.5)),
    wire.Grew(Tokens(7, (Token(5, 0.25),), STATS)), wire.Ended(Done(7, "newline", STATS)), wire.Held(((0, 2, (9,)),)),
    wire.State("", CostCurve({1: 2.0}, 0.5)), wire.Pong(), wire.Unloaded(), wire.Bye(),
    wire.Report(1, "0.1", 2.0, 3.0, 1, (wire.LoadedModel("m", "phased", 1, 0.5),)),
]  # fmt: skip


def reads_later() -> wire.Reader[wire.Down]:
    """A reader that is past the greeting."""
    reader = reads_fronts()
    assert list(reader.take(wire.framed(wire.Ping()))) == [wire.Ping()]
    return reader


def test_there_is_an_example_of_every_message() -> None:
    assert {type(message) for message in DOWN} == set(get_args(wire.Down))
    assert {type(message) for message in UP} == set(get_args(wire.Up))


@pytest.mark.parametrize("n", [1, 3, 10_000])
def test_messages_come_back_equal_however_the_stream_is_cut(n: int) -> None:
    for messages, reader in ((DOWN, reads_later()), (UP, reads_worker())):
        stream = b"".join(map(wire.framed, messages))
        found = [message for i in range(0, len(stream), n) for message in reader.take(stream[i : i + n])]
        assert found == messages


def test_the_first_frame_of_a_front_is_short() -> None:
    with pytest.raises(Broken, match="a frame of"):
        list(reads_fronts().take(wire.framed(wire.Submit(Request(1, "x" * 300, REQUEST.prompt, REQUEST.stop)))))


@pytest.mark.parametrize(
    "body",
    [b"", b"\xc1", b"\x91\x63", b"\x92\x04\xa1x", b"\x91\x05" * 2, b"\xdd\xff\xff\xff\xff", b"\x91" * 5000, b"\x92\x03\xc0"],
)
def test_what_is_no_message_is_refused(body: bytes) -> None:
    with pytest.raises(Broken):
        list(reads_later().take(struct.pack("<I", len(body)) + body))


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400))
def test_random_bytes_give_messages_or_are_refused(data: bytes) -> None:
    for reader in (reads_fronts(), reads_worker()):
        try:
            for message in reader.take(data):
                assert isinstance(message, Message)
        except Broken:
            pass


Mutate = Callable[[Request], Request]


@pytest.mark.parametrize(
    "bad",
    [
        msgspec.structs.replace(
            wire.Submit(REQUEST), request=msgspec.convert({**msgspec.to_builtins(REQUEST), **change}, Request)
        )
        for change in (
            {"drafts": [[-1]]},
            {"corpus_ids": [[10**6]]},
            {"drafts": [[1]] * 100},
            {"prompt": {"ids": [1, 999_999]}},
            {"prompt": {"ids": [1, 2], "n_heal": 3}},
            {"stop": {"max_tokens": 10**9}},
        )
    ]
    + [wire.Submit(request(1, (1,)), (4,)), wire.Text(99, (1,)), wire.Hello(1, "again")],
)
def test_a_front_that_sends_what_no_front_sends_is_cut_off_and_the_others_go_on(
    front: StartFront, worker: Worker, bad: Message
) -> None:
    good, hostile = front(), front()
    assert hostile._session is not None
    hostile._session._channel.send(bad)
    wait_until(lambda: len(worker.server._connections) == 1 or worker.server._n_refused)
    events = Events()
    good.submit(request(1, (5, 6, 7)), events)
    assert events.until_done()[1].reason != "error"
    assert worker.server._n_refused == 1


def test_the_page_lists_every_message_with_its_tag_and_fields() -> None:
    down, up = PAGE.read_text(encoding="utf-8").split("### To the worker")[1].split("### To the front")
    for text, union in ((down, wire.Down), (up, wire.Up)):
        rows = re.findall(r"^\| (\d+) \| `(\w+)` \| (.*?) \|", text, re.MULTILINE)
        listed = {name: (int(tag), re.findall(r"`(\w+)`", fields)) for tag, name, fields in rows}
        expected = {kind.__name__: (kind.__struct_config__.tag, list(kind.__struct_fields__)) for kind in get_args(union)}
        assert listed == expected
    assert f"version {wire.WIRE} " in PAGE.read_text(encoding="utf-8")
