"""What a draft model is worth: the same prompts decoded by a model alone and with a smaller one that drafts for it.

`python -m bench draft`. Cases: `bench.cursors`, anchored and healed, with a few lines around the cursor; every answer is greedy,
one line, without the confidence cut. As in an editor, the prompt's head is in the slots of both models before the clock starts.
`model` drafts where the cost curves measured at load promise a gain, as the server does; `model quiet` as it would on a machine
that nobody else uses; `model eager` as if the curves were a graphics card's: the law is tried at every place, whatever it costs.
The law: an answer with drafts is the one without. Where it is not, the first token that differs is looked at again: its
row in one forward over one token, and how far the two best of the allowed tokens lie apart (the margin, in logits). Kernels add
in another order for another number of tokens, so choices between near-equals may fall the other way.
The last table says from the two cost curves alone which share of right drafts would make one, two or three of them pay.
"""

from __future__ import annotations

import math
import statistics
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, zip_longest
from typing import Annotated

import numpy as np
import typer

from bench import arms, inside
from bench.client import Json
from bench.corpus import read_corpus, summary
from bench.cursors import Case, humaneval_cases, library_cases
from bench.options import finish
from bench.provenance import provenance
from completer.engines.base import CostCurve, StepEngine
from completer.generate.choice import remaining
from completer.generate.decode import Decoding, prefill_end
from completer.generate.drafts.draft_model import DraftModel
from completer.generate.drafts.ngrams import AcceptanceRates, Drafter, NgramIndex
from completer.generate.known_rows import KnownRows
from completer.generate.slots import Slot
from completer.tokens.tokenizer import Tokenizer
from completer.types import Done, Prompt, Request, Stats, StopRule, Token, Tokens

WAYS = ("alone", "model", "model quiet", "model eager", "n-grams", "n-grams and model")
DEFAULT_WAYS = WAYS[:4]
LINES_BEFORE, LINES_AFTER = 4, 1
MAX_TOKENS = 16
EAGER = CostCurve({1: 1.0, 16: 1.0}, 0.0), CostCurve({1: 0.3, 16: 0.3}, 0.0)
"""Cost curves of a large and a small model, as flat as a graphics card's: with them two drafts pay nearly everywhere."""
QUIET = (
    CostCurve({1: 24.5, 2: 29.9, 4: 43.0, 8: 71.0}, 2.6),
    CostCurve({1: 9.9, 2: 11.9, 4: 16.4, 8: 26.5, 16: 47.0}, 0.9),
)
"""1.5B and 0.5B on two quiet cores (AVX512-VNNI, 43 GB/s), measured once: what the rule decides there, on any machine."""
CURVES = {"model quiet": QUIET, "model eager": EAGER}
NEAR_TIE = 0.5
"""Logits: two tokens whose probabilities differ by less than a factor of 1.65."""
RATES = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


@dataclass(frozen=True, slots=True)
class Answer:
    tokens: tuple[Token, ...]
    stats: Stats

    @property
    def ids(self) -> tuple[int, ...]:
        return tuple(token.id for token in self.tokens)


@dataclass(slots=True)
class Tally:
    """One way of decoding. ms: of each line, from the prompt's head in the slot to the last token."""

    ms: list[float] = field(default_factory=list)
    n_forwards: int = 0
    n_generated: int = 0
    n_same: int = 0
    n_quicker: int = 0
    drafted: Counter[str] = field(default_factory=Counter)
    accepted: Counter[str] = field(default_factory=Counter)
    margins: list[float] = field(default_factory=list)

    def add(self, answer: Answer, alone: Answer, margin: float | None) -> None:
        self.ms.append(answer.stats.decode_ms)
        self.n_forwards += answer.stats.n_forwards
        self.n_generated += answer.stats.n_generated
        self.n_same += margin is None
        self.n_quicker += answer.stats.decode_ms < alone.stats.decode_ms
        self.drafted.update(answer.stats.drafted)
        self.accepted.update(answer.stats.accepted)
        if margin is not None:
            self.margins.append(round(margin, 4))

    def figures(self) -> Json:
        cuts = statistics.quantiles(self.ms, n=20) if len(self.ms) > 1 else self.ms * 19
        return {
            "n": len(self.ms),
            "same": self.n_same,
            "same_share": round(self.n_same / len(self.ms), 4),
            "margins_of_the_others": sorted(self.margins),
            "near_ties": sum(margin < NEAR_TIE for margin in self.margins),
            "ms_per_line": {"mean": round(statistics.fmean(self.ms), 1), "p50": round(cuts[9], 1), "p95": round(cuts[18], 1)},
            "ms_per_token": round(sum(self.ms) / max(1, self.n_generated), 2),
            "tokens_per_forward": round(self.n_generated / max(1, self.n_forwards), 3),
            "quicker_lines": self.n_quicker,
            "drafted": dict(self.drafted),
            "accepted": dict(self.accepted),
        }


class Bench:
    """A large model and its draft model, decoded from here one prompt at a time: no thread, no other requests between."""

    def __init__(self, engine: StepEngine, draft: StepEngine, tokenizer: Tokenizer) -> None:
        self.engine = engine
        self.tokenizer = tokenizer
        self._draft_model = DraftModel(draft, tokenizer)
        self._small_costs = draft.costs
        self._slot = Slot(engine, 0)
        self._rule = StopRule(max_tokens=MAX_TOKENS, single_line=True, confidence=0.0, end_ids=tokenizer.fim.end)
        self._rates = {way: AcceptanceRates() for way in WAYS}

    def warm(self, prompt: Prompt) -> None:
        """Bring the slots of both models to the prompt's head."""
        request = Request(0, "bench", prompt, replace(self._rule, max_tokens=0))
        self._run(request, Drafter((), (), AcceptanceRates(), self.engine.costs))
        for _ in self._draft_model.catch_up(prompt.ids[: prefill_end(request)]):
            pass

    def answer(self, prompt: Prompt, way: str) -> Answer:
        corpora = [NgramIndex(prompt.ids[: prompt.n_fixed])] if "n-grams" in way else []
        model = self._draft_model if "model" in way else None
        large, small = CURVES.get(way, (self.engine.costs, self._small_costs))
        self._draft_model.engine.costs = small
        return self._run(Request(0, "bench", prompt, self._rule), Drafter((), corpora, self._rates[way], large, model))

    def _run(self, request: Request, drafter: Drafter) -> Answer:
        tokens: list[Token] = []

        def on_event(event: Tokens | Done) -> None:
            if isinstance(event, Tokens):
                tokens.extend(event.tokens)

        rows = KnownRows(self.engine.vocab_size)  # of this answer alone: none may profit from what another way computed
        decoding = Decoding(self._slot, request, self.tokenizer, drafter, rows, on_event)
        for _ in chain(decoding.prefill(), decoding.generate()):
            pass
        return Answer(tuple(tokens), decoding.stats)

    def margin(self, prompt: Prompt, a: Answer, b: Answer) -> float | None:
        """Return the distance of the two best allowed logits where two answers part, or None where they are the same.

        Mutates: slot 1, and nothing that the answers depend on.
        """
        if a.ids == b.ids:
            return None
        n = next((i for i, (x, y) in enumerate(zip(a.ids, b.ids, strict=False)) if x != y), min(len(a.ids), len(b.ids)))
        context = [*prompt.ids[: len(prompt.ids) - prompt.n_heal], *a.ids[:n]]
        pending = remaining(prompt.heal_bytes, self.tokenizer.bytes_of(a.ids[:n]))
        self.engine.copy(0, 1, prefill_end(Request(0, "bench", prompt, self._rule)))
        row = None
        for id_ in context[self.engine.length(1) :]:
            row = self.engine.forward(1, [id_], 1)[0].copy()
        assert row is not None
        scores = row[self.tokenizer.index.allowed(pending)] if pending else row[: self.tokenizer.vocab_size]
        second, first = np.partition(scores, -2)[-2:]
        return float(first - second)


def short_prompt(case: Case, tokenizer: Tokenizer) -> Prompt:
    """Return the anchored prompt of a case with few lines around it: the price of reading them is not what is measured here."""
    before = case.prefix.splitlines(keepends=True)
    after = case.suffix.splitlines(keepends=True)
    near = replace(case, prefix="".join(before[-1 - LINES_BEFORE :]), suffix="".join(after[: LINES_AFTER + 1]))
    return arms.word(near, tokenizer)


def in_turns(a: Sequence[Case], b: Sequence[Case]) -> list[Case]:
    """Return all cases, one of each kind in turn: a run that is cut short has both. The languages of `a` take turns, too."""
    by_language = [[case for case in a if case.group == group] for group in dict.fromkeys(case.group for case in a)]
    mixed = [case for cases in zip_longest(*by_language) for case in cases if case is not None]
    return [case for pair in zip_longest(mixed, b) for case in pair if case is not None]


def promised(large: CostCurve, small: CostCurve, rate: float, width: int) -> float:
    """Return how many times quicker a step with `width` drafts, each right with probability `rate`, is than decoding alone."""
    expected = sum(rate**i for i in range(width + 1))
    with_drafts = large.cost(1 + width) + width * small.cost(1)
    return expected * large.cost(1) / with_drafts


def run_cases(bench: Bench, cases: Sequence[Case], ways: Sequence[str], seconds: float = math.inf) -> dict[str, dict[str, Tally]]:
    """Return {group: {way: tally}}, of the cases for which `seconds` are enough.

    The ways take turns in being first, so that none always meets the warmer machine.
    """
    tallies: dict[str, dict[str, Tally]] = {}
    end = time.perf_counter() + seconds
    with inside.bars() as bars:
        for i, case in enumerate(bars.track(cases, description="decoding")):
            if time.perf_counter() > end:
                break
            prompt = short_prompt(case, bench.tokenizer)
            bench.warm(prompt)
            shift = i % len(ways)
            answers = {way: bench.answer(prompt, way) for way in (*ways[shift:], *ways[:shift])}
            margins = {way: bench.margin(prompt, answers["alone"], answer) for way, answer in answers.items()}
            for group in ("all", case.group):
                of_group = tallies.setdefault(group, {way: Tally() for way in ways})
                for way in ways:
                    of_group[way].add(answers[way], answers["alone"], margins[way])
    return tallies


def show(groups: Json, curves: Json) -> None:
    """Print both tables on stderr; the groups are in the JSON only."""
    rows = []
    for way, f in groups["all"].items():
        ms = f["ms_per_line"]
        sources = ", ".join(f"{s} {f['accepted'].get(s, 0)}/{n}" for s, n in f["drafted"].items() if s != "heal")
        same = f"{f['same']}/{f['n']}" + (f", {f['near_ties']} near-ties" if f["same"] < f["n"] else "")
        figures = [same, *(f"{ms[p]:.0f}" for p in ("mean", "p50", "p95")), f"{f['tokens_per_forward']:.2f}"]
        rows.append([way, *figures, f"{f['quicker_lines']}/{f['n']}", sources])
    columns = ["drafts", "same", "ms a line", "p50", "p95", "tokens/forward", "quicker lines", "accepted/drafted"]
    inside.console.print(inside.table("with and without a draft model", columns, rows))
    rows = [[f"{rate:.0%} right", *(f"{x:.2f}" for x in line)] for rate, line in zip(RATES, curves["promised"], strict=True)]
    title = "times as quick as alone, from the cost curves"
    inside.console.print(inside.table(title, ["drafts", "1 draft", "2", "3"], rows))


def draft(
    model: inside.Model = "qwen2.5-coder-1.5b",
    draft_model: Annotated[str, typer.Option(help="The smaller model of the same vocabulary.")] = inside.DEFAULT_MODEL,
    engine: Annotated[str, typer.Option(help="phased, onnx or torch.")] = "phased",
    prompts: Annotated[int, typer.Option(help="Cursors: one half in installed code, the other from HumanEval-Infilling.")] = 208,
    way: Annotated[list[str] | None, typer.Option(help=f"{', '.join(WAYS)}; again for more. `alone` always runs.")] = None,
    skip: Annotated[int, typer.Option(help="Leave out so many of them: a long run can be made in parts.")] = 0,
    seconds: Annotated[float, typer.Option(help="Stop after so many seconds of decoding; 0: when all prompts are done.")] = 0.0,
    threads: inside.Threads = 0,
    folder: inside.Folders = None,
) -> None:
    """Print what a draft model changes: the answers (nothing but near-ties) and the milliseconds for a line."""
    from completer.assemble import load_draft
    from completer.config import Settings
    from completer.engines.factory import load

    ways = [name for name in WAYS if name == "alone" or name in (way or DEFAULT_WAYS)]
    if unknown := set(way or ()) - set(WAYS):
        raise typer.BadParameter(f"no way {sorted(unknown)}: one of {', '.join(WAYS)}")
    files = inside.open_model(model)
    inside.open_model(draft_model)
    settings = Settings(model=model, draft_model=draft_model, engine=engine, threads=inside.n_threads(threads))
    corpus = read_corpus(16, folder or ())
    cases = in_turns(library_cases(corpus, prompts // 2), humaneval_cases(prompts - prompts // 2))[skip:]
    loaded = load(files, settings)
    small = load_draft(loaded, settings, lambda *_: None)
    large_costs, small_costs = loaded.engine.costs, small.costs
    try:
        tallies = run_cases(Bench(loaded.engine, small, loaded.tokenizer), cases, ways, seconds or math.inf)
    finally:
        loaded.engine.close()
        small.close()
    groups = {group: {name: tally.figures() for name, tally in found.items()} for group, found in tallies.items()}
    curves = {
        "large_ms": large_costs.forward_ms,
        "small_ms": small_costs.forward_ms,
        "rates": RATES,
        "promised": [[round(promised(large_costs, small_costs, rate, n), 3) for n in (1, 2, 3)] for rate in RATES],
    }
    show(groups, curves)
    head = provenance(files.path if files.path.is_file() else None)
    said = {"model": model, "draft_model": draft_model, "engine": engine, "threads": settings.threads, "corpus": summary(corpus)}
    finish({**head, "settings": said, "groups": groups, "curves": curves})


if __name__ == "__main__":
    typer.run(draft)
