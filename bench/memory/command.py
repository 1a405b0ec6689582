"""How much the workspace's memory adds to the model: `python -m bench memory`.

Each case is asked for explicitly in a server whose workspace folder is the case's tree, in the arms `off` and `on`, after
the server has read the workspace. Right: the rest of the line is what it was. Answers are written one by one, and what is
in the file already is not asked again.
"""

from __future__ import annotations

import asyncio
import io
import json
import shlex
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Annotated

import typer

from bench import inside
from bench.answer import read_answer
from bench.client import Json, LspClient
from bench.document import position
from bench.memory.cases import Case, added, at_random, name_of
from bench.options import finish, read_settings
from bench.places.visit import read_rows
from bench.provenance import provenance
from bench.quality import wilson
from bench.warmup import warm_up

ARMS = ("off", "on")
DEFAULT_SERVER = f"{shlex.quote(sys.executable)} -m completer lsp --in-process"
START_S, ANSWER_S, READ_S = 900.0, 60.0, 30.0


class Asker:
    """One server, asked in one workspace after the other."""

    def __init__(self, client: LspClient) -> None:
        self._client = client
        self._folder: Path | None = None
        self._n = 0

    async def ask(self, case: Case, folder: Path) -> Json:
        """Return what was answered at a case, and in how many milliseconds. Raises: ServerDied, TimeoutError."""
        if folder != self._folder:
            gone = [{"uri": self._folder.as_uri(), "name": "old"}] if self._folder else []
            event = {"added": [{"uri": folder.as_uri(), "name": "new"}], "removed": gone}
            self._client.notify("workspace/didChangeWorkspaceFolders", {"event": event})
            self._folder = folder
        uri = (folder / case.path).as_uri()
        here = position(case.text, len(case.prefix), "utf-16")
        item = {"uri": uri, "languageId": case.language, "version": 1, "text": case.text}
        self._client.notify("textDocument/didOpen", {"textDocument": item})
        await self._until_read()
        params = {"textDocument": {"uri": uri}, "position": here, "context": {"triggerKind": 1}}
        started = perf_counter()
        reply = await self._client.call("textDocument/inlineCompletion", params, ANSWER_S)
        ms = (perf_counter() - started) * 1e3
        answer = read_answer(reply.result, case.text, len(case.prefix), "utf-16")
        self._client.notify("textDocument/didClose", {"textDocument": {"uri": uri}})
        return {"text": "" if answer.problem else answer.ghost, "ms": round(ms, 1)}

    async def _until_read(self) -> None:
        """Wait until the server has read the workspace. Raises: TimeoutError."""
        await asyncio.sleep(0.1)  # the cursor rests before anything is read
        end = perf_counter() + READ_S
        while perf_counter() < end:
            status = (await self._client.call("completer/status", None, ANSWER_S)).result
            if not status.get("indexing"):
                return
            await asyncio.sleep(0.1)
        raise TimeoutError("the workspace was not read in time")


async def visit(command: str, options: Json, arm: str, cases: Sequence[Case], out: Path, repositories: dict[str, Path]) -> None:
    """Ask at the cases that `out` lacks. Raises: OSError, ServerDied, TimeoutError."""
    done = {(row["arm"], row["case"]) for row in read_rows(out)}
    todo = [case for case in cases if (arm, case.name) not in done]
    if not todo:
        return
    client = await LspClient.spawn(command)
    hello = {
        "processId": None,
        "rootUri": None,
        "workspaceFolders": [],
        "capabilities": {
            "general": {"positionEncodings": ["utf-16"]},
            "textDocument": {"inlineCompletion": {}},
            "workspace": {"workspaceFolders": True},
        },
        "initializationOptions": {**options, "memory": arm == "on"},
    }
    await client.call("initialize", hello, START_S)
    client.notify("initialized", {})
    await warm_up(client, START_S)
    asker = Asker(client)
    tree, folder = "", Path()
    with inside.bars() as bars, tempfile.TemporaryDirectory() as temporary, out.open("a", encoding="utf-8") as file:
        for n, case in enumerate(bars.track(todo, description=arm)):
            if case.repository + case.tree != tree:
                tree, folder = case.repository + case.tree, Path(temporary) / str(n) / "workspace"
                _check_out(repositories[case.repository], case.tree, folder)
            found = await asker.ask(case, folder)
            right = found["text"].split("\n", 1)[0].rstrip() == case.want.rstrip()
            row = {"arm": arm, "case": case.name, "language": case.language, "right": right, "want": case.want, **found}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            file.flush()
    await client.close()


def _check_out(repository: Path, tree: str, folder: Path) -> None:
    """Write the files of a commit below a new folder."""
    data = subprocess.run(["git", "-C", repository, "archive", tree], check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        tar.extractall(folder, filter="data")


def memory(
    out: Annotated[Path, typer.Option(help="File of the answers (JSON lines); what it holds is not asked again.")],
    repository: Annotated[list[Path], typer.Option(help="Git directory of a public repository; again for more.")],
    kind: Annotated[str, typer.Option(help="added: lines that commits added; random: lines of the newest commit.")] = "added",
    cases_n: Annotated[int, typer.Option(help="Cases of each repository.")] = 12,
    since: Annotated[str, typer.Option(help="Earliest commit (a date); newer than the model's training.")] = "2025-06-01",
    seed: Annotated[int, typer.Option(help="Of the choice of commits, lines and columns.")] = 1,
    server: Annotated[str, typer.Option(help="Command that starts our server on stdio.")] = DEFAULT_SERVER,
    options: Annotated[str, typer.Option(help="initializationOptions of our server, as JSON.")] = "{}",
    model: inside.Model = inside.DEFAULT_MODEL,
) -> None:
    """Print how often the rest of a line is right with and without the workspace's memory."""
    settings = {"model": model, "explicit_budget_ms": 60_000, **read_settings(options)}
    inside.open_model(model)
    repositories = {name_of(path): path for path in repository}
    cases = [
        case
        for path in repositories.values()
        for case in (added(path, since, cases_n, seed) if kind == "added" else at_random(path, cases_n, seed))
    ]
    cases.sort(key=lambda case: case.repository + case.tree)
    for arm in ARMS:
        asyncio.run(visit(server, settings, arm, cases, out, repositories))
    rows = [row for row in read_rows(out) if row["case"] in {case.name for case in cases}]
    found = summarise(rows)
    finish({**provenance(), "settings": {"kind": kind, "since": since, "seed": seed, "options": settings}, **found})


def summarise(rows: Sequence[Json]) -> Json:
    """Return the right answers of each arm at the cases that both have, in all and by language."""
    by_arm = {arm: {row["case"]: row for row in rows if row["arm"] == arm} for arm in ARMS}
    common = sorted(set(by_arm["off"]) & set(by_arm["on"]))
    arms: Json = {}
    for arm in ARMS:
        mine = [by_arm[arm][case] for case in common]
        n_right = sum(row["right"] for row in mine)
        shown = [row for row in mine if row["text"].strip()]
        ms = sorted(row["ms"] for row in mine)
        arms[arm] = {
            "n": len(mine),
            "right": n_right,
            "interval": wilson(n_right, len(mine)),
            "shown": len(shown),
            "wrong_share": round(sum(not row["right"] for row in shown) / max(1, len(shown)), 3),
            "ms_p50": ms[len(ms) // 2] if ms else None,
            "languages": {
                language: [sum(row["right"] for row in of), len(of)]
                for language in sorted({row["language"] for row in mine})
                for of in [[row for row in mine if row["language"] == language]]
            },
        }
    pairs = [(by_arm["off"][case]["right"], by_arm["on"][case]["right"]) for case in common]
    return {"arms": arms, "only_on": sum(b and not a for a, b in pairs), "only_off": sum(a and not b for a, b in pairs)}
