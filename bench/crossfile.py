"""Cursors at names that only another file of the workspace explains, completed through the whole pipeline.

`python -m bench context`. Cases are cut from installed packages, each copied into a workspace of its own. The cursor stands
behind the dot of `module.name` or `parameter.name`, where module or class of the parameter come from another file of the
package, and the name occurs nowhere else in the document. "exact": the whole rest of the line; "name": the name.
"""

from __future__ import annotations

import ast
import asyncio
import random
import re
import shutil
import sysconfig
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from bench import inside
from bench.client import Json
from bench.options import finish
from bench.provenance import provenance
from completer.config import Settings, update
from completer.types import Snapshot

PACKAGES = (
    *("cachetools", "httpx", "pygls", "anyio", "attr", "packaging", "hypothesis", "rich", "typer", "click", "networkx"),
    *("jinja2", "filelock", "pip", "huggingface_hub", "httpcore", "pathspec", "sympy", "matplotlib", "transformers", "onnx"),
)
MAX_PER_PACKAGE = 6
MAX_FILE_CP = 60_000
ARMS = ("off", "auto")
"""Values of the setting `context`; the first is the base."""


@dataclass(frozen=True, slots=True)
class CrossCase:
    """A cursor in a file of a package. name: what stands behind the cursor; rest: of the line."""

    package: str
    file: Path
    cursor_cp: int
    name: str
    rest: str


def cases(n: int) -> list[CrossCase]:
    """Return `n` cases, as evenly from the packages as they allow; the same ones for the same packages."""
    folder = Path(sysconfig.get_path("purelib"))
    by_package = []
    for package in PACKAGES:
        found = list(_in_package(folder / package, package)) if (folder / package).is_dir() else []
        random.Random(package).shuffle(found)
        by_package.append(found[:MAX_PER_PACKAGE])
    rounds = [found[i] for i in range(MAX_PER_PACKAGE) for found in by_package if i < len(found)]
    return rounds[:n]


def _in_package(folder: Path, package: str) -> Iterator[CrossCase]:
    files = sorted(file for file in folder.rglob("*.py") if "test" not in file.name and file.stat().st_size < MAX_FILE_CP)
    for file in files[:150]:
        text = file.read_text(encoding="utf-8", errors="replace")
        try:
            tree = ast.parse(text)
        except SyntaxError:
            continue
        yield from _in_file(tree, text, file, package)


def _in_file(tree: ast.Module, text: str, file: Path, package: str) -> Iterator[CrossCase]:
    modules, classes = _imported(tree, package)
    typed = {
        argument.arg
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for argument in (*function.args.args, *function.args.kwonlyargs)
        if argument.annotation is not None and classes & set(re.findall(r"\w+", ast.unparse(argument.annotation)))
    }
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute) or not isinstance(node.value, ast.Name) or not text.isascii():
            continue
        if node.value.id not in modules | typed or len(node.attr) < 5 or len(re.findall(rf"\b{node.attr}\b", text)) != 1:
            continue
        assert node.end_col_offset is not None and node.end_lineno is not None
        end = starts[node.end_lineno - 1] + node.end_col_offset
        cursor = end - len(node.attr)
        rest = text[cursor:].split("\n", 1)[0]
        if text[cursor:end] == node.attr and text[cursor - 1] == "." and len(rest) < 60:
            yield CrossCase(package, file, cursor, node.attr, rest)


def _imported(tree: ast.Module, package: str) -> tuple[set[str], set[str]]:
    """Return the names under which the file knows modules and classes of its own package."""
    modules, classes = set(), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.level or (node.module or "").split(".")[0] == package):
            for alias in node.names:
                name = alias.asname or alias.name
                (classes if name[:1].isupper() else modules).add(name)
    return modules, classes


@dataclass(slots=True)
class Tally:
    """Counts of one arm: exact lines, right names, and lines that the arm without context has not (won) or has (lost)."""

    n: int = 0
    exact: int = 0
    name: int = 0
    won: int = 0
    lost: int = 0
    n_context: int = 0
    gather_ms: float = 0.0


async def run_cases(make: Any, chosen: Sequence[CrossCase], budget_ms: int) -> dict[str, Tally]:
    """Complete every case with and without a block. make: returns a fresh pipeline for settings."""
    tallies = {arm: Tally() for arm in ARMS}
    with tempfile.TemporaryDirectory() as temporary, inside.bars() as bars:
        for case in bars.track(chosen, description="completing"):
            base: tuple[bool, bool] = (False, False)
            for arm in ARMS:
                settings = update(Settings(budget_ms=budget_ms, confidence=0.0, multiline="never"), {"context": arm})
                text, n_context, gather_ms = await complete_case(make(settings), case, Path(temporary))
                rest = text.split("\n", 1)[0].rstrip()
                exact = rest == case.rest.rstrip()
                name = re.match(r"\w*", text)
                right = name is not None and name[0] == case.name
                base = (exact, right) if arm == ARMS[0] else base
                tally = tallies[arm]
                tally.n += 1
                tally.exact += exact
                tally.name += right
                tally.won += right and not base[1]
                tally.lost += base[1] and not right
                tally.n_context += n_context
                tally.gather_ms += gather_ms
                inside.console.print(
                    f"  {arm:4} {'=' if exact else '~' if right else ' '} {case.rest!r} <- {rest!r}", markup=False
                )
    return tallies


async def complete_case(pipeline: Any, case: CrossCase, temporary: Path) -> tuple[str, int, float]:
    """Return what is suggested behind the cursor when the idle work is done, the block's tokens, the time of the idle work."""
    source = case.file.parents[len(case.file.relative_to(Path(sysconfig.get_path("purelib"))).parts) - 2]
    workspace = temporary / case.package
    if not workspace.exists():
        shutil.copytree(source, workspace / case.package, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    file = workspace / case.package / case.file.relative_to(source)
    whole = file.read_text(encoding="utf-8")
    text = whole[: case.cursor_cp] + whole[case.cursor_cp + len(case.rest) :]
    snapshot = Snapshot(file.as_uri(), 1, "python", text, case.cursor_cp)
    pipeline.set_folders([workspace])
    pipeline.did_open(snapshot)
    started = time.perf_counter()
    if not await pipeline.settled(30):
        raise RuntimeError("idle work did not end within 30 s")
    gather_ms = (time.perf_counter() - started) * 1e3
    suggestion = await pipeline.complete(snapshot, explicit=True)
    n_context = pipeline.metrics()[-1]["n_context"]
    await pipeline.close()
    return (suggestion.text if suggestion else ""), n_context, gather_ms


def context(
    model: inside.Model = inside.DEFAULT_MODEL,
    n: Annotated[int, typer.Option("--cases", help="How many cases.")] = 40,
    threads: inside.Threads = 0,
) -> None:
    """Print how often a name that only another file explains is completed, with the context block and without it."""
    from completer.assemble import make_pipeline
    from completer.engines.factory import load
    from completer.generate.scheduler import LocalGenerator

    files = inside.open_model(model)
    loaded = load(files, Settings(threads=inside.n_threads(threads)), lambda *_: None)
    generator = LocalGenerator(loaded.engine, loaded.tokenizer)
    chosen = cases(n)
    try:
        tallies = asyncio.run(run_cases(lambda s: make_pipeline(loaded, generator, s), chosen, 20_000))
    finally:
        generator.close()
    figures: dict[str, Json] = {name: _figures(tally) for name, tally in tallies.items()}
    rows = [[name, *(str(value) for value in f.values())] for name, f in figures.items()]
    inside.console.print(inside.table("names that another file explains", ["context", *figures[ARMS[0]]], rows))
    finish({**provenance(), "settings": {"model": model, "cases": len(chosen)}, "arms": figures})


def _figures(tally: Tally) -> Json:
    n = max(1, tally.n)
    return {
        "n": tally.n,
        "exact": tally.exact,
        "name": tally.name,
        "won": tally.won,
        "lost": tally.lost,
        "n_context": round(tally.n_context / n),
        "idle_ms": round(tally.gather_ms / n),
    }
