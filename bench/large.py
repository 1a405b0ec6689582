"""What a key costs in a large file before the model is asked: mirror, tree, place, anchor. No model is needed.

`python -m bench large`. Types a function into the middle of a file made of copies of real code, between two definitions and in
the file's own language, as an editor that closes braces does; every stage is timed at every key:
    document   the edit in the mirror and the snapshot
    tree       the same edit in the syntax tree
    place      where the cursor stands (asks the tree)
    anchor     whether the frozen prompt still describes the document, and the window of a new one
    fit        what trimming asks of the document and the tree
"""

from __future__ import annotations

import gc
import re
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import numpy as np
import typer

from bench import inside
from bench.corpus import read_corpus
from bench.options import finish
from bench.provenance import provenance
from completer.document.mirror import Change, Document
from completer.document.position import Position, Range
from completer.engines.cpu.allocator import keep_freed_memory
from completer.prompt.prompt import Anchor
from completer.suggest.block_end import sibling_stop
from completer.suggest.trim import trim
from completer.syntax.cursor import cursor_context
from completer.syntax.endings import language_of_file
from completer.syntax.tree import SyntaxTree

TYPED = {
    "python": """def compute(first, items):
    total = compute_all(first, [second.value for second in items], key="a")
    if total > 10:
        return total
    """,
    "go": """func compute(first int, items []Item) int {
\ttotal := computeAll(first, items[0].value, "a")
\tif total > 10 {
\t\treturn total
\t}
\t""",
    "rust": """fn compute(first: usize, items: &[Item]) -> usize {
    let total = compute_all(first, items[0].value, "a");
    if total > 10 {
        return total;
    }
    """,
    "typescript": """function compute(first: number, items: Item[]): number {
  const total = computeAll(first, items[0].value, "a");
  if (total > 10) {
    return total;
  }
  """,
    "cpp": """int compute(int first, const std::vector<Item>& items) {
    int total = compute_all(first, items[0].value, "a");
    if (total > 10) {
        return total;
    }
    """,
}
SUGGESTED = "first += 1;\nreturn first;\n"


class Stages:
    """Milliseconds of each stage at each key."""

    def __init__(self) -> None:
        self.ms: defaultdict[str, list[float]] = defaultdict(list)

    @contextmanager
    def time(self, stage: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.ms[stage].append((time.perf_counter() - started) * 1e3)

    def figures(self) -> dict[str, dict[str, float]]:
        """Return p50, p95 and the worst of each stage, and of all stages of a key together."""
        whole = {**self.ms, "together": [sum(parts) for parts in zip(*self.ms.values(), strict=True)]}
        marks = {"p50": 50, "p95": 95, "max": 100}
        return {stage: {mark: _round(ms, percentile) for mark, percentile in marks.items()} for stage, ms in whole.items()}


def _round(values: list[float], percentile: float) -> float:
    return round(float(np.percentile(values, percentile)), 2)


def type_into(text: str, language_id: str) -> Stages:
    """Type a function between two definitions in the middle of `text`, key by key; return what the keys cost."""
    document = Document("file:///large", language_id, 1, text)
    tree = SyntaxTree(language_id, text)
    assert tree.root is not None  # the parse at opening, which no key pays for
    cursor_context(document.snapshot(Position(0, 0)), tree)  # the language's patterns are compiled at the first key of all
    typed = TYPED[language_id]
    between = re.compile(r"\n(?=\n\w)").search(text, len(text) // 2)
    line = text.count("\n", 0, between.end() if between else len(text) // 2)
    _type(document, tree, Position(line, 0), "\n\n}\n" if "{" in typed else "\n\n")
    line += 1
    start = document.snapshot(Position(line, 0))
    window_cp = 2_400
    head = start.text[max(0, start.cursor_cp - window_cp) : start.cursor_cp]
    tail = start.text[start.cursor_cp : start.cursor_cp + window_cp // 4]
    anchor = Anchor("file:///large", start.cursor_cp - len(head), start.cursor_cp, head, tail, (), True)
    stages, column = Stages(), 0
    for character in typed:
        position = Position(line, column)
        with stages.time("document"):
            change = Change(character, Range(position, position))
            edits = document.apply_changes(document.version + 1, [change])
            line, column = (line + 1, 0) if character == "\n" else (line, column + 1)
            snapshot = document.snapshot(Position(line, column))
        with stages.time("tree"):
            for edit in edits:
                tree.edit(edit)
        with stages.time("place"):
            cursor = cursor_context(snapshot, tree)
        with stages.time("anchor"):
            assert anchor.match(snapshot) == "exact"
            anchor.typed(snapshot)
        with stages.time("fit"):
            trim(SUGGESTED, snapshot, cursor)
            sibling_stop(snapshot, cursor, SUGGESTED, tree)
    return stages


def _type(document: Document, tree: SyntaxTree, position: Position, text: str) -> None:
    for edit in document.apply_changes(document.version + 1, [Change(text, Range(position, position))]):
        tree.edit(edit)


def large(
    lines: Annotated[int, typer.Option(help="Lines of the file.")] = 50_000,
    language: Annotated[list[str] | None, typer.Option(help="Languages of the corpus; again for more. Default: all.")] = None,
) -> None:
    """Print what a key costs in a large file, apart from the model."""
    keep_freed_memory()  # as in a server, from when its model is loaded
    found = {}
    for name, sources in read_corpus(16).items():
        if language and name not in language:
            continue
        text = "\n".join(source.text for source in sources)
        text = text * (lines // (text.count("\n") + 1) + 1)
        text = "\n".join(text.split("\n")[:lines])
        gc.collect()
        found[name] = type_into(text, language_of_file(sources[0].name)).figures()
        rows = [[stage, *(f"{value:.2f}" for value in ms.values())] for stage, ms in found[name].items()]
        title = f"{name}: {lines} lines, {len(text) / 1e6:.1f} MB, ms per key"
        inside.console.print(inside.table(title, ["stage", "p50", "p95", "max"], rows))
    finish({**provenance(), "settings": {"lines": lines}, "ms": found})
