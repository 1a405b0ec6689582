"""The gate: a short run beside the peer, held against recorded floors. Ratios and token counts, never times."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.compare import ratios
from bench.results import Result

FLOORS = Path(__file__).parent / "floors.json"
SLACK = 0.8
"""`record` keeps this much of what was measured, so that noise does not fail the gate."""
PATIENT = "patient"
"""Our server with a budget that no machine exceeds: what it matches there depends on what it says, not on how fast it is."""
PATIENT_BUDGET_MS = 5_000
LIMITS = {
    "fed_per_key_p50": ("model", "fed_per_key", "p50"),
    "fed_per_key_p95": ("model", "fed_per_key", "p95"),
    "client_work_p95_ms": ("client", "work_ms", "p95"),
    "flicker_per_100_keys": ("quality", "flicker_per_100_keys"),
}


@dataclass(frozen=True, slots=True)
class Check:
    """One floor or limit, and what was measured; `ok` is None when it could not be measured (which fails too)."""

    name: str
    measured: float | None
    bound: float
    at_least: bool

    @property
    def ok(self) -> bool:
        if self.measured is None:
            return False
        return self.measured >= self.bound if self.at_least else self.measured <= self.bound

    def __str__(self) -> str:
        sign = "≥" if self.at_least else "≤"
        measured = "not measured" if self.measured is None else f"{self.measured:g}"
        return f"{'ok  ' if self.ok else 'FAIL'} {self.name}: {measured} (must be {sign} {self.bound:g})"


def check(result: Result, floors: dict[str, Any], ours: str) -> list[Check]:
    """Return one Check per floor of `floors`: ratios of ours and of the patient server to each peer, and limits of our counts."""
    checks = [
        Check(f"{name} against {peer}{', patient' if tool == PATIENT else ''}", value, float(bound), at_least=True)
        for tool, floor in ((ours, "ratios"), (PATIENT, PATIENT))
        for peer, bounds in floors.get(floor, {}).items()
        for name, bound in bounds.items()
        for value in (ratios(result, tool).get(peer, {}).get(name),)
    ]
    mine = result["tools"][ours]
    for name, bound in floors.get("limits", {}).items():
        checks.append(Check(name, _dig(mine, LIMITS[name]), float(bound), at_least=False))
    return checks


def recorded(result: Result, floors: dict[str, Any], ours: str) -> dict[str, Any]:
    """Return `floors` with each bound moved to what `result` measured, less the slack; the unmeasured stay."""
    moved: dict[str, Any] = {**floors, "commit": result["commit"], "ratios": {}, PATIENT: {}, "limits": {}}
    for tool, floor in ((ours, "ratios"), (PATIENT, PATIENT)):
        for peer, bounds in floors.get(floor, {}).items():
            values = ratios(result, tool).get(peer, {})
            moved[floor][peer] = {
                name: bound if (value := values.get(name)) is None else round(value * SLACK, 2) for name, bound in bounds.items()
            }
    for name, bound in floors.get("limits", {}).items():
        value = _dig(result["tools"][ours], LIMITS[name])
        moved["limits"][name] = bound if value is None else round(value / SLACK, 2)
    return moved


def read_floors(path: Path = FLOORS) -> dict[str, Any]:
    """Return the recorded floors. Raises: OSError, ValueError."""
    floors: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return floors


def _dig(tree: Any, path: tuple[str, ...]) -> float | None:
    for name in path:
        tree = tree.get(name) if isinstance(tree, dict) else None
    return float(tree) if isinstance(tree, int | float) else None
