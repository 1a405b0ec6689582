"""From the last edits to rules: what was replaced by what, widened to tokens, with the surroundings of each example.

old line   total = add(count, 1)          Substitution  count -> n_items
new line   total = add(n_items, 1)          left: total = add (   right: , 1 )
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from completer.next_edit.history import PastEdit
from completer.next_edit.words import Word, is_name, line_end, line_start, words
from completer.types import Snapshot

MAX_LINE_CP = 400
MAX_LINES = 12
"""An edit of longer lines, or of more of them, is no example."""
MAX_WORDS = 24
"""A change of more tokens in one place is a new thought, not one to repeat."""


@dataclass(frozen=True, slots=True)
class Example:
    """One place where the user made the change.

    line: the tokens of the line before it; first, last: those of them that were replaced, half-open.
    at_cp: where the new text stands now.  age: edits since then, 0 for the last one.
    alone: whether nothing else changed in the line, or the rule holds all that did.
    """

    uri: str
    at_cp: int
    line: tuple[str, ...]
    first: int
    last: int
    age: int
    alone: bool = True


@dataclass(frozen=True, slots=True)
class Substitution:
    """Tokens that become others. old_raw, new_raw: with the whitespace between the neighbours, which stay.

    examples: newest first.
    """

    old: tuple[str, ...]
    new: tuple[str, ...]
    old_raw: str
    new_raw: str
    examples: tuple[Example, ...]

    @property
    def is_rename(self) -> bool:
        """Whether one name became another."""
        return len(self.old) == len(self.new) == 1 and is_name(self.old[0]) and is_name(self.new[0])


@dataclass(frozen=True, slots=True)
class Insertion:
    """Whole lines put above a line. anchors: the tokens of that line in each example, newest first.

    lines: without the indentation of the anchor.
    """

    lines: tuple[str, ...]
    anchors: tuple[tuple[str, ...], ...]
    places: tuple[tuple[str, int], ...]
    """(uri, offset of the anchor line) of each example."""


Rule = Substitution | Insertion


def rules_of(edits: Sequence[PastEdit], documents: Mapping[str, Snapshot]) -> list[Rule]:
    """Return what the edits teach, newest first. edits: oldest first; documents: as they are now, by URI.

    A rule needs an example that the user typed: pastes and our own offers teach nothing.
    """
    substitutions: dict[tuple[object, ...], Substitution] = {}
    insertions: dict[tuple[str, ...], Insertion] = {}
    others = [past for past in edits if past.uri in documents and past.kind != "accepted"]
    for age, past in enumerate(reversed(others)):
        if past.kind != "typed":
            continue
        for rule in _lessons(past, documents[past.uri].text, age):
            if isinstance(rule, Substitution):
                key = (rule.old, rule.new, rule.old_raw.strip(), rule.new_raw.strip())
                known = substitutions.get(key)
                substitutions[key] = _with_examples(known, rule) if known else rule
            else:
                seen = insertions.get(rule.lines)
                insertions[rule.lines] = _with_anchors(seen, rule) if seen else rule
    return [*substitutions.values(), *insertions.values()]


def _with_examples(known: Substitution, more: Substitution) -> Substitution:
    return Substitution(known.old, known.new, known.old_raw, known.new_raw, known.examples + more.examples)


def _with_anchors(known: Insertion, more: Insertion) -> Insertion:
    return Insertion(known.lines, known.anchors + more.anchors, known.places + more.places)


def _lessons(past: PastEdit, text: str, age: int) -> list[Rule]:
    """Return the changes of each line that the edit touched."""
    start = line_start(text, past.start_cp)
    end = line_end(text, past.end_cp)
    new_lines = text[start:end].split("\n")
    old_lines = (text[start : past.start_cp] + past.old + text[past.end_cp : end]).split("\n")
    if max(len(old_lines), len(new_lines)) > MAX_LINES or max(map(len, (*old_lines, *new_lines))) > MAX_LINE_CP:
        return []
    starts = [start]
    for line in new_lines:
        starts.append(starts[-1] + len(line) + 1)
    found: list[Rule] = []
    matcher = SequenceMatcher(None, old_lines, new_lines, autojunk=False)
    for tag, old_first, old_last, new_first, new_last in matcher.get_opcodes():
        if tag == "replace" and old_last - old_first == new_last - new_first:
            for old, new, at in zip(
                old_lines[old_first:old_last], new_lines[new_first:new_last], starts[new_first:], strict=False
            ):
                found += _changes_of_line(old, new, past.uri, at, age)
        elif tag == "insert" and new_last < len(new_lines):
            found += _inserted(new_lines[new_first:new_last], new_lines[new_last], past.uri, starts[new_last])
    return found


def _inserted(lines: Sequence[str], anchor: str, uri: str, at: int) -> list[Rule]:
    indent = anchor[: len(anchor) - len(anchor.lstrip())]
    if not anchor.strip() or not all(line.strip() and line.startswith(indent) for line in lines):
        return []
    tokens = tuple(word.text for word in words(anchor))
    return [Insertion(tuple(line[len(indent) :].rstrip() for line in lines), (tokens,), ((uri, at),))]


def _changes_of_line(old: str, new: str, uri: str, at: int, age: int) -> list[Rule]:
    before, after = words(old), words(new)
    old_words, new_words = [word.text for word in before], [word.text for word in after]
    codes = [code[1:] for code in SequenceMatcher(None, old_words, new_words, autojunk=False).get_opcodes() if code[0] != "equal"]
    changes = {(tuple(old_words[i:j]), tuple(new_words[k:m])) for i, j, k, m in codes}
    alone = len(changes) == 1
    if not alone and codes:  # first the change as a whole
        codes.insert(0, (codes[0][0], codes[-1][1], codes[0][2], codes[-1][3]))
    found: list[Rule] = []
    for n, (i, j, k, m) in enumerate(codes):
        if max(j - i, m - k) > MAX_WORDS:
            continue
        start = at + (after[k].start if k < m else _end_before(after, k))
        example = Example(uri, start, tuple(old_words), i, j, age, alone=alone or n == 0)
        raws = _between(old, before, i, j), _between(new, after, k, m)
        found.append(Substitution(tuple(old_words[i:j]), tuple(new_words[k:m]), *raws, (example,)))
    return found


def _end_before(line: Sequence[Word], index: int) -> int:
    return line[index - 1].end if index else 0


def _between(text: str, line: Sequence[Word], first: int, last: int) -> str:
    """Return the raw text from the end of the token before `first` to the start of the one at `last`."""
    return text[_end_before(line, first) : line[last].start if last < len(line) else len(text.rstrip())]
