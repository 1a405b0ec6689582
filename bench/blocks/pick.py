"""Function bodies cut out of checkouts; the same ones for the same checkouts and seed.

Files as in `bench.places.pick`. A body has 1 to MAX_LINES lines and MIN_CHARS characters, and begins on a line of
its own. A docstring stays. What is left of the function is its header, a blank line indented like the first
statement, with the cursor at its end, and what closes the body.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import tree_sitter

from bench.places.case import LANGUAGES, family
from bench.places.pick import Source, read_sources, turns
from completer.syntax.tree import SyntaxTree
from completer.types import Snapshot

MIN_CHARS, MAX_LINES = 20, 15
MAX_PER_FILE = 2


@dataclass(frozen=True, slots=True)
class Body:
    """A document with an empty body: prefix + want + suffix is the original; the cursor is at the end of `prefix`."""

    name: str
    language: str
    prefix: str
    want: str
    suffix: str

    @property
    def snapshot(self) -> Snapshot:
        return Snapshot(self.name, 1, self.language, self.prefix + self.suffix, len(self.prefix))


def pick(folders: Sequence[Path], n: int, seed: int) -> list[Body]:
    """Return up to `n` bodies; languages take turns, then checkouts, then files."""
    by_language: defaultdict[str, defaultdict[str, list[Source]]] = defaultdict(lambda: defaultdict(list))
    for source in sorted(read_sources(folders), key=lambda source: _digest(seed, source.checkout + source.path)):
        by_language[family(source.language)][source.checkout].append(source)
    streams = []
    for language in LANGUAGES:
        checkouts = by_language[language]
        streams.append(turns([_of_files(checkouts[name], seed) for name in sorted(checkouts)]))
    return list(islice(turns(streams), n))


def bodies(source: Source) -> Iterator[Body]:
    """Yield the bodies of a file, in order."""
    tree = SyntaxTree(source.language, source.text)
    if tree.root is None:
        return
    for node in _functions(tree.root, tree.language.functions):
        if (span := _span(node, tree)) is not None:
            start, end = span
            yield Body(
                f"{source.checkout}/{source.path}:{source.text.count(chr(10), 0, start) + 1}",
                source.language,
                source.text[:start],
                source.text[start:end],
                source.text[end:],
            )


def write(cases: Iterable[Body], file: Path) -> None:
    """Write one body a line; makes the folder. Raises: OSError."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(asdict(case), ensure_ascii=False) + "\n" for case in cases), encoding="utf-8")


def read(file: Path) -> list[Body]:
    """Return the bodies of a file. Raises: OSError, ValueError, TypeError (another kind of file)."""
    return [Body(**json.loads(line)) for line in file.read_text(encoding="utf-8").split("\n") if line]


def _of_files(sources: Sequence[Source], seed: int) -> Iterator[Body]:
    for source in sources:
        found = sorted(bodies(source), key=lambda body: _digest(seed, body.name))
        yield from found[:MAX_PER_FILE]


def _functions(root: tree_sitter.Node, kinds: Sequence[str]) -> Iterator[tree_sitter.Node]:
    todo = [root]
    while todo:
        node = todo.pop()
        todo.extend(reversed(node.children))
        if node.type in kinds and not node.has_error:
            yield node


def _span(node: tree_sitter.Node, tree: SyntaxTree) -> tuple[int, int] | None:
    """Return where the statements of a function begin and end, in code points; None if it does not fit the rules."""
    body = node.child_by_field_name("body")
    if body is not None and [child.type for child in body.named_children] == ["statement_list"]:
        body = body.named_children[0]
    statements = [child for child in body.named_children if "comment" not in child.type] if body is not None else []
    if statements and tree.language.docstrings and statements[0].named_children[:1]:
        is_docstring = statements[0].named_children[0].type == "string" and statements[0].type == "expression_statement"
        statements = statements[1:] if is_docstring else statements
    if not statements:
        return None
    start, end = tree.cp_at(statements[0].start_byte), tree.cp_at(statements[-1].end_byte)
    text = tree.data.decode()
    before, after = text[text.rfind("\n", 0, start) + 1 : start], text[end : (text + "\n").find("\n", end)]
    want = text[start:end]
    alone = not before.strip() and not after.strip(" \t;,")
    fits = len(want) >= MIN_CHARS and want.count("\n") < MAX_LINES and statements[0].start_point[0] > node.start_point[0]
    return (start, end + len(after.rstrip())) if alone and fits else None


def _digest(seed: int, name: str) -> str:
    return hashlib.sha256(f"{seed} {name}".encode()).hexdigest()
