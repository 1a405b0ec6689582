"""A place to ask at, and the file of places, so that runs before and after a change ask at the same ones."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

Hole = Literal["line", "line-end"]
FAMILIES = {"javascriptreact": "javascript", "typescriptreact": "typescript", "c": "c/cpp", "cpp": "c/cpp"}
LANGUAGES = ("python", "javascript", "typescript", "java", "go", "rust", "c/cpp", "ruby", "php", "csharp")


def family(language_id: str) -> str:
    """Return the name under which the tables count an LSP language id: dialects count as one language."""
    return FAMILIES.get(language_id, language_id)


@dataclass(frozen=True, slots=True)
class Case:
    """A document with a hole: prefix + want + suffix is the original; the cursor is at the end of `prefix`.

    hole: a whole line is missing, or the rest of one.
    place: the cursor's place in its line: `start` (column 0) or `indent` (after the indentation) for a line,
    `boundary` (between tokens) or `word` (inside a word) for a line end.
    kind: of the line, see `bench.places.line_kind`.  source, path: the checkout and the file in it.
    """

    name: str
    source: str
    path: str
    language: str
    hole: Hole
    place: str
    kind: str
    prefix: str
    want: str
    suffix: str

    @property
    def text(self) -> str:
        """The document as it is opened."""
        return self.prefix + self.suffix

    @property
    def line_prefix(self) -> str:
        return self.prefix[self.prefix.rfind("\n") + 1 :]


def write_cases(cases: Iterable[Case], file: Path) -> None:
    """Write one case a line; makes the folder. Raises: FileExistsError, OSError."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("x", encoding="utf-8") as out:
        for case in cases:
            out.write(json.dumps(asdict(case), ensure_ascii=False) + "\n")


def read_cases(file: Path) -> list[Case]:
    """Return the cases of a file, in order. Raises: OSError, ValueError, TypeError (another kind of file)."""
    with file.open(encoding="utf-8") as lines:
        return [Case(**json.loads(line)) for line in lines]
