"""`python -m bench endurance`: several editors at one worker for minutes, with everything that happens in a long day.

Each client is a thread with a language server of its own. It types words that only it uses, moves between documents of
several languages, cancels requests and closes files; a worker is killed every minute. The tiny engine repeats what the
document holds, so a suggestion with a word of another client would show that texts were mixed.
"""

from __future__ import annotations

import json
import random
import re
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import numpy as np
import psutil
import typer

from bench import options as o
from bench.client import CLIENT_KEY, Json
from bench.pipe import Pipe
from bench.stand import Stand, stand

LANGUAGES = ("python", "typescript", "rust", "go", "java", "ruby", "shellscript", "css")
N_DOCUMENTS = 4
LINE = "def OWN_f(OWN): return OWN\n"
"""What is typed again and again, and so suggested."""
SAMPLE_S = 5.0
PAUSE_S = 0.02
RECOVERY_S = 5.0
ANSWER_S = 5.0
SLOPE_KB_PER_MIN = 1024.0
"""That the memory of a server may grow after the first third of the run: above noise, and 1.4 GB a day."""

SLOPE_FROM_S = 150.0
"""A shorter run ends while caches still fill."""


@dataclass(slots=True)
class Samples:
    """Of one process that stays: seconds, megabytes, open file descriptors."""

    at_s: list[float] = field(default_factory=list)
    mb: list[float] = field(default_factory=list)
    n_fds: list[int] = field(default_factory=list)

    def take(self, process: psutil.Process, at_s: float) -> None:
        self.at_s.append(at_s)
        self.mb.append(process.memory_info().rss / 2**20)
        self.n_fds.append(process.num_fds() if hasattr(process, "num_fds") else 0)

    def figures(self) -> Json:
        """Return the growth after the first third, in which caches fill."""
        n = len(self.at_s) // 3
        slope = float(np.polyfit(self.at_s[n:], self.mb[n:], 1)[0]) * 60 * 1024 if len(self.at_s) - n > 2 else 0.0
        middle = len(self.n_fds) // 2
        grown = min(self.n_fds[middle:]) - max(self.n_fds[n:middle], default=0) if middle > n else 0
        return {
            "first_mb": self.mb[0],
            "last_mb": self.mb[-1],
            "kb_per_min": round(slope, 1),
            "fds": self.n_fds[-1],
            "fds_grown": grown,
            "mb": [round(one) for one in self.mb],
        }


class Typist(threading.Thread):
    """One editor. errors: what may not happen.  n_keys, n_shown, n_cancelled: what was done."""

    def __init__(self, number: int, pipe: Pipe, until: float) -> None:
        super().__init__(daemon=True)
        self.errors: list[str] = []
        self.n_keys = self.n_shown = self.n_cancelled = 0
        self.shown_s: list[float] = []
        self._own = f"own{number}word"
        self._number = number
        self._pipe = pipe
        self._random = random.Random(number)
        self._until = until
        self._texts: dict[str, str] = {}
        self._versions: dict[str, int] = {}

    def run(self) -> None:
        try:
            while time.monotonic() < self._until:
                self._turn()
        except Exception as error:
            self.errors.append(f"client {self._number}: {type(error).__name__}: {error}")

    def _turn(self) -> None:
        """Work in one document for a while, then leave it; some are closed and opened again."""
        uri = f"file:///client{self._number}/{self._random.randrange(N_DOCUMENTS)}.txt"
        if uri not in self._texts:
            self._open(uri)
        for _ in range(self._random.randrange(5, 40)):
            if time.monotonic() > self._until:
                return
            self._key(uri)
            time.sleep(PAUSE_S)
        if self._random.random() < 0.3 or len(self._texts[uri]) > 20_000:
            self._pipe.notify("textDocument/didClose", {"textDocument": {"uri": uri}})
            del self._texts[uri]

    def _open(self, uri: str) -> None:
        self._texts[uri] = LINE.replace("OWN", self._own) * 20
        self._versions[uri] = 1
        language = self._random.choice(LANGUAGES)
        item = {"uri": uri, "languageId": language, "version": 1, "text": self._texts[uri]}
        self._pipe.notify("textDocument/didOpen", {"textDocument": item})

    def _key(self, uri: str) -> None:
        """Type a character at the end, ask, and perhaps cancel."""
        text = self._texts[uri]
        last = text[text.rfind("\n") + 1 :]
        wanted = LINE.replace("OWN", self._own)
        follows = wanted[len(last) : len(last) + 1] if wanted.startswith(last) else "\n"
        typed = follows if follows and self._random.random() < 0.95 else self._random.choice((*self._own, " ", "(", "\n"))
        line, column = text.count("\n"), len(text) - text.rfind("\n") - 1
        place = {"line": line, "character": column}
        self._versions[uri] += 1
        document = {"uri": uri, "version": self._versions[uri]}
        change = {"range": {"start": place, "end": place}, "text": typed}
        self._pipe.notify("textDocument/didChange", {"textDocument": document, "contentChanges": [change]})
        self._texts[uri] = text + typed
        cursor = {"line": line + 1, "character": 0} if typed == "\n" else {"line": line, "character": column + 1}
        params = {"textDocument": {"uri": uri}, "position": cursor, "context": {"triggerKind": 2}}
        id_ = self._pipe.ask("textDocument/inlineCompletion", params)
        self.n_keys += 1
        if self._random.random() < 0.1:
            self._pipe.notify("$/cancelRequest", {"id": id_})
            self.n_cancelled += 1
        self._judge(self._pipe.answer(id_, ANSWER_S), cursor)

    def _judge(self, answer: Json, cursor: Json) -> None:
        if "error" in answer:
            if answer["error"]["code"] != -32800:  # the client cancelled it
                self.errors.append(f"client {self._number}: {answer['error']}")
            return
        for item in (answer["result"] or {}).get("items", []):
            self.n_shown += 1
            self.shown_s.append(time.monotonic())
            text = str(item["insertText"])
            if set(re.findall(r"(\d+)word", text)) - {str(self._number)}:
                self.errors.append(f"client {self._number}: a word of another client: {text!r}")
            if item["range"]["end"]["line"] < cursor["line"]:
                self.errors.append(f"client {self._number}: {item['range']} for a cursor at {cursor}")


def endurance(
    minutes: Annotated[float, typer.Option(help="How long.")] = 10.0,
    clients: Annotated[int, typer.Option(help="Editors at once, each with a language server.")] = 4,
    kill_every: Annotated[float, typer.Option(help="Seconds between two kills of the worker.")] = 60.0,
    tiny: Annotated[bool, typer.Option("--tiny/--real", help="The tests' tiny engine, or the user's model.")] = True,
    recovery: Annotated[float, typer.Option(help="Seconds within which completions must come after a kill.")] = RECOVERY_S,
    out: o.Out = Path("out/bench/endurance"),
) -> None:
    """Type in several editors while the worker is killed: no error, no growth, nothing left over."""
    with stand(tiny="echo" if tiny else "") as place:
        result = endurance_at(place, 60 * minutes, clients, kill_every, recovery)
        result["left"] = place.end()
    failures = result["failures"] + [f"a process was left: {line}" for line in result["left"]]
    result["failures"] = failures
    out.mkdir(parents=True, exist_ok=True)
    (out / "endurance.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    o.finish(result)
    if failures:
        raise typer.Exit(1)


def endurance_at(place: Stand, seconds: float, n_clients: int, kill_every: float, recovery_s: float) -> Json:
    pipes = [Pipe(place.start()) for _ in range(n_clients)]
    try:
        for pipe in pipes:
            pipe.shake_hands({"userSettings": {"confidence": 0, "budget_ms": 1000}, "clientKey": CLIENT_KEY})
        began = time.monotonic()
        typists = [Typist(n, pipe, began + seconds) for n, pipe in enumerate(pipes)]
        for typist in typists:
            typist.start()
        samples, kills = _watch(place, pipes, began, seconds, kill_every)
        for typist in typists:
            typist.join(2 * ANSWER_S)
        failures = [error for typist in typists for error in typist.errors]
        failures += [f"client {n} hangs" for n, typist in enumerate(typists) if typist.is_alive()]
        recoveries = _recoveries(typists, kills)
        failures += [f"completions came {s:.1f} s after a kill" for s in recoveries if s > recovery_s]
        figures = [one.figures() for one in samples]
        if seconds >= SLOPE_FROM_S:
            failures += [f"memory grows: {one}" for one in figures if one["kb_per_min"] > SLOPE_KB_PER_MIN]
        failures += [f"file descriptors grow: {one}" for one in figures if one["fds_grown"] > 0]
        return {
            "failures": failures,
            "seconds": seconds,
            "keys": sum(typist.n_keys for typist in typists),
            "shown": sum(typist.n_shown for typist in typists),
            "cancelled": sum(typist.n_cancelled for typist in typists),
            "kills": len(kills),
            "recoveries_s": [round(s, 2) for s in recoveries],
            "servers": figures,
        }
    finally:
        codes = [pipe.end() for pipe in pipes]
        assert all(code == 0 for code in codes), codes


def _watch(place: Stand, pipes: list[Pipe], began: float, seconds: float, kill_every: float) -> tuple[list[Samples], list[float]]:
    """Measure every SAMPLE_S seconds and kill the worker now and then; return what was seen, and when it was killed."""
    samples, kills = [Samples() for _ in pipes], list[float]()
    servers = [psutil.Process(pipe.process.pid) for pipe in pipes]
    next_kill = began + min(kill_every, seconds / 2)
    while (now := time.monotonic()) < began + seconds:
        for one, server in zip(samples, servers, strict=True):
            one.take(server, now - began)
        if now >= next_kill and now < began + seconds - 2 * RECOVERY_S:
            for worker in place.workers():
                worker.kill()
            kills.append(time.monotonic())
            next_kill = now + kill_every
        time.sleep(min(SAMPLE_S, seconds / 20))
    return samples, kills


def _recoveries(typists: list[Typist], kills: list[float]) -> list[float]:
    """Return for each kill how long it took until every client was shown something again."""
    found = []
    for kill in kills:
        # What was prepared before may still be shown at once: only what comes after a second counts as a new worker's.
        waits = [next((at - kill for at in typist.shown_s if at > kill + 1), float("inf")) for typist in typists]
        found.append(max(waits))
    return found
