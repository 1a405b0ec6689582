"""llama.cpp asked at places: greedy with the whole file, which is what the model can do, or as llama.vim."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter

from bench.client import Json
from bench.peers.http import LlamaServer
from bench.peers.llama_vim import FIRST_PREDICT_MS, REQUEST
from bench.peers.llama_vim_rules import local_context, render
from bench.peers.own_prompt import FimTokens
from bench.places.case import Case
from bench.places.visit import Reply

N_CTX = 8_192
MAX_BEFORE, MAX_AFTER = 4_000, 2_000
"""Tokens of the file around the cursor; what is farther away is left out."""
N_PREDICT = 64
ANSWER_S = 600.0
"""A prompt of 6,000 tokens takes a minute on two cores."""


class Peer:
    """A llama.cpp server that is started and stopped. Each visit is cold: no prompt is reused."""

    def __init__(self, model: Path, threads: int, n_ctx: int) -> None:
        self._model, self._threads, self._n_ctx = model, threads, n_ctx
        self._server = self._make()

    async def start(self) -> None:
        """Start a server. Raises: PeerError."""
        self._server = self._make()
        await self._server.start()

    async def stop(self) -> None:
        """End the server."""
        await self._server.stop()

    def names(self, state: str) -> tuple[str, ...]:
        """Return the name of the only answer."""
        return (state,)

    def _make(self) -> LlamaServer:
        return LlamaServer(model=self._model, threads=self._threads, n_ctx=self._n_ctx, timeout_s=ANSWER_S)


class Psm(Peer):
    """`/completion` with <prefix> before <suffix> after <middle>, greedy, up to the end of the line.

    State: `greedy`. The prompt is tokenized beforehand, which the milliseconds leave out.
    """

    STATES: tuple[str, ...] = ("greedy",)

    def __init__(self, model: Path, threads: int, fim: FimTokens | None = None) -> None:
        super().__init__(model, threads, N_CTX)
        self._fim = fim or FimTokens()

    async def visit(self, case: Case, state: str) -> dict[str, Reply]:
        """Ask once. Raises: PeerError."""
        body = {
            "prompt": await self.prompt(case),
            "n_predict": N_PREDICT,
            "temperature": 0.0,
            "stop": ["\n"],
            "cache_prompt": False,
            "id_slot": 0,
        }
        begun = perf_counter()
        answer = await self._server.post("/completion", body)
        return {state: Reply(str(answer.get("content", "")), (perf_counter() - begun) * 1e3)}

    async def prompt(self, case: Case) -> list[int]:
        """Return the prompt as token ids. Raises: PeerError."""
        before, after = await self._tokens(case.prefix), await self._tokens(case.suffix)
        prefix, suffix, middle = [await self._tokens(mark, special=True) for mark in _marks(self._fim)]
        return [*prefix, *before[-MAX_BEFORE:], *suffix, *after[:MAX_AFTER], *middle]

    async def _tokens(self, text: str, *, special: bool = False) -> list[int]:
        body: Json = {"content": text, "add_special": False, "parse_special": special}
        return list((await self._server.post("/tokenize", body))["tokens"])


class LlamaVim(Peer):
    """`/infill` with llama.vim's window, samplers and time limit of a first answer, and what it then draws.

    State: `first`.
    """

    STATES = ("first",)

    def __init__(self, model: Path, threads: int) -> None:
        super().__init__(model, threads, 0)

    async def visit(self, case: Case, state: str) -> dict[str, Reply]:
        """Ask once. Raises: PeerError."""
        lines = case.text.split("\n")
        row, column = case.prefix.count("\n"), len(case.line_prefix)
        context = local_context(lines, row, column)
        body = {
            **REQUEST,
            "input_prefix": context.prefix,
            "input_suffix": context.suffix,
            "input_extra": [],
            "prompt": context.middle,
            "n_indent": context.indent,
            "t_max_predict_ms": FIRST_PREDICT_MS,
            "cache_prompt": False,
            "seed": 1,
        }
        begun = perf_counter()
        content = str((await self._server.post("/infill", body)).get("content", ""))
        ms = (perf_counter() - begun) * 1e3
        ghost = render(content, lines, row, column).ghost if content else ""
        return {state: Reply(ghost if ghost.strip() else "", ms)}


def _marks(fim: FimTokens) -> tuple[str, str, str]:
    return fim.prefix, fim.suffix, fim.middle
