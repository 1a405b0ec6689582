"""Generations gather their tokens on the event loop, end once, and are ended by the syntax where a block ends."""

from __future__ import annotations

import asyncio

import pytest

from completer.complete.generations import Generations
from completer.complete.site import Site
from completer.prompt.prompt import Window, build_prompt, set_anchor
from completer.suggest.entries import Entry
from completer.syntax.cursor import cursor_context
from completer.syntax.tree import SyntaxTree
from completer.tokens.tokenizer import Tokenizer
from completer.types import Done, FinishReason, Snapshot, Stats, StopRule, Token, Tokens
from tests.by_hand import ByHand, snap, turn

LINE = snap("total = 1\nx = to‸\n")
BODY = snap("def f(a):\n    ‸\n")
MANY_LINES = StopRule(single_line=False)


def site_of(snapshot: Snapshot, tokenizer: Tokenizer) -> Site:
    tree = SyntaxTree(snapshot.language_id, snapshot.text)
    anchor = set_anchor(snapshot, Window(100, 100, full=True), tokenizer)
    prompt = build_prompt(anchor, anchor.typed(snapshot), tokenizer)
    return Site(snapshot, cursor_context(snapshot, tree), tree, anchor, anchor.typed(snapshot), prompt)


async def test_tokens_become_text_after_the_healed_bytes(tokenizer: Tokenizer) -> None:
    generator, site = ByHand(tokenizer), site_of(LINE, tokenizer)
    entry = Generations(generator, tokenizer).start(site, StopRule())
    request = generator.submitted[0]
    generator.write(request, "tal", prob=0.5, stats=Stats(n_feed=3))
    generator.write(request, " + 1")
    await turn()
    assert (entry.text, entry.typed, entry.anchor) == ("tal + 1", "x = to", site.anchor.number)
    assert tokenizer.text_of(entry.ids) == request.prompt.heal_bytes.decode() + "tal + 1"
    assert [span.end_cp for span in entry.spans][-1] == len("tal + 1")
    assert len(entry.spans) == len(entry.ids) and {span.prob for span in entry.spans} == {0.5, 1.0}
    assert entry.reason is None


async def test_the_statistics_are_those_of_the_latest_event(tokenizer: Tokenizer) -> None:
    generator = ByHand(tokenizer)
    entry = Generations(generator, tokenizer).start(site_of(LINE, tokenizer), StopRule())
    generator.write_ids(generator.submitted[0], [], stats=Stats(n_feed=3))  # it has left the queue
    await turn()
    assert (entry.stats.n_feed, entry.text) == (3, "")
    generator.end(generator.submitted[0])
    await turn()
    assert entry.stats == Stats(n_keep=1)


async def test_a_character_that_two_tokens_share_appears_when_it_is_whole(tokenizer: Tokenizer) -> None:
    generator = ByHand(tokenizer)
    entry = Generations(generator, tokenizer).start(site_of(snap("‸"), tokenizer), StopRule())
    ids = tokenizer.encode("a😀")
    assert len(ids) > 2
    generator.write_ids(generator.submitted[0], ids[:-1])
    await turn()
    assert entry.text == "a"
    generator.write_ids(generator.submitted[0], ids[-1:])
    await turn()
    assert entry.text == "a😀"
    assert [span.end_cp for span in entry.spans] == [1] * (len(ids) - 1) + [2]


async def test_the_text_of_a_single_line_ends_before_the_line_break(tokenizer: Tokenizer) -> None:
    generator = ByHand(tokenizer)
    entry = Generations(generator, tokenizer).start(site_of(LINE, tokenizer), StopRule(single_line=True))
    generator.write(generator.submitted[0], "tal\ny = 2")
    await turn()
    assert entry.text == "tal"


async def test_a_block_that_ends_ends_its_generation(tokenizer: Tokenizer) -> None:
    generator, ended = ByHand(tokenizer), list[Entry]()
    entry = Generations(generator, tokenizer).start(site_of(BODY, tokenizer), MANY_LINES, on_done=ended.append)
    request = generator.submitted[0]
    generator.write(request, "return a\n\ndef g():\n")
    await turn()
    assert (entry.text, entry.reason, generator.cancelled) == ("return a", "block", [request.id])
    generator.write(request, "    pass\n")  # was on its way
    generator.end(request, "cancelled")
    await turn()
    assert (entry.text, entry.reason, ended) == ("return a", "block", [entry])


async def test_a_block_goes_on_as_long_as_its_lines_do(tokenizer: Tokenizer) -> None:
    generator = ByHand(tokenizer)
    entry = Generations(generator, tokenizer).start(site_of(BODY, tokenizer), MANY_LINES)
    generator.write(generator.submitted[0], "if a:\n        return a\n    return 0")
    await turn()
    assert (entry.text, entry.reason, generator.cancelled) == ("if a:\n        return a\n    return 0", None, [])


@pytest.mark.parametrize("reason", ["end", "length", "cancelled", "error"])
async def test_the_end_is_told_once_with_its_reason(tokenizer: Tokenizer, reason: FinishReason) -> None:
    generator, ended = ByHand(tokenizer), list[FinishReason | None]()
    generations = Generations(generator, tokenizer)
    generations.start(site_of(LINE, tokenizer), StopRule(), on_done=lambda entry: ended.append(entry.reason))
    generator.end(generator.submitted[0], reason)
    await turn()
    assert ended == [reason]


async def test_events_of_requests_that_are_over_or_unknown_change_nothing(tokenizer: Tokenizer) -> None:
    failures = list[dict[str, object]]()
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
    generator, ended = ByHand(tokenizer), list[Entry]()
    generations = Generations(generator, tokenizer)
    entry = generations.start(site_of(LINE, tokenizer), StopRule(), on_done=ended.append)
    request = generator.submitted[0]
    generator.write(request, "tal")
    generator.end(request)
    generator.write(request, " + 1")
    generator.end(request, "error")
    generations._post(Tokens(10**9, (Token(1, 1.0),), Stats()))
    generations._post(Done(10**9, "end", Stats()))
    await turn()
    assert (entry.text, entry.reason, ended, failures) == ("tal", "end", [entry], [])


async def test_a_request_carries_what_it_was_started_with(tokenizer: Tokenizer) -> None:
    generator, site = ByHand(tokenizer), site_of(LINE, tokenizer)
    generations = Generations(generator, tokenizer)
    key = generations.start(site, StopRule(max_tokens=7), corpora=((1, 2),), avoid=(b"x",))
    ahead = generations.start(site, StopRule(), background=True)
    first, second = generator.submitted
    assert (first.session, first.prompt, first.stop.max_tokens) == (LINE.uri, site.prompt, 7)
    assert (first.corpus_ids, first.avoid) == (((1, 2),), (b"x",))
    assert (first.priority, second.priority) == (0, 1)
    assert (key.background, ahead.background) == (False, True)
    assert key.request_id == first.id != second.id


async def test_a_prefill_only_feeds_its_prompt_after_all_else(tokenizer: Tokenizer) -> None:
    generator, reasons = ByHand(tokenizer), list[FinishReason]()
    prompt = site_of(LINE, tokenizer).prompt
    number = Generations(generator, tokenizer).prefill("file:///a", prompt, reasons.append)
    request = generator.submitted[0]
    assert (request.id, request.priority, request.stop.max_tokens, request.prompt) == (number, 2, 0, prompt)
    generator.write_ids(request, [])
    generator.end(request, "length")
    await turn()
    assert reasons == ["length"]


async def test_cancelling_is_passed_on(tokenizer: Tokenizer) -> None:
    generator = ByHand(tokenizer)
    Generations(generator, tokenizer).cancel(5)
    assert generator.cancelled == [5]


async def test_a_wait_ends_at_the_progress_of_any_generation_that_suffices(tokenizer: Tokenizer) -> None:
    generator = ByHand(tokenizer)
    generations = Generations(generator, tokenizer)
    one, two = (generations.start(site_of(LINE, tokenizer), StopRule()) for _ in range(2))
    waiting = asyncio.ensure_future(generations.wait(lambda: two.text == "tal" and bool(one.reason), 60))
    generator.write(generator.submitted[1], "tal")
    await turn()
    assert not waiting.done()
    generator.end(generator.submitted[0])
    await asyncio.wait_for(waiting, 5)


@pytest.mark.parametrize("timeout_s", [-1.0, 0.0, 0.01])
async def test_a_wait_ends_when_the_time_is_up(tokenizer: Tokenizer, timeout_s: float) -> None:
    await asyncio.wait_for(Generations(ByHand(tokenizer), tokenizer).wait(lambda: False, timeout_s), 5)


def test_events_after_the_loop_was_closed_are_dropped(tokenizer: Tokenizer) -> None:
    generator = ByHand(tokenizer)

    async def start() -> Entry:
        return Generations(generator, tokenizer).start(site_of(LINE, tokenizer), StopRule())

    entry = asyncio.run(start())
    generator.write(generator.submitted[0], "tal")
    generator.end(generator.submitted[0])
    assert (entry.text, entry.reason) == ("", None)


async def test_where_indentation_ends_a_block_its_end_is_seen_at_the_first_word_of_the_next_line(tokenizer: Tokenizer) -> None:
    generator = ByHand(tokenizer)
    entry = Generations(generator, tokenizer).start(site_of(BODY, tokenizer), MANY_LINES)
    request = generator.submitted[0]
    for piece in ("return a", "\n\n", "\nx"):
        assert entry.reason is None
        generator.write(request, piece)
        await turn()
    assert (entry.text, entry.reason, generator.cancelled) == ("return a", "block", [request.id])
