"""llama.vim's decisions, and the whole adapter against a small HTTP server that answers like llama.cpp."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from bench.document import Document
from bench.peers.http import LlamaServer, PeerError
from bench.peers.llama_vim import LlamaVim
from bench.peers.llama_vim_ring import Ring, similarity
from bench.peers.llama_vim_rules import ResultCache, cache_keys, local_context, render
from bench.peers.own_prompt import FimTokens, OwnPrompt, build
from bench.replay import Run, replay
from bench.trace import Trace

LINES = ["def f(a):", "    ret", "", "f(1)"]


@contextmanager
def llama_like(content: Callable[[dict[str, Any]], str], delay_s: float = 0.0) -> Iterator[tuple[str, list[Any]]]:
    """Serve /props, /infill and /completion; yields the address and the list of request bodies."""
    bodies: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer({"build_info": "fake"})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            bodies.append(body)
            time.sleep(delay_s)
            self._answer({"content": content(body), "timings": {"prompt_n": 7, "predicted_n": 3, "prompt_ms": 5}})

        def _answer(self, answer: dict[str, Any]) -> None:
            raw = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", bodies
    finally:
        server.shutdown()


def test_the_context_is_the_lines_before_the_line_so_far_and_what_is_behind() -> None:
    context = local_context(LINES, 1, 6)
    assert (context.prefix, context.middle, context.suffix) == ("def f(a):\n", "    re", "t\n\nf(1)\n")
    assert context.indent == 4


def test_a_blank_line_is_completed_from_its_beginning() -> None:
    context = local_context(["if x:", "    ", "y"], 1, 4)
    assert (context.middle, context.suffix, context.indent) == ("", "\ny\n", 0)


def test_asking_ahead_takes_the_shown_lines_as_accepted() -> None:
    context = local_context(LINES, 1, 7, shown=("urn a", "    # done"), last_indent=4)
    assert context.prefix == "def f(a):\n    return a\n"
    assert context.middle == "    # done"


def test_the_window_is_256_lines_before_and_64_after() -> None:
    lines = [str(i) for i in range(1000)]
    context = local_context(lines, 500, 1)
    assert context.prefix.split("\n")[0] == "244"
    assert context.suffix.split("\n")[-2] == "564"


def test_the_cache_gives_the_rest_of_an_answer_that_is_typed_along() -> None:
    cache = ResultCache()
    cache.insert(local_context(LINES, 1, 5).key, "et x")
    assert cache.lookup(local_context(["def f(a):", "    ret", "", "f(1)"], 1, 5)) == "et x"
    longer = ["def f(a):", "    ret", "", "f(1)"]
    typed = local_context(longer, 1, 7)
    cache.insert((typed.prefix + "    r", typed.suffix), "eturn a")
    assert cache.lookup(typed) == "urn a"


def test_the_cache_forgets_the_least_recently_used() -> None:
    cache = ResultCache(limit=2)
    cache.insert(("a", ""), "1")
    cache.insert(("b", ""), "2")
    cache.get(("a", ""))
    cache.insert(("c", ""), "3")
    assert list(cache.entries) == [("a", ""), ("c", "")]


def test_an_answer_is_also_kept_for_windows_that_begin_up_to_three_lines_later() -> None:
    context = local_context(["1", "2", "3", "4", "5", "x"], 5, 1)
    assert [key[0] for key in cache_keys(context)] == ["1\n2\n3\n4\n5\nx", "2\n3\n4\n5\nx", "3\n4\n5\nx", "4\n5\nx"]


@pytest.mark.parametrize(
    ("content", "lines", "ghost"),
    [
        ("urn a\n", ["    ret", "next"], "urn a"),
        ("t", ["    ret", "    rett"], ""),
        ("\nnext", ["    ret", "next"], ""),
        ("", ["    ret", "next"], ""),
    ],
)
def test_what_repeats_the_text_below_is_not_shown(content: str, lines: list[str], ghost: str) -> None:
    assert render(content, lines, 0, 7).ghost == ghost


def test_white_space_that_is_there_already_is_not_shown_again() -> None:
    hint = render("    return a", ["    ", "x"], 0, 4)
    assert (hint.ghost, hint.can_accept) == ("return a", True)


def test_the_ring_takes_chunks_into_use_one_by_one_and_drops_what_resembles_the_place() -> None:
    ring = Ring()
    ring.pick(["alpha beta", "gamma", "delta"], evicts=True)
    assert [ring.advance(), ring.advance()] == [True, False]
    assert ring.extra("a.py") == [{"text": "alpha beta\ngamma\ndelta\n", "filename": "a.py"}]
    ring.evict_like(["alpha beta", "gamma", "delta"], 1)
    assert ring.chunks == []
    assert similarity(["a b"], ["a c"]) == 0.5


def play(url: str, trace: Trace, *, lean: bool, closed: bool) -> Run:
    [run] = asyncio.run(replay([LlamaVim(LlamaServer(url=url), lean=lean)], [trace], closed=closed))
    return run


def test_typing_along_a_hint_needs_no_request_in_the_closed_loop(typed: Callable[..., Trace]) -> None:
    with llama_like(lambda body: "abcdefgh"[len(body["prompt"]) :]) as (url, bodies):
        run = play(url, typed("abcdefgh"), lean=True, closed=True)
    keys = [r for r in run.records if r.kind == "key"]
    assert [r.answered_by for r in keys[:7]] == ["typed-through"] * 7
    assert [r.visible for r in keys[:3]] == ["bcdefgh", "cdefgh", "defgh"]
    assert len(bodies) <= 2
    assert bodies[0]["samplers"] == ["top_k", "top_p", "infill"]
    assert bodies[0]["t_max_predict_ms"] == 250


def test_the_plugin_asks_ahead_of_what_it_shows(typed: Callable[..., Trace]) -> None:
    with llama_like(lambda body: "abcdefgh"[len(body["prompt"]) :]) as (url, bodies):
        play(url, typed("abc", gap_ms=300), lean=False, closed=False)
    assert any(body["t_max_predict_ms"] == 1000 and body["prompt"] == "abcdefgh" for body in bodies)


def test_keys_during_a_request_wait_their_turn_and_the_superseded_are_named(typed: Callable[..., Trace]) -> None:
    with llama_like(lambda body: "never right", delay_s=0.25) as (url, bodies):
        run = play(url, typed("abcdef", gap_ms=30), lean=False, closed=False)
    statuses = [r.status for r in run.records if r.kind == "key"]
    assert statuses.count("cancelled") >= 3
    assert statuses[-1] == "shown"
    assert len(bodies) < 6


def test_no_server_at_the_address_is_said_plainly() -> None:
    with pytest.raises(PeerError, match="server answers at"):
        asyncio.run(LlamaServer(url="http://127.0.0.1:9").start())


def test_a_peer_without_model_and_address_says_what_it_needs() -> None:
    with pytest.raises(PeerError, match="--model"):
        asyncio.run(LlamaServer().start())


def test_own_prompts_are_built_in_both_layouts() -> None:
    document = Document("file:///a.py", "python", "x = 1\ny = max(x, mi\nz\n", cursor=19)
    fim = FimTokens("<P>", "<S>", "<M>")
    assert build(document, "psm", fim).prompt == "<P>x = 1\ny = max(x, mi<S>\nz\n<M>"
    anchored = build(document, "anchored", fim)
    assert (anchored.prompt, anchored.given) == ("<P>x = 1\n<S>\nz\n<M>y = max(x, ", "mi")


def test_the_healed_word_is_taken_off_the_answer(typed: Callable[..., Trace]) -> None:
    with llama_like(lambda body: body["grammar"].split('"')[1] + "bc") as (url, _):
        tool = OwnPrompt(LlamaServer(url=url), "anchored")
        [run] = asyncio.run(replay([tool], [typed("abc")], closed=True))
    assert [r.visible for r in run.records if r.kind == "key"][:2] == ["bc", "c"]
