"""The cases of the quality bench: a document with a hole in it, and how to tell whether the hole was filled well.

single, multi     HumanEval-Infilling (MIT, OpenAI), single-line and multi-line: whole lines are missing
inner             its single lines, cut at a random inner column (`bench.cursors`): the rest of the line is missing
span              its random spans (the light set): the hole begins and ends anywhere
library           cursors inside lines of installed packages (`bench.corpus`, `bench.cursors`): the rest of the line is missing

Cases are spread evenly over a set, so that `n` of them are the same on every machine with the same files. Cursors that only
another file explains are the business of `bench.crossfile`.
"""

from __future__ import annotations

import gzip
import json
import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from bench.corpus import read_corpus
from bench.cursors import column, library_cases

DATA = Path(__file__).parent / "data"
FILES = {
    "single": "HumanEval-SingleLineInfilling.jsonl.gz",
    "inner": "HumanEval-SingleLineInfilling.jsonl.gz",
    "multi": "HumanEval-MultiLineInfilling-sample.jsonl.gz",
    "span": "HumanEval-RandomSpanInfillingLight.jsonl.gz",
}
LANGUAGE_IDS = {"c++": "cpp"}


@dataclass(frozen=True, slots=True)
class Task:
    """prefix + truth + suffix is the document.

    tests: appended to the document, they fail unless the hole was filled with something that works ("": there are none).
    line: the hole is the rest of the cursor's line, and only the first line of an answer counts.
    """

    name: str
    group: str
    language_id: str
    prefix: str
    truth: str
    suffix: str
    path: str
    tests: str = ""
    line: bool = False


def read_tasks(group: str, n: int, beyond: int = 0) -> list[Task]:
    """Return about `n` tasks of a set, always the same; those that `beyond` of them would be are left out.

    Raises: KeyError for an unknown set.
    """
    left_out = {task.name for task in _SETS[group](beyond)} if beyond else set()
    return [task for task in _SETS[group](n) if task.name not in left_out]


def spread(rows: list[Any], n: int) -> list[Any]:
    """Return `n` rows at even distances (all of them when there are fewer)."""
    return rows if n >= len(rows) else [rows[i * len(rows) // n] for i in range(n)]


def _humaneval(group: str) -> Iterator[Task]:
    with gzip.open(DATA / FILES[group], "rt", encoding="utf-8") as file:
        for row in map(json.loads, file):
            tests = f"\n{row['test']}\ncheck({row['entry_point']})\n"
            prefix, truth, suffix = row["prompt"], row["canonical_solution"], row["suffix"]
            if group != "span":  # whole lines: the cursor stands on an empty line of its own
                truth, suffix = truth.removesuffix("\n"), "\n" + suffix
            if group == "inner":
                at = column(truth, random.Random(row["task_id"]))
                if at is None or "\n" in truth:
                    continue
                prefix, truth = prefix + truth[:at], truth[at:]
            yield Task(row["task_id"], group, "python", prefix, truth, suffix, "solution.py", tests, line=group == "inner")


def _library(n: int) -> list[Task]:
    by_language: defaultdict[str, list[Task]] = defaultdict(list)
    for c in spread(library_cases(read_corpus(16), n), n):
        language_id, path = LANGUAGE_IDS.get(c.group, c.group), c.name.split(":")[0]
        by_language[c.group].append(Task(c.name, "library", language_id, c.prefix, c.rest, c.suffix, path, line=True))
    rounds = zip_longest(*by_language.values())  # languages take turns: a run cut short is even
    return [task for one_round in rounds for task in one_round if task is not None]


_SETS: dict[str, Callable[[int], list[Task]]] = {
    **{group: (lambda n, group=group: spread(list(_humaneval(group)), n)) for group in FILES},  # type: ignore[misc]
    "library": _library,
}
SETS = tuple(_SETS)
