"""What the person sees: the ghost text over time, and one record per event of how the tool dealt with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from bench.trace import Event, EventKind

Status = Literal["shown", "stale", "empty", "late-empty", "cancelled", "error", "unanswered", "rejected", "not-asked"]
"""shown, empty: answered before the next event; stale, late-empty: after it; cancelled: aborted by it;
rejected: the answer broke the rules (see `problem`); not-asked: nothing was requested."""

Problem = Literal["wrong-range", "wrong-version", "wrong-prefix", "malformed"]


Why = Literal["answer", "extended", "typed-through", "hidden"]


@dataclass(slots=True)
class Record:
    """One event and what became of it. Times are milliseconds since the run began; None: never.

    due_ms: when the trace wanted the event; t_ms: when it happened; next_ms: when the next one did.
    work_ms: CPU time that the harness itself spent on it. ghost: the answer, as text behind the cursor.
    following: what the person types next (truth).  visible: what stood there just before the next event.
    """

    index: int
    kind: EventKind
    tool: str
    trace: str
    language: str
    version: int
    due_ms: float
    t_ms: float
    following: str
    uri: str = ""
    text: str = ""
    work_ms: float = 0.0
    next_ms: float | None = None
    asked_ms: float | None = None
    answered_ms: float | None = None
    ghost: str = ""
    visible: str = ""
    cancelled: bool = False
    error: str = ""
    problem: Problem | None = None
    answered_by: str = ""
    stages: dict[str, Any] = field(default_factory=dict)

    @property
    def latency_ms(self) -> float | None:
        """From the keystroke to the answer; None where none came."""
        return None if self.answered_ms is None else self.answered_ms - self.t_ms

    @property
    def status(self) -> Status:
        if self.problem is not None:
            return "rejected"
        if self.error:
            return "cancelled" if self.cancelled else "error"
        if self.asked_ms is None and self.answered_ms is None:
            return "not-asked"
        if self.answered_ms is None:
            return "cancelled" if self.cancelled else "unanswered"
        late = self.next_ms is not None and self.answered_ms > self.next_ms
        if self.ghost:
            return "stale" if late else "shown"
        if late and self.cancelled:  # some servers answer what was cancelled with nothing instead of an error
            return "cancelled"
        return "late-empty" if late else "empty"


@dataclass(frozen=True, slots=True)
class Frame:
    """From `t_ms` on, `text` stands behind the cursor ("": nothing). `record` points into the records."""

    t_ms: float
    record: int
    text: str
    why: Why


@dataclass(slots=True)
class Screen:
    """The ghost text of one tool. keeps_typed_through: the editor itself shortens what is typed along."""

    keeps_typed_through: bool = False
    frames: list[Frame] = field(default_factory=list)

    @property
    def text(self) -> str:
        return self.frames[-1].text if self.frames else ""

    def event(self, event: Event, record: int, t_ms: float) -> None:
        """An event happened: ghost text shrinks when typed along (and the editor can do that), else it goes."""
        if not self.text:
            return
        if self.keeps_typed_through and event.kind == "key" and self.text.startswith(event.text):
            self.frames.append(Frame(t_ms, record, self.text[len(event.text) :], "typed-through"))
        else:
            self.frames.append(Frame(t_ms, record, "", "hidden"))

    def show(self, text: str, record: int, t_ms: float, *, extended: bool = False) -> None:
        """The tool shows `text` ("" hides) for the state after event `record`."""
        if text != self.text:
            why: Why = "hidden" if not text else "extended" if extended else "answer"
            self.frames.append(Frame(t_ms, record, text, why))
