"""The plain data that travels along the way of a keystroke: frozen, no behaviour beyond views of itself.

`Progress` belongs to the way before that, to a running model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

MAX_LINE_CP = 4_000
"""How much of the cursor's line is looked at on each side, so that a key in a line of megabytes costs no more than others."""

AnsweredBy = Literal["typed-through", "extended", "cold", "background"]
"""How an answer came about: no engine call; a warm slot was extended; a prompt was prefilled; finished ahead of need."""

RestOfBlock = Literal["inside", "nested", "body", "end", "file", "opening"]
"""What of the code around the cursor follows it: more of its own block; no more of that, but more of the function around it;
nothing of an empty body; nothing of a function or type; nothing at all; nothing at all, in a file without code above the line."""

PromptForm = Literal["middle", "left"]
"""Fill-in-the-middle, with what follows as the suffix; left to right, without a suffix."""

FinishReason = Literal["end", "newline", "block", "confidence", "length", "repetition", "suffix", "cancelled", "error"]

Progress = Callable[[str, int, int], None]
"""Called while a model is pulled, converted or loaded, from any thread: (what is being done, steps or bytes done, in all)."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A document at one version, with the cursor. Never changes; safe to hand to any thread.

    cursor_cp: offset of the cursor in `text`, in code points (Python string index).
    """

    uri: str
    version: int
    language_id: str
    text: str
    cursor_cp: int

    @property
    def at(self) -> tuple[str, int, int]:
        """Document, version and cursor: what tells one snapshot from another."""
        return self.uri, self.version, self.cursor_cp

    @property
    def prefix(self) -> str:
        return self.text[: self.cursor_cp]

    @property
    def suffix(self) -> str:
        return self.text[self.cursor_cp :]

    @property
    def line_prefix(self) -> str:
        """The text between the start of the cursor's line and the cursor; of a very long line the last MAX_LINE_CP characters."""
        return self.text[max(self.line_start_cp, self.cursor_cp - MAX_LINE_CP) : self.cursor_cp]

    @property
    def line_suffix(self) -> str:
        """The rest of the cursor's line, without its line ending; of a very long line the first MAX_LINE_CP characters."""
        return self.text[self.cursor_cp : min(self.line_end_cp, self.cursor_cp + MAX_LINE_CP)]

    @property
    def line_end_cp(self) -> int:
        """Where the cursor's line ends, its line ending not counted."""
        found = self.text.find("\n", self.cursor_cp)
        end = found if found >= 0 else len(self.text)
        earlier = self.text.find("\r", self.cursor_cp, end)
        return earlier if earlier >= 0 else end

    @property
    def line_start_cp(self) -> int:
        start = self.text.rfind("\n", 0, self.cursor_cp) + 1
        return max(start, self.text.rfind("\r", start, self.cursor_cp) + 1)  # no further back: most files have no \r at all


@dataclass(frozen=True, slots=True)
class Edit:
    """`text[start_cp:old_end_cp]` is replaced by `new_text`; offsets are code points of the text before the edit."""

    start_cp: int
    old_end_cp: int
    new_text: str


@dataclass(frozen=True, slots=True)
class Replacement:
    """`text` takes the place of `[start_cp, end_cp)` of a snapshot's text.

    A suggestion replaces a part of the cursor's line: start_cp <= cursor_cp <= end_cp. The entry that is selected in the
    editor's completion list is one, too: accepted, it would put `text` there.
    """

    text: str
    start_cp: int
    end_cp: int


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What the editor shows as ghost text.

    text: replaces `text[start_cp:end_cp]` of the snapshot it was made for; start_cp <= cursor_cp <= end_cp,
        both on the cursor's line. Usually start_cp == end_cp == cursor_cp. Its lines end at "\\n", whatever the document uses.
    complete: False while decoding goes on in the background; more may follow.
    alternatives: what else could be there, best first; only if they were asked for, and perhaps none.
    n_sure: so many characters of the text are as sure as what is shown while typing; None: all of them.
    """

    uri: str
    version: int
    text: str
    start_cp: int
    end_cp: int
    answered_by: AnsweredBy
    complete: bool = True
    alternatives: tuple[Suggestion, ...] = ()
    n_sure: int | None = None


@dataclass(frozen=True, slots=True)
class StopRule:
    """When decoding ends.

    max_tokens: hard limit; 0: only prefill the prompt.  single_line: stop at the first line break.
    confidence: stop at the first token with which the probability of all of the line that was generated falls below this,
        and drop that token (0: never).
    end_ids: tokens that end the middle (end of text, FIM tokens, file separators).
    block_indent: with multi-line, stop at the first later line that is indented less than this many columns.
    suffix_line: with multi-line, stop at a line equal to this one (the first visible line after the cursor, stripped).
    """

    max_tokens: int = 64
    single_line: bool = True
    confidence: float = 0.0
    end_ids: frozenset[int] = frozenset()
    block_indent: int | None = None
    suffix_line: str = ""


@dataclass(frozen=True, slots=True)
class Prompt:
    """Token ids ready for a slot, and what must be healed.

    ids: the whole prompt up to and including the token that is fed as a draft of the healed one.
    n_heal: how many of the last `ids` were taken back for healing (0: none).
    heal_bytes: the bytes of those tokens; the first generated tokens must reproduce them.
    n_fixed: ids[:n_fixed] stays byte-identical while the user types after the anchor.
    """

    ids: tuple[int, ...]
    n_heal: int = 0
    heal_bytes: bytes = b""
    n_fixed: int = 0


@dataclass(frozen=True, slots=True)
class Evidence:
    """How the text after the cursor goes on at other places, where the text before it is the same.

    text: in UTF-8, up to and with the line feed, or up to the rest of the cursor's line.
    log_odds: natural logarithm of the odds that its next token is right, before the model is asked.
    first_log_odds: of its first token; None: the same.
    may_indent: the cursor is at the start of its line, and the text does not say how the line is indented.
    matched: bytes before the cursor that are the same.
    """

    text: bytes
    log_odds: float
    first_log_odds: float | None = None
    may_indent: bool = False
    matched: int = 0


@dataclass(frozen=True, slots=True)
class Request:
    """What goes down to a generator (completer.generate.generator). Like the events that come up, it can cross a process.

    session: the document that the request is for. A caller that submits a newer one cancels those that it makes useless.
    priority: 0 foreground; 1 continuation or prefetch; 2 idle prefill. Lower runs first and pre-empts.
    drafts: likely continuations as token ids, best first, from the first healed token on; they never change the output.
    corpus_ids: tokens of the open documents, in which n-gram drafts are looked up.
    avoid: what the answer, after the healed bytes, must not be at the end of any token, nor as a whole: the first words of the
        suggestions that are there already; b"": it must not be empty. Not every generator can do this (`Generator.avoids`).
    evidence: weighed against the model's choice at each token (completer.generate.evidence). A generator that can't see the
        probabilities of its model ignores it.
    scratch: a long text that nobody asked for yet. It leaves no trace that could slow down the next key.
    client: who shares the engine fairly with others; set by the worker, not by clients.
    """

    id: int
    session: str
    prompt: Prompt
    stop: StopRule
    priority: int = 0
    drafts: tuple[tuple[int, ...], ...] = ()
    corpus_ids: tuple[tuple[int, ...], ...] = ()
    avoid: tuple[bytes, ...] = ()
    evidence: Evidence | None = None
    scratch: bool = False
    client: int = 0


@dataclass(frozen=True, slots=True)
class Token:
    """One generated token: `prob` is its probability after the healing constraint, before any cut."""

    id: int
    prob: float


@dataclass(frozen=True, slots=True)
class Stats:
    """What a request had cost when an event left the generator. A value: it never changes afterwards.

    Times are milliseconds of the wall clock. n_* count tokens, except n_forwards. n_keep of the prompt's tokens were found in
    a slot, n_feed must be fed; both are 0 until the request begins.  drafted, accepted: tokens by the source of the draft.
    """

    queue_ms: float = 0.0
    prefill_ms: float = 0.0
    ttft_ms: float = 0.0
    decode_ms: float = 0.0
    n_keep: int = 0
    n_feed: int = 0
    n_forwards: int = 0
    n_generated: int = 0
    drafted: dict[str, int] = field(default_factory=dict)
    accepted: dict[str, int] = field(default_factory=dict)

    @property
    def began(self) -> bool:
        """Whether the request had left the queue."""
        return self.n_keep + self.n_feed > 0


@dataclass(frozen=True, slots=True)
class Tokens:
    """Event: the next tokens of a request, healed ones included. The first event has none: it tells that the request began."""

    request_id: int
    tokens: tuple[Token, ...]
    stats: Stats


@dataclass(frozen=True, slots=True)
class Done:
    """Event: a request ended. The last one of each request, and its only one of this kind."""

    request_id: int
    reason: FinishReason
    stats: Stats
