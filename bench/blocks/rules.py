"""What a reader takes of a block, by rule: accepted by word, by line, as a whole, simulated against the real text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from os.path import commonprefix

from rapidfuzz.distance import Indel

from bench.blocks.pick import Body
from bench.blocks.record import Said
from bench.client import Json
from bench.places.case import family
from completer.config import Settings
from completer.suggest.block_end import sibling_stop
from completer.suggest.block_part import LEAST, Least, block_part
from completer.suggest.confidence import Sure, sure_part
from completer.suggest.entries import Entry, Hit
from completer.suggest.visible import part
from completer.syntax.cursor import CursorContext, cursor_context
from completer.types import Snapshot

Rule = Callable[[Entry], Sure]

CONFIDENCE = Settings().confidence
PRICE = 0.5
"""What a character that has to be deleted costs, in those that stay."""
OWN = (0.0, 0.01, 0.03, 0.1, 0.3, 1.0)
JOINT = (0.0, 0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
"""Limits that are tried, as shares of the setting `confidence`."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The model's answer to a body, cut at the end of the block as the completer cuts it."""

    form: str
    language: str
    want: str
    entry: Entry
    snapshot: Snapshot
    cursor: CursorContext

    def shown(self, rule: Rule) -> str:
        """Return what is shown of it by a rule, as the server trims it."""
        found = part(Hit(self.entry, 0), rule(self.entry), self.snapshot, self.cursor)
        return found.text if found is not None else ""


def answers(bodies: Sequence[Body], said: Iterable[Said]) -> Iterator[Answer]:
    """Yield what was said at `bodies`."""
    by_name = {body.name: body for body in bodies}
    for one in said:
        if (body := by_name.get(one.name)) is not None:
            snapshot = body.snapshot
            cursor = cursor_context(snapshot)
            cut = sibling_stop(snapshot, cursor, one.text) if "\n" in one.text else None
            text, reason = (one.text, one.reason) if cut is None else (one.text[:cut], "block")
            entry = Entry(0, "", 0, text=text, spans=one.spans, reason=reason)
            yield Answer(one.form, family(body.language), body.want, entry, snapshot, cursor)


def now(entry: Entry) -> Sure:
    """Today's rule: the joint probability of each line."""
    return sure_part(entry.text, entry.spans, 0, CONFIDENCE)


def whole(entry: Entry) -> Sure:
    """All of it, as an explicit request shows it."""
    return sure_part(entry.text, entry.spans, 0, 0.0)


def by_line(least: Least) -> Rule:
    """Return the rule of `completer.suggest.block_part` with these limits."""
    return lambda entry: block_part(entry.text, entry.spans, 0, CONFIDENCE, least)


RULES: Mapping[str, Rule] = {"now": now, "whole": whole, "at rest": by_line(LEAST)}


def judge(shown: str, want: str) -> Json:
    """Return characters: shown, accepted by word, line and whole, and wrong; and lines: shown, and found in the body.

    kept: of `visible`, those that are no white space, how many stay if it is edited into the real body.
    """
    shown, want = ("\n".join(line.rstrip() for line in text.replace("\r\n", "\n").rstrip().split("\n")) for text in (shown, want))
    right = len(commonprefix((shown, want)))
    by_word = right
    if right < len(shown):  # the last word is right only as a whole
        while by_word and _is_word(shown[by_word - 1]) and _is_word(shown[by_word]):
            by_word -= 1
    lines, real = shown.split("\n") if shown else [], want.split("\n")
    n_lines = len(commonprefix((lines, real)))
    by_lines = len("\n".join(lines[:n_lines]))
    stripped = [line.strip() for line in real]
    return {
        "shown": len(shown),
        "word": by_word,
        "line": by_lines,
        "whole": len(shown) if n_lines == len(lines) else 0,
        "exact": int(shown == want),
        "wrong": len(shown) - right,
        "visible": len(re.sub(r"\s", "", shown)),
        "kept": kept(shown, want),
        "lines": len(lines),
        "found": sum(line.strip() in stripped for line in lines),
    }


def kept(shown: str, want: str) -> int:
    """Return how many characters of a text stay if it is edited into the real one, token by token."""
    mine, real = (re.findall(r"\w+|[^\w\s]", text) for text in (shown, want))
    same = (op for op in Indel.opcodes(mine, real) if op.tag == "equal")
    return sum(len(token) for op in same for token in mine[op.src_start : op.src_end])


def figures(found: Sequence[Answer], rule: Rule) -> Json:
    """Return the sums of `judge` over answers. shown_at: answers of which anything is shown.  want: characters of the bodies.

    worth: what stays, less PRICE of what has to be deleted.
    """
    judged = [judge(answer.shown(rule), answer.want) for answer in found]
    sums: Json = {key: sum(one[key] for one in judged) for key in judge("", "")}
    sums |= {
        "n": len(found),
        "want": sum(len(answer.want) for answer in found),
        "shown_at": sum(one["shown"] > 0 for one in judged),
    }
    sums["wrong_share"] = round(sums["wrong"] / max(1, sums["shown"]), 3)
    sums["kept_share"] = round(sums["kept"] / max(1, sums["visible"]), 3)
    sums["worth"] = round(sums["kept"] - PRICE * (sums["visible"] - sums["kept"]))
    return sums


def grid(found: Sequence[Answer]) -> dict[str, Json]:
    """Return the figures of many rules, to choose from."""
    limits = [Least(own, joint) for own in OWN for joint in JOINT]
    return {f"own {least.own:g}, joint {least.joint:g}": figures(found, by_line(least)) for least in limits}


def _is_word(character: str) -> bool:
    return character.isalnum() or character == "_"
