"""Which stage dominates, and what to change: read from the figures of one tool."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bench.figures import STAGES

BUDGET_MS = 100.0
ADVICE = {
    "queue": "requests wait for the engine: shorten prefill chunks or background work, or give the server fewer typists",
    "context": "building the context is slow: lower its token budget",
    "tokenise": "tokenising is slow: anchor tokens are not reused, or the typed text has grown long",
    "prefill": "evaluating the prompt dominates: a smaller context window, a faster prefill format (bf16 where the "
    "CPU has it), more threads, or a smaller model; if much is fed per key, the prompt is not kept (see tokens fed)",
    "decode": "generating dominates: fewer tokens per suggestion, a smaller or more strongly quantised model, drafts, "
    "or a GPU engine",
    "trim": "trimming is slow: this is a defect, it should cost less than a millisecond",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence for the person: what is so (`fact`, with its number) and what to change (`advice`)."""

    fact: str
    advice: str


def diagnose(tool: dict[str, Any], budget_ms: float = BUDGET_MS) -> list[Finding]:
    """Return findings for the figures of one tool, the most important first; at least one."""
    findings = [*_answers(tool), *_stage(tool, budget_ms), *_tokens(tool), *_client(tool)]
    return findings or [Finding("nothing stands out", "no change suggested by these figures")]


def stage_means(tool: dict[str, Any]) -> dict[str, float]:
    """Return the mean milliseconds of each stage over the keys that need the model; {} without stage traces."""
    stages = tool.get("model", {}).get("stages_ms", {})
    return {name: float(stages[name]["mean"]) for name in STAGES if stages.get(name, {}).get("n")}


def _answers(tool: dict[str, Any]) -> list[Finding]:
    outcomes, keys = tool["outcomes"], max(1, tool["keys"])
    out = []
    for status, advice in (
        ("rejected", "answers break the protocol's rules and no editor shows them: see `problems`"),
        ("error", "requests fail: see `errors` and the server's log"),
        ("unanswered", "requests are never answered: the server hangs or is far too slow"),
        ("empty", "most answers are empty: a higher budget_ms, a lower confidence, or a model that is still loading"),
    ):
        share = outcomes.get(status, 0) / keys
        if share > (0.6 if status == "empty" else 0.02):
            out.append(Finding(f"{share:.0%} of the keys: {status}", advice))
    return out


def _stage(tool: dict[str, Any], budget_ms: float) -> list[Finding]:
    means = stage_means(tool)
    p95 = tool.get("latency_ms", {}).get("model", {}).get("p95")
    if not means or p95 is None:
        return []
    total = sum(means.values()) or 1.0
    worst = max(means, key=lambda name: means[name])
    fact = f"{worst} takes {means[worst]:.0f} of {total:.0f} ms ({means[worst] / total:.0%}) where the model is needed"
    within = f"; p95 {p95:.0f} ms is within the {budget_ms:.0f} ms budget"
    return [Finding(fact, ADVICE[worst])] if p95 > budget_ms else [Finding(fact + within, "nothing has to change")]


def _tokens(tool: dict[str, Any]) -> list[Finding]:
    fed = tool.get("model", {}).get("fed_per_model_key", {})
    out = []
    if fed.get("p50", 0) > 16:
        advice = "the prompt's beginning changes from key to key, so its KV is lost: anchor it"
        out.append(Finding(f"{fed['p50']:.0f} tokens are fed per key (median)", advice))
    if (wasted := tool.get("model", {}).get("wasted_share") or 0) > 0.5:
        advice = "cancel earlier, or answer by a deadline and keep the work"
        out.append(Finding(f"{wasted:.0%} of the generated tokens were never shown", advice))
    return out


def _client(tool: dict[str, Any]) -> list[Finding]:
    work, late = (tool["client"][name].get("p95", 0.0) for name in ("work_ms", "lateness_ms"))
    if work < 1.0 and late < 5.0:
        return []
    fact = f"the harness itself took {work:.1f} ms per key and pressed keys {late:.1f} ms late (p95)"
    return [Finding(fact, "the machine is busy with something else: measure again when it is quiet")]
