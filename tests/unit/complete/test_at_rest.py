"""At rest: a block grows where one belongs, and leaves no trace where somebody types, moves or sends it away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest

from completer.complete.pipeline import Pipeline
from completer.config import Settings
from completer.tokens.tokenizer import Tokenizer
from completer.types import Edit, Snapshot
from tests.by_hand import ByHand, model_of, snap, turn
from tests.resting import Client

SETTINGS = Settings(budget_ms=60_000, confidence=0.3, context="off")
BODY = snap("def area(width, height):\n    ‸\n\n\ndef other():\n    return 1\n")
BLOCK = "product = width * height\n    if product < 0:\n        raise ValueError\n    return product\n"


@pytest.fixture
async def make(tokenizer: Tokenizer) -> AsyncIterator[Callable[..., Client]]:
    made: list[Pipeline] = []

    def client(**changes: object) -> Client:
        generator = ByHand(tokenizer)
        made.append(Pipeline(model_of(generator, tokenizer), replace(SETTINGS, **changes)))  # type: ignore[arg-type]
        return Client(made[-1], generator)

    yield client
    for pipeline in made:
        await pipeline.close()


@pytest.fixture
def client(make: Callable[..., Client]) -> Client:
    return make()


def typed(snapshot: Snapshot, text: str) -> tuple[Snapshot, list[Edit]]:
    """Return the document after `text` was typed, and the edit."""
    at = snapshot.cursor_cp
    new = snapshot.text[:at] + text + snapshot.text[at:]
    return replace(snapshot, version=snapshot.version + 1, text=new, cursor_cp=at + len(text)), [Edit(at, at, text)]


async def test_a_user_who_rests_in_an_empty_body_sees_a_block_grow_line_by_line(client: Client) -> None:
    await client.ask(BODY)
    assert client.clock.waits == [0.4]
    await client.rest()
    for line in BLOCK.rstrip().splitlines(keepends=True):
        await client.write(line)
    await client.end()
    assert [one.text.count("\n") for one in client.extended] == [0, 2, 3]  # a header alone is no piece to take
    assert client.extended[-1].text == BLOCK.rstrip()
    assert [one.complete for one in client.extended] == [False, False, True]
    assert all(BODY.version == one.version and one.start_cp == BODY.cursor_cp for one in client.extended)


async def test_a_block_is_background_work_of_at_most_128_tokens(client: Client) -> None:
    await client.ask(BODY)
    await client.rest()
    assert (client.block.priority, client.block.stop.max_tokens, client.block.stop.single_line) == (1, 128, False)


async def test_what_is_less_sure_is_told_apart(client: Client) -> None:
    await client.ask(BODY)
    await client.rest()
    await client.write("product = width * height\n")
    await client.write("    return product", prob=0.7)
    await client.end()
    assert client.extended[-1].n_sure == len("product = width * height")
    assert "return product" in client.extended[-1].text


async def test_a_line_that_is_too_improbable_ends_the_block_before_it(client: Client) -> None:
    await client.ask(BODY)
    await client.rest()
    await client.write("product = width * height\n")
    await client.write("    return frobnicate(product)\n", prob=0.05)
    assert client.block.id in client.generator.cancelled
    assert client.extended[-1].text.rstrip() == "product = width * height"


@pytest.mark.parametrize(
    "marked",
    [
        "def area(width, height):‸\n",
        "def area(width, height):\n    ‸\n",
        "def area(width, height):\n    # the product\n    ‸\n",
        "def area(width, height):\n    product = 1\n    ‸\n    return product\n",
    ],
)
async def test_places_where_a_block_belongs(client: Client, marked: str) -> None:
    await client.ask(snap(marked))
    await client.rest()
    assert len(client.blocks) == 1


@pytest.mark.parametrize(
    "marked", ["x = ‸\n", "x = area(\n    ‸\n)\n", 'x = "‸"\n', "# a comment ‸\n", "def area(wid‸\n", "x = 1\n‸\ny = 2\n"]
)
async def test_elsewhere_nobody_waits_for_a_rest(client: Client, marked: str) -> None:
    await client.ask(snap(marked))
    assert client.clock.waits == []


async def test_never_means_never(make: Callable[..., Client]) -> None:
    client = make(block_after_ms=-1)
    await client.ask(BODY)
    assert client.clock.waits == []


async def test_without_several_lines_there_is_no_block(make: Callable[..., Client]) -> None:
    client = make(multiline="never")
    await client.ask(BODY)
    await client.rest()
    assert client.blocks == []


async def test_at_once_means_after_no_wait(make: Callable[..., Client]) -> None:
    client = make(block_after_ms=0)
    await client.ask(BODY)
    assert client.clock.waits == [0.0]


async def test_an_explicit_request_gets_the_whole_block_itself(client: Client) -> None:
    assert (await client.ask(BODY, BLOCK, explicit=True)).rstrip() == BLOCK.rstrip()
    (request,) = client.foreground
    assert (request.stop.max_tokens, request.stop.confidence) == (128, 0.0)
    assert client.clock.waits == []


async def test_an_explicit_request_on_a_blank_line_of_a_block_may_have_several_lines(client: Client) -> None:
    blank = snap("def area(width, height):\n    product = 1\n    ‸\n    return product\n")
    await client.ask(blank)
    assert client.foreground[0].stop.single_line
    await client.ask(blank, "if width:\n        product = 2", explicit=True)
    assert not client.foreground[1].stop.single_line


async def test_an_explicit_request_gets_the_block_where_a_line_was_suggested_before(client: Client) -> None:
    blank = snap("def area(width, height):\n    product = 1\n    ‸\n    return product\n")
    await client.open(blank)
    await client.ask(blank, "if width")
    assert await client.ask(blank, "if width:\n        product = 2", explicit=True) == "if width:\n        product = 2"
    n_asked = len(client.foreground)
    await client.ask(blank, explicit=True)
    assert client.foreground[n_asked:] == []  # what was asked for is known


async def test_a_key_ends_a_block_before_its_next_forward(client: Client) -> None:
    await client.ask(BODY)
    await client.rest()
    await client.write("product = width * height\n")
    n_sent = len(client.extended)
    client.pipeline.did_change(*typed(BODY, "x"))
    assert client.block.id in client.generator.cancelled
    await client.write("    return product\n")
    await client.end()
    assert len(client.extended) == n_sent


async def test_a_key_before_the_time_has_come_wants_no_block(client: Client) -> None:
    await client.ask(BODY)
    client.pipeline.did_change(*typed(BODY, "x"))
    await client.rest()
    assert client.blocks == [] and client.clock.waiting == []


async def test_a_cursor_that_moves_ends_a_block_and_one_that_stays_does_not(client: Client) -> None:
    await client.ask(BODY)
    await client.rest()
    client.pipeline.did_move_cursor(BODY)
    assert client.block.id not in client.generator.cancelled
    client.pipeline.did_move_cursor(replace(BODY, cursor_cp=0))
    assert client.block.id in client.generator.cancelled
    await client.write_whole(BLOCK)
    assert client.extended == []


async def test_closing_the_document_ends_a_block(client: Client) -> None:
    await client.ask(BODY)
    await client.rest()
    client.pipeline.did_close(BODY.uri)
    assert client.block.id in client.generator.cancelled
    await client.write_whole(BLOCK)
    assert client.extended == []


async def test_a_request_that_is_cancelled_leads_to_no_block(client: Client) -> None:
    asking = asyncio.ensure_future(client.pipeline.complete(BODY, explicit=False))
    await turn()
    asking.cancel()
    await turn()
    await client.rest()
    assert client.clock.waits == [] and client.blocks == []


async def test_a_block_that_was_sent_away_is_not_offered_there_again(client: Client) -> None:
    await client.ask(BODY)
    await client.rest()
    await client.write("product = width * height\n")
    client.pipeline.did_dismiss(client.extended[-1])
    assert client.block.id in client.generator.cancelled
    await client.write("    return product\n")
    await client.ask(BODY)
    await client.rest()
    assert len(client.extended) == 1 and len(client.blocks) == 1


async def test_it_is_offered_again_once_something_changed(client: Client) -> None:
    await client.ask(BODY)
    await client.rest()
    await client.write(BLOCK)
    client.pipeline.did_dismiss(client.extended[-1])
    longer, edits = typed(BODY, "\n    ")
    client.pipeline.did_change(longer, edits)
    await client.ask(longer)
    await client.rest()
    assert len(client.blocks) == 2


async def test_who_types_along_a_block_and_rests_gets_its_rest_without_the_model(client: Client) -> None:
    await client.ask(BODY)
    await client.rest()
    await client.write_whole(BLOCK)
    along, edits = typed(BODY, "prod")
    client.pipeline.did_change(along, edits)
    await client.ask(along)
    await client.rest()
    assert len(client.blocks) == 1
    assert client.extended[-1].text.rstrip() == BLOCK.removeprefix("prod").rstrip()
    assert client.extended[-1].version == along.version


async def test_a_client_that_asks_once_more_where_it_rests_gets_the_block(client: Client) -> None:
    await client.ask(BODY)
    await client.rest()
    await client.write_whole(BLOCK)
    n_asked = len(client.foreground)
    assert (await client.ask(BODY)).rstrip() == BLOCK.rstrip()
    assert len(client.foreground) == n_asked


async def test_no_key_is_answered_from_a_block(client: Client) -> None:
    await client.ask(BODY)
    await client.rest()
    await client.write_whole(BLOCK)
    along, edits = typed(BODY, "p")
    client.pipeline.did_change(along, edits)
    assert await client.ask(along, "ass") == "ass"


async def test_a_block_waits_for_a_full_window_that_is_on_its_way(client: Client) -> None:
    lines = "".join(f"total_{n} = count + {n}\n" for n in range(200))
    far = snap(f"{lines}def area(width, height):\n    ‸\n\n\n{lines}")
    asking = asyncio.ensure_future(client.pipeline.complete(far, explicit=False))
    await turn()
    client.generator.end(client.foreground[0])
    await asyncio.wait_for(asking, 5)
    await client.rest()
    assert client.blocks == []
    await client.prefilled()
    assert len(client.block.prompt.ids) > len(client.foreground[0].prompt.ids)


async def test_without_a_full_window_there_is_no_block_even_if_none_is_on_its_way(client: Client) -> None:
    lines = "".join(f"total_{n} = count + {n}\n" for n in range(200))
    far = snap(f"{lines}def area(width, height):\n    ‸\n\n\n{lines}")
    asking = asyncio.ensure_future(client.pipeline.complete(far, explicit=False))
    await turn()
    client.generator.end(client.foreground[0])
    await asyncio.wait_for(asking, 5)
    client.generator.end(client.generator.prefills[-1], "error")
    await turn()
    await client.rest()
    assert client.blocks == []
    client.pipeline._foreground.idle.prefill(client.pipeline._state.docs[far.uri], far)
    await client.prefilled()
    assert len(client.block.prompt.ids) > len(client.foreground[0].prompt.ids)


async def test_an_explicit_request_ends_a_block_that_is_being_decoded(client: Client) -> None:
    await client.ask(BODY)
    await client.rest()
    block = client.block
    assert (await client.ask(BODY, BLOCK, explicit=True)).rstrip() == BLOCK.rstrip()
    assert block.id in client.generator.cancelled


async def test_who_asks_once_more_begins_to_rest_anew(client: Client) -> None:
    await client.ask(BODY)
    await client.ask(BODY)
    assert len(client.clock.waits) == 2 and len(client.clock.waiting) == 1


async def test_a_block_that_contradicts_what_was_shown_is_not_sent(client: Client) -> None:
    await client.open(BODY)
    assert await client.ask(BODY, "area = 1") == "area = 1"
    await client.rest()
    await client.write_whole(BLOCK)
    assert client.extended == []


async def test_a_block_is_followed_through_typing_and_deleting_and_given_up_at_any_other_edit(client: Client) -> None:
    await client.ask(BODY)
    await client.rest()
    await client.write_whole(BLOCK)
    rest = client.pipeline._state.docs[BODY.uri].rest
    at, snapshot = BODY.cursor_cp, BODY
    n_typed = []
    for edit in (Edit(at, at, "prox"), Edit(at + 3, at + 4, ""), Edit(at + 3, at + 3, "d")):
        text = snapshot.text[: edit.start_cp] + edit.new_text + snapshot.text[edit.old_end_cp :]
        cursor_cp = edit.start_cp + len(edit.new_text)
        snapshot = replace(snapshot, version=snapshot.version + 1, text=text, cursor_cp=cursor_cp)
        client.pipeline.did_change(snapshot, [edit])
        n_typed.append(rest.hit.n_typed if rest.hit is not None else None)
    assert n_typed == [None, 3, 4]
    client.pipeline.did_change(replace(snapshot, version=9, text="\n" + snapshot.text), [Edit(0, 0, "\n")])
    assert rest.block is None


async def test_no_block_is_decoded_after_suggestions_were_snoozed(client: Client) -> None:
    await client.ask(BODY)
    client.pipeline.control.snooze(30)
    await client.rest()
    assert client.blocks == []
