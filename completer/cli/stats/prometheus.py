"""The figures in the text exposition format of Prometheus, for instance for the textfile collector of its node exporter.

All are gauges: they describe the last days, so they may also fall.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from completer.cli.stats.figures import Figures
from completer.history.summary import ALL

Sample = tuple[Mapping[str, str], float]


class _Family(NamedTuple):
    """A metric without the prefix, what it means, and its samples: labels and value."""

    name: str
    help: str
    samples: list[Sample]


def exposition(figures: Figures) -> str:
    """Return the text. A metric without samples is left out."""
    lines = []
    for family in (*_history(figures), *_processes(figures)):
        if family.samples:
            lines += [f"# HELP completer_{family.name} {family.help}", f"# TYPE completer_{family.name} gauge"]
        lines += [f"completer_{family.name}{_labels(labels)} {value:.10g}" for labels, value in family.samples]
    return "\n".join(lines) + "\n"


def _history(figures: Figures) -> Iterator[_Family]:
    summary = figures.summary
    kinds = {name: latency for name, latency in summary.latency.items() if name != ALL}
    yield _Family("history_days", "Days that the other metrics of the history cover.", [({}, summary.n_days)])
    yield _Family(
        "answers",
        "Answers with a suggestion, by how they came about.",
        [({"answered_by": name}, latency.n) for name, latency in kinds.items()],
    )
    yield _Family(
        "answer_latency_seconds",
        "Time from request to answer.",
        [
            ({"answered_by": name, "percentile": percentile}, ms / 1e3)
            for name, latency in kinds.items()
            for percentile, ms in (("50", latency.p50_ms), ("95", latency.p95_ms), ("99", latency.p99_ms))
        ],
    )
    languages = summary.languages.items()
    yield _Family("suggestions", "Suggestions shown.", [({"language": name}, one.shown) for name, one in languages])
    yield _Family(
        "suggestions_accepted",
        "Suggestions of which something was accepted, by the largest unit.",
        [
            ({"language": name, "unit": unit}, n)
            for name, one in languages
            for unit, n in (("whole", one.whole), ("line", one.line), ("word", one.word))
        ],
    )
    yield _Family("characters_shown", "Characters shown.", [({"language": name}, one.shown_chars) for name, one in languages])
    yield _Family(
        "characters_accepted", "Characters accepted.", [({"language": name}, one.accepted_chars) for name, one in languages]
    )
    yield _Family("answers_remote", "Answers that came from a server.", [({}, summary.n_remote)])


def _processes(figures: Figures) -> Iterator[_Family]:
    servers = [({"pid": str(server.pid)}, server.memory_mb * 2**20) for server in figures.servers]
    yield _Family("server_memory_bytes", "Resident memory of each language server.", list(servers))
    worker = figures.worker
    yield _Family("worker_up", "Whether the worker runs.", [({}, float(worker is not None))])
    if worker is None:
        return
    yield _Family("worker_memory_bytes", "Resident memory of the worker.", [({}, worker.memory_mb * 2**20)])
    yield _Family("worker_uptime_seconds", "Time since the worker started.", [({}, worker.uptime_s)])
    yield _Family("worker_clients", "Language servers that use the worker.", [({}, worker.n_fronts)])
    models = [({"model": model.name, "engine": model.engine}, model) for model in worker.models]
    yield _Family("model_clients", "Language servers that use the model.", [(names, model.n_fronts) for names, model in models])
    yield _Family("model_slots", "KV slots of the model.", [(names, model.n_slots) for names, model in models])
    yield _Family("model_tokens", "Tokens in the KV slots of the model.", [(names, model.n_held) for names, model in models])


def _labels(labels: Mapping[str, str]) -> str:
    pairs = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return f"{{{pairs}}}" if pairs else ""


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
