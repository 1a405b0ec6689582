"""What must never be shown, counted over requests at random cursors of real files.

`python -m bench invariants`. The whole pipeline, uncut and without a deadline (the harshest reading: all that the model says goes
through trimming), with a small window so that many places can be asked.

Files: those below the folders (site-packages and /usr/share unless others are named) whose ending stands for a language, of
1 to 40 kB, in UTF-8, without lines of more than 300 characters; languages take turns, and within one packages, both in the
order of `bench.corpus`. Cursors: random offsets, in the order of the file; at every other one the rest of the line is taken
out, as when a line is being typed. Every second request is an explicit one.

special     a special token of any model family
duplicate   the text behind the cursor again: the rest of the line, or the line below
balance     brackets or a literal that a balanced document leaves open or closes twice, as the lexer sees the whole document;
            a piece of a line may leave open what it opened itself: it was cut off and the user goes on inside
tokenize    the same for Python, as its own tokenizer sees it
"""

from __future__ import annotations

import asyncio
import io
import itertools
import random
import re
import sysconfig
import time
import tokenize
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from bench import inside
from bench.corpus import MAX_LINE_CHARS, in_turns
from bench.options import finish
from bench.provenance import provenance
from completer.config import Settings
from completer.syntax.endings import language_of_file
from completer.syntax.languages import language
from completer.syntax.lexer import CLOSER, balance, tokens
from completer.types import Snapshot, Suggestion

MIN_BYTES, MAX_BYTES = 1_000, 40_000
PER_FILE = 10
NO_HURRY_MS = 60_000
MS_PER_TOKEN = 4.0
"""Claimed price of a prompt token: it makes the window of a first answer as small as it gets."""
SPECIAL = re.compile(
    r"<\|\w+\|>|<｜[^｜\n]+｜>|<(?:fim_\w+|file_sep|repo_name|endoftext|PRE|SUF|MID|EOT)>|\[(?:PREFIX|SUFFIX|MIDDLE)\]"
)
SOLID = 10
"""Letters and digits from which on a line that comes twice is a duplicate, and not just another `return x`."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place to ask at. balanced: the lexer finds nothing open in the document."""

    name: str
    snapshot: Snapshot
    explicit: bool
    balanced: bool


def violations(snapshot: Snapshot, shown: Suggestion, balanced: bool) -> list[str]:
    """Return the names of the invariants (see above) that a suggestion breaks."""
    text = snapshot.text
    after = text[: shown.start_cp] + shown.text + text[shown.end_cp :]
    found = []
    if SPECIAL.search(shown.text):
        found.append("special")
    if _duplicates(snapshot, shown):
        found.append("duplicate")
    ends = [n_cut_strings(one, snapshot.language_id) for one in (text, after)]
    opens = "" if "\n" in shown.text else balance(shown.text, language(snapshot.language_id)).stack
    # A piece may leave its own brackets open; closed right after it, they must fit the document.
    closed = after[: shown.start_cp + len(shown.text)] + "".join(CLOSER[one] for one in reversed(opens)) + text[shown.end_cp :]
    if balanced and (not is_balanced(closed, snapshot.language_id) or ends[1] > ends[0]):
        found.append("balance")
    if balanced and not opens and snapshot.language_id == "python" and _python_brackets(text) and not _python_brackets(after):
        found.append("tokenize")
    return found


def is_balanced(text: str, language_id: str) -> bool:
    """Whether the lexer, from start to end, finds every literal and every bracket closed."""
    end = balance(text, language(language_id))
    return not end.stack and not end.excess and end.inside in ("code", "line_comment")


def n_cut_strings(text: str, language_id: str) -> int:
    """Return how many strings a line end cuts off (an apostrophe in prose is one, too, so only more of them are wrong)."""
    found = [token for token in tokens(text, language(language_id)) if token.kind == "string"]
    return sum(balance(token.text, language(language_id)).inside != "code" for token in found)


def _duplicates(snapshot: Snapshot, shown: Suggestion) -> bool:
    """Whether the last line shown is the rest of the cursor's line once more, or the line below (as it was not before)."""
    line_end = snapshot.cursor_cp + len(snapshot.line_suffix)
    rest = snapshot.text[shown.end_cp : line_end].strip()
    if len(rest) >= 3 and shown.text.rstrip().endswith(rest):
        return True
    whole = snapshot.line_prefix + shown.text[max(0, snapshot.cursor_cp - shown.start_cp) :]
    lines = [line.rstrip() for line in whole.splitlines() if line.strip()]
    below = next((line.rstrip() for line in snapshot.text[line_end:].splitlines() if line.strip()), "")
    return not rest and bool(lines) and lines[-1] == below and sum(c.isalnum() for c in below) >= SOLID


def _python_brackets(text: str) -> bool:
    """Whether Python's tokenizer gets to the end with all brackets and strings closed."""
    opened = []
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.ERRORTOKEN and token.string in "'\"":
                return False
            if token.type != tokenize.OP:
                continue
            if token.string in "([{":
                opened.append(token.string)
            elif token.string in ")]}" and (not opened or opened.pop() + token.string not in ("()", "[]", "{}")):
                return False
    except IndentationError:
        return True  # indentation is another matter
    except (tokenize.TokenError, SyntaxError):
        return False
    return not opened


def cursors(folders: Sequence[Path], n: int) -> Iterator[Cursor]:
    """Yield `n` cursors by the rule above."""
    numbers = itertools.count()
    for name, path in _files(folders):
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            continue
        if not text or max(map(len, text.splitlines()), default=0) > MAX_LINE_CHARS:
            continue
        rng = random.Random(name)
        for at in sorted(rng.sample(range(len(text)), min(PER_FILE, len(text)))):
            i = next(numbers)
            if i >= n:
                return
            yield _cursor(name, text, at, typing=i % 2 == 0, explicit=i % 4 < 2)


def _cursor(name: str, text: str, at: int, *, typing: bool, explicit: bool) -> Cursor:
    language_id = language_of_file(name)
    snapshot = Snapshot(f"file:///bench/{name}/{at}", 1, language_id, text, at)
    if typing:
        end = at + len(snapshot.line_suffix)
        snapshot = replace(snapshot, text=text[:at] + text[end:])
    return Cursor(f"{name}:{at}", snapshot, explicit, is_balanced(snapshot.text, language_id))


def _files(folders: Sequence[Path]) -> Iterator[tuple[str, Path]]:
    found: defaultdict[str, dict[str, Path]] = defaultdict(dict)
    for root in folders:
        for path in root.rglob("*"):
            language_id = language_of_file(path.name)
            if language_id != "plaintext" and path.is_file() and MIN_BYTES <= path.stat().st_size <= MAX_BYTES:
                found[language_id].setdefault(path.relative_to(root).as_posix(), path)
    turns = [[(name, paths[name]) for name in in_turns(paths)] for _, paths in sorted(found.items())]
    for one_round in itertools.zip_longest(*turns):
        yield from (entry for entry in one_round if entry is not None)


async def count_violations(pipeline: Any, wanted: Iterator[Cursor], limit_s: float = 1e9) -> tuple[Counter[str], list[str]]:
    """Ask at each cursor; return counts (requests, shown, each violation) and a line for each violation. Closes the pipeline."""
    counts: Counter[str] = Counter()
    lines: list[str] = []
    begun = time.perf_counter()
    for cursor in wanted:
        if time.perf_counter() - begun > limit_s:
            break
        shown = await pipeline.complete(cursor.snapshot, explicit=cursor.explicit)
        pipeline.did_close(cursor.snapshot.uri)
        counts["requests"] += 1
        counts[f"language {cursor.snapshot.language_id}"] += 1
        counts["balanced"] += cursor.balanced
        if shown is None:
            continue
        counts["shown"] += 1
        for kind in violations(cursor.snapshot, shown, cursor.balanced):
            counts[kind] += 1
            before, behind = cursor.snapshot.line_prefix, cursor.snapshot.line_suffix
            lines.append(f"{kind}: {cursor.name}: {before!r} <{shown.text!r} for {shown.end_cp - shown.start_cp}> {behind!r}")
    await pipeline.close()
    return counts, lines


def make(loaded: Any, generator: Any) -> Any:
    """Return a pipeline over a loaded model that asks with a small window, and shows all that the model says."""
    from completer.complete.pipeline import Pipeline
    from completer.complete.state import Model

    costs = replace(loaded.engine.costs, prefill_ms_per_token=MS_PER_TOKEN)
    settings = Settings(budget_ms=NO_HURRY_MS, confidence=0.0, max_tokens=24, context="off")
    return Pipeline(Model(generator, loaded.tokenizer, lambda: costs, loaded.engine.max_len), settings)


def invariants(
    requests: Annotated[int, typer.Option(help="How many requests.")] = 5_000,
    model: inside.Model = inside.DEFAULT_MODEL,
    limit_s: Annotated[float, typer.Option(help="Seconds after which no further request is made.")] = 3600.0,
    threads: inside.Threads = 0,
    folder: inside.Folders = None,
) -> None:
    """Print how many suggestions break an invariant, and each one that does. Ends with status 1 when there is any."""
    from completer.engines.factory import load
    from completer.generate.scheduler import LocalGenerator

    folders = folder or [Path(sysconfig.get_paths()["purelib"]), Path("/usr/share")]
    loaded = load(inside.open_model(model), Settings(threads=inside.n_threads(threads)), lambda *_: None)
    generator = LocalGenerator(loaded.engine, loaded.tokenizer)

    async def run() -> tuple[Counter[str], list[str]]:
        with inside.bars() as bars:
            wanted = bars.track(cursors(folders, requests), total=requests, description="asking")
            return await count_violations(make(loaded, generator), iter(wanted), limit_s)

    try:
        counts, lines = asyncio.run(run())
    finally:
        generator.close()
    for line in lines:
        inside.console.print(line, markup=False, highlight=False, soft_wrap=True)
    finish({**provenance(), "counts": dict(counts)})
    if lines:
        raise typer.Exit(1)
