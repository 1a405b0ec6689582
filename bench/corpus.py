"""Real code to measure on: files of the packages installed beside us, and the documents of the fixed traces.

The rule, so that a figure can be had again on the same installation:

1. Files with the endings of LANGUAGES below site-packages (and below any folder added by hand), of 3 to 60 kB and 60 lines
   at least, in UTF-8, without a line longer than 300 characters (generated, minified).
2. Packages take turns, in the order of the SHA-256 of their names; within a package files come in the order of the
   SHA-256 of their paths. So one big package does not crowd out the others, and no file is chosen by hand.
3. The documents of the typed traces come behind the installed files of their language. They are what there is of Go, Rust and
   TypeScript, which few Python packages carry.
"""

from __future__ import annotations

import hashlib
import sysconfig
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from bench.trace import load

LANGUAGES = {
    **{".py": "python", ".ts": "typescript", ".tsx": "typescript", ".go": "go", ".rs": "rust", ".java": "java"},
    **{".h": "c++", ".hpp": "c++", ".cpp": "c++", ".cc": "c++"},
}
MIN_BYTES, MAX_BYTES, MIN_LINES, MAX_LINE_CHARS = 3_000, 60_000, 60, 300
TRACES = Path(__file__).parent / "traces"


@dataclass(frozen=True, slots=True)
class Source:
    """A file of code. name: package and path in it."""

    name: str
    language: str
    text: str


def read_corpus(per_language: int, folders: Sequence[Path] = (), *, installed: bool = True) -> dict[str, list[Source]]:
    """Return up to `per_language` sources of each language, chosen by the rule above.

    folders: searched beside site-packages; each folder directly below one counts as a package.
    installed: False: only the folders are searched.
    """
    roots = [*([Path(sysconfig.get_paths()["purelib"])] if installed else []), *folders]
    corpus = {}
    for language in sorted(set(LANGUAGES.values())):
        endings = {ending for ending, name in LANGUAGES.items() if name == language}
        paths = {path.relative_to(root).as_posix(): path for root in roots for path in _files(root, endings)}
        sources = (source for name in in_turns(paths) if (source := _read(name, paths[name], language)))
        found = [source for source, _ in zip(sources, range(per_language), strict=False)]
        if installed:
            found += [source for source in _from_traces() if source.language == language][: per_language - len(found)]
        if found:
            corpus[language] = found
    return corpus


def in_turns(names: Iterable[str]) -> list[str]:
    """Return `names` (package/path) so that packages take turns; both orders are those of SHA-256."""
    packages: defaultdict[str, list[str]] = defaultdict(list)
    for name in sorted(names, key=_digest):
        packages[name.split("/", 1)[0]].append(name)
    rounds = zip_longest(*(packages[package] for package in sorted(packages, key=_digest)))
    return [name for one_round in rounds for name in one_round if name is not None]


def is_plain_code(text: str) -> bool:
    """Whether `text` looks written by people: enough lines, none of them very long."""
    lines = text.splitlines()
    return len(lines) >= MIN_LINES and max(map(len, lines)) <= MAX_LINE_CHARS


def summary(corpus: dict[str, list[Source]]) -> dict[str, dict[str, object]]:
    """Return, for each language, the number of files and one hash over their names and texts."""
    return {
        language: {
            "files": len(sources),
            "sha256": hashlib.sha256("".join(s.name + s.text for s in sources).encode()).hexdigest()[:16],
        }
        for language, sources in corpus.items()
    }


def _files(root: Path, endings: set[str]) -> Iterator[Path]:
    for path in root.rglob("*"):
        if path.suffix in endings and path.is_file() and MIN_BYTES <= path.stat().st_size <= MAX_BYTES:
            yield path


def _read(name: str, path: Path, language: str) -> Source | None:
    try:
        text = path.read_text(encoding="utf-8").replace("\r\n", "\n")
    except (OSError, UnicodeDecodeError):
        return None
    return Source(name, language, text) if is_plain_code(text) else None


def _from_traces() -> Iterator[Source]:
    for path in sorted(TRACES.glob("typed-*.jsonl")):
        trace = load(path)
        opened = trace.events[0]
        yield Source(f"trace/{opened.file}", opened.language, opened.text)


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()
