"""Cases cut at random from checkouts; the same ones for the same checkouts and seed.

Files: of LANGUAGES, in UTF-8, up to 200,000 bytes, 20 lines or more, no line longer than 300 characters, no
second copy; not vendored, not generated (by folder, name or a remark at the top). Languages take turns, then
checkouts, then files: a file gets a second case only after all others of its checkout had one, so that
neighbours in the list share no text.
Lines: 4 to 120 characters with their indentation, not blank. Half of the indented lines keep their
indentation, with the cursor after it; all others are blanked, with the cursor at column 0. A line end is cut
with at least one visible character before the cursor and three after it, half of the time inside a word.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice, zip_longest
from pathlib import Path
from typing import TypeVar

from bench.places.case import LANGUAGES, Case, Hole, family
from bench.places.line_kind import line_kind
from completer.syntax.endings import language_of_file

MAX_BYTES, MIN_FILE_LINES, MAX_FILE_LINE = 200_000, 20, 300
MIN_LINE, MAX_LINE = 4, 120
MIN_BEFORE, MIN_AFTER = 1, 3
MAX_PER_FILE = 10
VENDORED = {
    "vendor",
    "node_modules",
    "third_party",
    "thirdparty",
    "3rdparty",
    "external",
    "dist",
    "build",
    "out",
    "generated",
    "gen",
}
GENERATED_NAME = re.compile(r"(?:\.min\.|\.d\.ts$|_pb2|\.pb\.|\.g\.cs$|\.designer\.cs$|[._-]generated\b|^zz_)", re.IGNORECASE)
GENERATED_TEXT = re.compile(r"@generated|do not edit|auto-?generated|generated (?:by|from)\b", re.IGNORECASE)
TOP = 1_000
"""Characters in which a file tells that it was generated."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Source:
    """A file. checkout: the folder that it was found below."""

    checkout: str
    path: str
    language: str
    text: str


def pick(folders: Sequence[Path], n: int, hole: Hole, seed: int) -> list[Case]:
    """Return up to `n` cases by the rules above; fewer where the files do not have them."""
    by_family: defaultdict[str, list[Source]] = defaultdict(list)
    for source in read_sources(folders):
        by_family[family(source.language)].append(source)
    streams = [_cases(by_family[name], hole, seed) for name in LANGUAGES if name in by_family]
    return list(islice(turns(streams), n))


def read_sources(folders: Iterable[Path]) -> Iterator[Source]:
    """Yield the files that are fit, each text once. The name of a folder is the name of the checkout."""
    seen: set[str] = set()
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            source = _read(path, folder)
            if source is not None and source.text not in seen:
                seen.add(source.text)
                yield source


def is_written_by_people(path: str, text: str) -> bool:
    """Whether neither path nor text look vendored, generated or minified."""
    *folders, name = path.lower().split("/")
    if VENDORED & set(folders) or GENERATED_NAME.search(name) or GENERATED_TEXT.search(text[:TOP]):
        return False
    lines = text.split("\n")
    return len(lines) >= MIN_FILE_LINES and max(map(len, lines)) <= MAX_FILE_LINE


def rows_to_cut(lines: Sequence[str]) -> list[int]:
    """Return the indices of the lines that may be cut."""
    return [row for row, line in enumerate(lines) if line.strip() and MIN_LINE <= len(line.rstrip()) <= MAX_LINE]


def cut(source: Source, row: int, hole: Hole, rng: random.Random) -> Case | None:
    """Return the case at a line of a source; None where a line end cannot be cut out of it. Mutates: rng."""
    lines = source.text.split("\n")
    line = lines[row]
    column, place = _whole(line, rng) if hole == "line" else _inner(line, rng)
    if column < 0:
        return None
    above, below = "".join(f"{one}\n" for one in lines[:row]), "".join(f"\n{one}" for one in lines[row + 1 :])
    return Case(
        name=f"{source.checkout}/{source.path}:{row + 1}:{column}",
        source=source.checkout,
        path=source.path,
        language=source.language,
        hole=hole,
        place=place,
        kind=line_kind(above, line, below, source.language),
        prefix=above + line[:column],
        want=line[column:],
        suffix=below,
    )


def _whole(line: str, rng: random.Random) -> tuple[int, str]:
    indent = len(line) - len(line.lstrip())
    return (indent, "indent") if indent and rng.random() < 0.5 else (0, "start")


def _inner(line: str, rng: random.Random) -> tuple[int, str]:
    """Return a column inside the line and whether it cuts a word; -1 where the line is too short."""
    first = len(line) - len(line.lstrip()) + MIN_BEFORE
    last = len(line.rstrip()) - MIN_AFTER
    columns: dict[str, list[int]] = {"word": [], "boundary": []}
    for at in range(first, last + 1):
        columns["word" if re.fullmatch(r"\w\w", line[at - 1 : at + 1]) else "boundary"].append(at)
    for place in rng.sample(["word", "boundary"], 2):
        if columns[place]:
            return rng.choice(columns[place]), place
    return -1, ""


def _cases(sources: Sequence[Source], hole: Hole, seed: int) -> Iterator[Case]:
    """Yield cases of one language, a round over all its files at a time."""
    by_checkout: defaultdict[str, list[Source]] = defaultdict(list)
    for source in sorted(sources, key=lambda s: _digest(seed, s)):
        by_checkout[source.checkout].append(source)
    in_turns = list(turns([iter(by_checkout[name]) for name in sorted(by_checkout)]))
    of_files = [islice(_of_file(source, hole, seed), MAX_PER_FILE) for source in in_turns]
    return turns(of_files)


def _of_file(source: Source, hole: Hole, seed: int) -> Iterator[Case]:
    rng = random.Random(_digest(seed, source))
    rows = rows_to_cut(source.text.split("\n"))
    rng.shuffle(rows)
    for row in rows:
        if (case := cut(source, row, hole, rng)) is not None:
            yield case


def turns(streams: Iterable[Iterator[T]]) -> Iterator[T]:
    """Yield from the streams in turns; those that end drop out."""
    return (one for one in chain.from_iterable(zip_longest(*streams)) if one is not None)


def _read(path: Path, folder: Path) -> Source | None:
    language_id = language_of_file(path.name)
    if family(language_id) not in LANGUAGES or not path.is_file() or path.stat().st_size > MAX_BYTES:
        return None
    try:
        text = path.read_text(encoding="utf-8").replace("\r\n", "\n")
    except (OSError, UnicodeDecodeError):
        return None
    name = path.relative_to(folder).as_posix()
    if "\r" in text or not is_written_by_people(name, text):
        return None
    return Source(folder.resolve().name, name, language_id, text)


def _digest(seed: int, source: Source) -> str:
    return hashlib.sha256(f"{seed} {source.checkout}/{source.path}".encode()).hexdigest()
