"""Places at which somebody might be typing, and what stands behind them: the cases of the shortcut's quality.

Library: in each file of the corpus, behind its first 20 lines (licence, imports), lines with at least 8 visible characters that
are no whole-line comment; the cursor stands at a random column, with at least one visible character of the line before it
and three behind it. HumanEval-Infilling (MIT, OpenAI): the tasks of the single-line set, the line cut at such a column.
The random numbers come from the case's own name, so a case never changes when others come or go.
"""

from __future__ import annotations

import gzip
import json
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.corpus import Source

HUMANEVAL = Path(__file__).parent / "data" / "HumanEval-SingleLineInfilling.jsonl.gz"
HEADER_LINES = 20
MIN_VISIBLE, MIN_BEHIND = 8, 3
COMMENTS = ("#", "//", "/*", "*", '"""', "--")


@dataclass(frozen=True, slots=True)
class Case:
    """A cursor. prefix, suffix: the document on its two sides without `rest`, which is what stood behind it in its line."""

    name: str
    group: str
    prefix: str
    rest: str
    suffix: str

    @property
    def line_start(self) -> int:
        """Offset in `prefix` at which the cursor's line begins."""
        return self.prefix.rfind("\n") + 1


def library_cases(corpus: dict[str, list[Source]], n: int) -> list[Case]:
    """Return about `n` cases, the same number from each language, as evenly from its files as they allow."""
    per_language = math.ceil(n / len(corpus))
    cases: list[Case] = []
    for sources in corpus.values():
        per_file = math.ceil(per_language / len(sources))
        found = [case for source in sources for case in _in_source(source, per_file)]
        cases += found[:per_language]
    return cases


def humaneval_cases(n: int) -> list[Case]:
    """Return `n` cases spread evenly over the single-line set (0: all that can be cut)."""
    cases = list(_humaneval())
    return cases if n == 0 else [cases[i * len(cases) // n] for i in range(min(n, len(cases)))]


def column(line: str, rng: random.Random) -> int | None:
    """Return a column inside `line` to put the cursor at, or None where the line is unfit (see the rule above)."""
    visible = line.strip()
    if len(visible) < MIN_VISIBLE or visible.startswith(COMMENTS):
        return None
    first = len(line) - len(line.lstrip()) + 1
    last = len(line.rstrip()) - MIN_BEHIND
    return rng.randint(first, last)


def _in_source(source: Source, n: int) -> Iterator[Case]:
    rng = random.Random(source.name)
    lines = source.text.splitlines(keepends=True)
    rows = list(range(HEADER_LINES, len(lines)))
    rng.shuffle(rows)
    left = n
    for row in rows:
        line = lines[row].rstrip("\r\n")
        at = column(line, rng)
        if at is None or left == 0:
            continue
        left -= 1
        prefix = "".join(lines[:row]) + line[:at]
        yield Case(
            f"{source.name}:{row + 1}:{at}",
            source.language,
            prefix,
            line[at:],
            source.text[len(prefix) + len(line) - at :],
        )


def _humaneval() -> Iterator[Case]:
    with gzip.open(HUMANEVAL, "rt", encoding="utf-8") as file:
        for task in map(json.loads, file):
            line = task["canonical_solution"].rstrip("\n")
            at = column(line, random.Random(task["task_id"]))
            if "\n" in line or at is None:
                continue
            yield Case(task["task_id"], "humaneval", task["prompt"] + line[:at], line[at:], "\n" + task["suffix"])
