"""Where a rule applies: the candidate places of one document, each with the evidence for it. Pure functions."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from completer.next_edit.rules import Insertion, Substitution
from completer.next_edit.words import DEFINERS, Word, is_name, line_end, line_start, occurrences, with_words, words
from completer.syntax.interpolation import code_start
from completer.syntax.languages import Language, language
from completer.syntax.lexer import matches
from completer.types import Snapshot

MAX_DOCUMENT_CP = 400_000
MAX_CANDIDATES = 200
MAX_LINE_CP = 400
MAX_CONTEXT = 4
MIN_EQUAL = 0.6
"""Share of the tokens that two lines must have in common for the names in them to be told from each other."""


@dataclass(frozen=True, slots=True)
class Place:
    """`text[start_cp:end_cp]` may become `new_text`.

    left, right: tokens on each side that agree with the best example, up to MAX_CONTEXT; same_shape: whether the whole
    line does, except for names and literals; exact: the share of its tokens that are equal.
    call: whether the changed call is of the same function, with as many arguments.
    """

    start_cp: int
    end_cp: int
    new_text: str
    left: int = 0
    right: int = 0
    same_shape: bool = False
    exact: float = 0.0
    call: bool = False


@lru_cache(maxsize=8)
def literals(text: str, language_id: str) -> tuple[list[int], list[tuple[int, str, str]]]:
    """Return the starts of strings and comments, and for each its end, kind and delimiter."""
    lang = language(language_id)
    starts, rest = [], []
    for match in matches(text, lang):
        if match.lastgroup != "bracket":
            quote = next((mark for mark in lang.quotes if match.group().startswith(mark)), "")
            starts.append(match.start())
            rest.append((match.end(), match.lastgroup or "", quote))
    return starts, rest


def is_code(snapshot: Snapshot, at: int) -> bool:
    """Whether an offset lies in code, also in code inside a string, and not in a string or comment."""
    starts, rest = literals(snapshot.text, snapshot.language_id)
    index = bisect_right(starts, at) - 1
    if index < 0 or rest[index][0] <= at:
        return True
    _, kind, quote = rest[index]
    lang: Language = language(snapshot.language_id)
    return kind == "string" and bool(quote) and code_start(snapshot.text[:at], starts[index], quote, lang) is not None


def places(rule: Substitution | Insertion, snapshot: Snapshot) -> list[Place]:
    """Return the candidate places of a rule in one document, in its order; at most MAX_CANDIDATES are looked at."""
    if len(snapshot.text) > MAX_DOCUMENT_CP:
        return []
    if isinstance(rule, Insertion):
        return list(_below_lines(rule, snapshot.text))
    if rule.is_rename:
        return [
            Place(at, at + len(rule.old[0]), rule.new[0], *_agreement(rule, *_line_at(snapshot.text, at)))
            for at in occurrences(snapshot.text, rule.old[0])[:MAX_CANDIDATES]
        ]
    return list(_substitutions(rule, snapshot.text))


def _line_at(text: str, at: int) -> tuple[list[Word], int]:
    """Return the tokens of the line at an offset, and which of them begins there."""
    start, end = line_start(text, at), line_end(text, at)
    start, end = max(start, at - MAX_LINE_CP), min(end, at + MAX_LINE_CP)
    line = words(text, start, end)
    return line, next((i for i, word in enumerate(line) if word.start >= at), len(line))


def _agreement(rule: Substitution, line: list[Word], first: int) -> tuple[int, int, bool, float]:
    """Return left, right, same_shape and exact of the example that agrees best with a place."""
    texts = [word.text for word in line]
    last = first + len(rule.old)
    best = (0, 0, False, 0.0)
    for example in rule.examples[:4]:
        left = _common(reversed(example.line[: example.first]), reversed(texts[:first]))
        right = _common(iter(example.line[example.last :]), iter(texts[last:]))
        aligned = example.first == first and len(example.line) == len(texts)
        shape = aligned and all(_alike(a, b) for a, b in zip(example.line, texts, strict=True))
        equal = sum(a == b for a, b in zip(example.line, texts, strict=True)) / len(texts) if aligned and texts else 0.0
        best = max(best, (left, right, shape, equal), key=lambda one: (one[2], one[3], one[0] + one[1]))
    return best


def _common(a: Iterator[str], b: Iterator[str]) -> int:
    """Length of the common head, at most MAX_CONTEXT; a line that ends on both sides at once counts as one token."""
    n = 0
    while n < MAX_CONTEXT:
        one, other = next(a, None), next(b, None)
        if one != other:
            return n
        n += 1
        if one is None:
            return n
    return n


def _alike(a: str, b: str) -> bool:
    return a == b or (is_name(a) and is_name(b)) or (a[0].isdigit() and b[0].isdigit())


def _substitutions(rule: Substitution, text: str) -> Iterator[Place]:
    """Find lines that hold the old tokens between the same neighbours."""
    seen: set[int] = set()
    for found in (at for word in _rarest(rule) for at in occurrences(text, word)[:MAX_CANDIDATES]):
        if (start := line_start(text, found)) in seen:
            continue
        seen.add(start)
        line, _ = _line_at(text, start)
        if line and line_end(text, start) - start <= MAX_LINE_CP:
            yield from _in_line(rule, text, line)


def _rarest(rule: Substitution) -> list[str]:
    """Return the names by which candidates are looked up: the longest of the old ones and of the neighbours."""
    example = rule.examples[0]
    before, after = example.line[: example.first][-MAX_CONTEXT:], example.line[example.last :][:MAX_CONTEXT]
    groups = ([word for word in group if is_name(word)] for group in (rule.old, before + after))
    return [max(names, key=len) for names in groups if names]


def _other_words(rule: Substitution, texts: tuple[str, ...], first: int) -> dict[str, str]:
    """Return which names and numbers of an example are others in a line that is alike, {} if none is.

    Whatever was replaced must be in the new text again: else nothing tells what becomes of the other name.
    """
    for example in rule.examples[:4]:
        if example.first != first or len(example.line) != len(texts) or not all(map(_alike, example.line, texts)):
            continue
        pairs = {(a, b) for a, b in zip(example.line, texts, strict=True) if a != b}
        others = dict(pairs)
        equal = sum(a == b for a, b in zip(example.line, texts, strict=True))
        kept = all(word in rule.new for word in others if word in rule.old)
        if kept and len(others) == len(pairs) and equal >= MIN_EQUAL * len(texts):
            return others
    return {}


def _in_line(rule: Substitution, text: str, line: list[Word]) -> Iterator[Place]:
    n = len(rule.old)
    texts = tuple(word.text for word in line)
    for first in range(len(line) - n + 1):
        others = _other_words(rule, texts, first)
        if texts[first : first + n] != tuple(others.get(word, word) for word in rule.old):
            continue
        left, right, shape, exact = _agreement(rule, line, first)
        call = not n and _same_call(rule, texts, first)
        if (shape or call or (left and right)) and (span := _span(rule, text, line, first)) is not None:
            yield Place(span[0], span[1], with_words(span[2], others), left, right, shape, exact, call)


def _span(rule: Substitution, text: str, line: list[Word], first: int) -> tuple[int, int, str] | None:
    """Return which characters change into which; None if the whitespace there is not the example's."""
    n = len(rule.old)
    start = line[first - 1].end if first else line_start(text, line[0].start)
    end = line[first + n].start if first + n < len(line) else line[-1].end
    if rule.new and n:
        return line[first].start, line[first + n - 1].end, rule.new_raw.strip()
    if not first and not n:  # put before the first token, whatever its indentation
        return (end, end, rule.new_raw.lstrip()) if rule.old_raw == rule.new_raw[: len(rule.old_raw)] else None
    if text[start:end] != rule.old_raw:
        return None
    head = len(rule.old_raw) if not n and rule.new_raw.startswith(rule.old_raw) else 0
    return (start + head, end, rule.new_raw[head:]) if head or n or not rule.old_raw else (start, end, rule.new_raw)


def _same_call(rule: Substitution, texts: tuple[str, ...], at: int) -> bool:
    """Whether the rule adds an argument at the end of a call, and a call of the same function with as many ends at `at`."""
    if not rule.new or at >= len(texts) or texts[at] != ")":
        return False
    here = _call(texts, at)
    return here is not None and any(
        example.last < len(example.line) and example.line[example.last] == ")" and _call(example.line, example.last) == here
        for example in rule.examples
    )


def _call(line: tuple[str, ...], close: int) -> tuple[str, int] | None:
    """Return function and number of arguments of the call that ends at `close`; None for a definition."""
    depth, commas = 0, 0
    for index in range(close - 1, -1, -1):
        if line[index] in ")]}":
            depth += 1
        elif line[index] == "," and not depth:
            commas += 1
        elif line[index] in "([{":
            if depth:
                depth -= 1
                continue
            if line[index] != "(" or not index or not is_name(line[index - 1]) or (index > 1 and line[index - 2] in DEFINERS):
                return None
            return line[index - 1], commas + 1 if index < close - 1 else 0
    return None


def _below_lines(rule: Insertion, text: str) -> Iterator[Place]:
    """Find lines like the anchors that do not have the inserted lines above them yet."""
    common = [word for word in rule.anchors[0] if all(word in anchor for anchor in rule.anchors)]
    if not common:
        return
    for found in occurrences(text, max(common, key=len))[:MAX_CANDIDATES]:
        start, end = line_start(text, found), line_end(text, found)
        if end - start > MAX_LINE_CP:
            continue
        line = [word.text for word in words(text, start, end)]
        exact = max((_share(anchor, line) for anchor in rule.anchors), default=0.0)
        indent = text[start:end][: len(text[start:end]) - len(text[start:end].lstrip())]
        above = text[line_start(text, start - 1) : start].strip() if start else ""
        if exact and above != rule.lines[-1].strip():
            newline = "\r\n" if text[end : end + 2] == "\r\n" else "\n"
            new_text = "".join(f"{indent}{line}{newline}" for line in rule.lines)
            yield Place(start, start, new_text, same_shape=True, exact=exact)


def _share(anchor: tuple[str, ...], line: list[str]) -> float:
    """Return which share of an anchor's tokens a line has, 0.0 if it differs in more than names."""
    if len(anchor) != len(line) or not all(map(_alike, anchor, line)):
        return 0.0
    return sum(a == b for a, b in zip(anchor, line, strict=True)) / len(line)
