"""Suggestions in the making: starts generations, gathers their tokens on the event loop, and knows when a
rule ends one."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from completer.complete.site import Site
from completer.generate.generator import Generator
from completer.suggest.block_end import sibling_stop
from completer.suggest.confidence import TokenSpan
from completer.suggest.entries import BROKEN, Entry, opening
from completer.suggest.placeholder import is_placeholder
from completer.tokens.tokenizer import Tokenizer, whole_characters
from completer.types import Done, FinishReason, Prompt, Request, StopRule, Token, Tokens

_ids = itertools.count(1)
MAX_TRIES = 3
"""How often a body that begins with a placeholder is begun anew."""
MIN_LEFT = 1e-3
"""Least share of the probability that counts as left for other words than those to be avoided."""


@dataclass(frozen=True, slots=True)
class _Growing:
    """A generation that runs: its entry, its site and what was asked for there, and what is called at its end and, before
    that, after each line.

    n_tries: how often it was begun anew, because it was a placeholder.
    left: probability of all that is not to be avoided.
    """

    entry: Entry
    site: Site
    request: Request
    on_done: Callable[[Entry], None]
    on_line: Callable[[Entry], None] = lambda _: None
    n_tries: int = 0
    left: float = 1.0


class Generations:
    """The running generations of one client.

    Owned by the event loop; the generator's thread only posts events to it.
    """

    def __init__(self, generator: Generator, tokenizer: Tokenizer) -> None:
        self._generator = generator
        self._tokenizer = tokenizer
        self._progress = asyncio.Condition()
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._growing: dict[int, _Growing] = {}  # by request id
        self._prefills: dict[int, Callable[[FinishReason], None]] = {}

    def start(
        self,
        site: Site,
        stop: StopRule,
        *,
        background: bool = False,
        corpora: tuple[tuple[int, ...], ...] = (),
        avoid: tuple[bytes, ...] = (),
        on_done: Callable[[Entry], None] = lambda _: None,
    ) -> Entry:
        """Submit a generation and return its entry, which grows from now on.

        on_done: called once, on the event loop.
        """
        entry = _entry(site, background=background)
        priority = 1 if background else 0
        request = Request(entry.request_id, site.snapshot.uri, site.prompt, stop, priority, corpus_ids=corpora, avoid=avoid)
        return self._submit(_Growing(entry, site, self._weighed(request, site), on_done))

    def start_block(
        self, site: Site, stop: StopRule, corpora: tuple[tuple[int, ...], ...], on_line: Callable[[Entry], None]
    ) -> Entry:
        """Submit a block for a user who rests, in the background, and return its entry, which grows from now on.

        on_line: called on the event loop after each line, and once at the end.
        """
        entry = _entry(site, background=True, block=True)
        request = Request(entry.request_id, site.snapshot.uri, site.prompt, stop, priority=1, corpus_ids=corpora, scratch=True)
        return self._submit(_Growing(entry, site, self._weighed(request, site), on_line, on_line=on_line))

    def prefill(self, uri: str, prompt: Prompt, on_done: Callable[[FinishReason], None]) -> int:
        """Bring a slot to `prompt` in idle time; return the request's id.

        on_done: called once, on the event loop.
        """
        request = Request(next(_ids), uri, prompt, StopRule(max_tokens=0), priority=2)
        self._prefills[request.id] = on_done
        self._generator.submit(request, self._post)
        return request.id

    def cancel(self, request_id: int) -> None:
        """End a generation before its next forward; what it fed stays in the slot."""
        self._generator.cancel(request_id)

    async def wait(self, enough: Callable[[], bool], timeout_s: float) -> None:
        """Return when `enough()` holds, asked at each progress of any generation, or when the time is up."""
        try:
            async with asyncio.timeout(max(timeout_s, 0.0)), self._progress:
                await self._progress.wait_for(enough)
        except TimeoutError:
            return

    def _weighed(self, request: Request, site: Site) -> Request:
        """Return the request with the site's evidence, which is a good draft, too."""
        if (evidence := site.evidence) is None:
            return request
        draft = self._tokenizer.encode(whole_characters(site.prompt.heal_bytes) + whole_characters(evidence.text))
        return replace(request, evidence=evidence, drafts=(tuple(draft),))

    def _submit(self, growing: _Growing) -> Entry:
        self._growing[growing.request.id] = growing
        self._generator.submit(growing.request, self._post)
        return growing.entry

    def _post(self, event: Tokens | Done) -> None:
        """Pass an event to the event loop. Called on the generator's thread."""
        try:
            self._loop.call_soon_threadsafe(self._take, event)
        except RuntimeError:
            return  # the loop is closed: nobody listens any more

    def _take(self, event: Tokens | Done) -> None:
        """Take an event of a generation or a prefill; those of requests that are over are ignored.

        Mutates: the entry, what runs.
        """
        match event:
            case Tokens(request_id, tokens, stats) if request_id in self._growing:
                growing = self._growing[request_id]
                growing.entry.cost(stats)
                if tokens and growing.entry.reason is None:
                    self._grow(growing, tokens)
                    if is_placeholder(growing.entry.text) and not _may_go_on(growing.entry.text):
                        self._begin_anew(growing)
            case Done(request_id, reason, stats) if request_id in self._growing:
                growing = self._growing[request_id]
                said = growing.entry.text.strip()
                if (is_placeholder(said) if said else reason == "end") and reason not in BROKEN and self._begin_anew(growing):
                    return
                del self._growing[request_id]
                entry = growing.entry
                entry.cost(stats)
                entry.on_stats, entry.reason = None, entry.reason or reason
                growing.on_done(entry)
                self._notify()
            case Done(request_id, reason) if request_id in self._prefills:
                self._prefills.pop(request_id)(reason)

    def _grow(self, growing: _Growing, tokens: Sequence[Token]) -> None:
        """Take new tokens; the syntax may end a block that the engine would go on with.

        Mutates: the entry.
        """
        entry, site = growing.entry, growing.site
        text = entry.text
        for token in tokens:
            entry.ids.append(token.id)
            begun, text = text, whole_characters(self._tokenizer.bytes_of(entry.ids)[entry.n_healed_bytes :])
            # The first word is chosen from what is not to be avoided.
            of = 1.0 if begun.strip() or not text.strip() else growing.left
            entry.spans.append(TokenSpan(len(text), min(1.0, token.prob / of)))
        if growing.request.stop.single_line:
            text = text.partition("\n")[0]
        elif _may_end_block(entry.text, text, site.cursor.language.indented):
            cut = sibling_stop(site.snapshot, site.cursor, text, site.tree)
            if cut is not None:
                text = text[:cut]
                entry.reason = "block"
                self._generator.cancel(entry.request_id)
        n_lines, entry.text = entry.text.count("\n"), text
        if text.count("\n") > n_lines and not (site.wants_body and is_placeholder(text)):
            growing.on_line(entry)
        self._notify()

    def _begin_anew(self, growing: _Growing) -> bool:
        """Begin a generation anew that left an empty body empty; return whether that was done.

        Mutates: what runs, the entry, which is empty again.
        """
        entry, tokenizer = growing.entry, self._tokenizer
        if not growing.site.wants_body or not self._generator.avoids or growing.n_tries == MAX_TRIES:
            return False
        begins = opening(entry, 0, tokenizer)
        avoid = (b"", *((begins.text,) if begins else ()))
        del self._growing[entry.request_id]
        self._generator.cancel(entry.request_id)
        entry.begin_anew(next(_ids))
        avoid = (*growing.request.avoid, *avoid)
        entry.evidence = None
        request = replace(growing.request, id=entry.request_id, avoid=avoid, evidence=None, drafts=())
        left = max(growing.left * (1.0 - (begins.prob if begins else 0.0)), MIN_LEFT)
        self._submit(replace(growing, request=request, n_tries=growing.n_tries + 1, left=left))
        return True

    def _notify(self) -> None:
        async def notify() -> None:
            async with self._progress:
                self._progress.notify_all()

        task = self._loop.create_task(notify())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _entry(site: Site, *, background: bool, block: bool = False) -> Entry:
    """Return the empty entry of a generation at a site."""
    return Entry(
        site.anchor.number,
        site.typed,
        next(_ids),
        background,
        wants_body=site.wants_body,
        block=block,
        evidence=site.evidence,
        n_healed_bytes=len(site.prompt.heal_bytes),
    )


def _may_end_block(before: str, text: str, indented: bool) -> bool:
    """Whether the text has come to a line end, or, where indentation ends a block, to the first word of a line."""
    begun = indented and "\n" in text and not before[before.rfind("\n") + 1 :].strip()
    return begun or "\n" in text[len(before) :]


def _may_go_on(text: str) -> bool:
    """Whether the last word of the first line may become another one."""
    return "\n" not in text and (text[-1:].isalnum() or text[-1:] in ("", "_"))
