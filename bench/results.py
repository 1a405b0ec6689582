"""What a run leaves behind: result.json with all figures, records.jsonl with one line per event."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.provenance import provenance
from bench.replay import Run
from bench.trace import Trace

Result = dict[str, Any]
NOT_WRITTEN = ("following", "ghost", "visible", "text")
"""Text of the documents; records carry its lengths only."""


def build(runs: Sequence[Run], traces: Sequence[Trace], *, settings: dict[str, Any], closed: bool, model: Path | None) -> Result:
    """Return the result of `runs` as plain data: provenance, settings, traces and the figures of each tool."""
    redacted = any(trace.redacted for trace in traces)
    return {
        "schema": 1,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        **provenance(model),
        "mode": "closed" if closed else "open",
        "settings": settings,
        "traces": [{"name": t.name, "events": len(t.events), "lines": len(t.segments()), "note": t.note} for t in traces],
        "tools": {run.tool.name: run.summary(closed=closed, redacted=redacted) for run in runs},
    }


def write(result: Result, runs: Sequence[Run], out: Path) -> None:
    """Write result.json and records.jsonl into the folder `out`, which is made. Raises: OSError."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "result.json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    with (out / "records.jsonl").open("w", encoding="utf-8") as file:
        for run in runs:
            for record in run.records:
                plain = asdict(record)
                lengths = {f"n_{name}": len(plain.pop(name)) for name in NOT_WRITTEN}
                extra = {"status": record.status, "latency_ms": record.latency_ms}
                file.write(json.dumps({**plain, **lengths, **extra}, ensure_ascii=False) + "\n")


def read_records(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a records.jsonl; [] when the file is missing."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]
