"""What the shortcuts cost in quality: anchored and healed prompts against plain ones, drafts against greedy decoding.

`python -m bench shortcut`. Cases: `bench.cursors`; prompts: `bench.arms`. Every answer is greedy, one line, without the
confidence cut. "exact": the answer is the rest of the line (white space at its end aside).
The second table asks the anchored prompt of some cases again, without drafts and with them: the texts must be the same, and
the counts say what drafts save. Stale drafts are the answers of the arm anchored further up: another prompt for the same place.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

import typer

from bench import inside
from bench.arms import ARMS, Answer, Asker
from bench.client import Json
from bench.corpus import read_corpus, summary
from bench.cursors import Case, humaneval_cases, library_cases
from bench.options import finish
from bench.oracle import common_prefix
from bench.provenance import provenance
from completer.types import Stats

REFERENCE = "healed"
ANCHORED = "word"
"""The arm that is judged, and whose prompts are asked again with drafts."""
JUDGED = ("plain", REFERENCE, ANCHORED)
STALE = "word-3"
"""The arm whose answers are drafts of the others'."""


@dataclass(slots=True)
class Tally:
    """Counts of one arm in one group of cases. won, lost: exact here and not in the reference arm, and the other way round."""

    n: int = 0
    exact: int = 0
    won: int = 0
    lost: int = 0
    matched: float = 0.0

    def add(self, case: Case, text: str, reference: str) -> None:
        rest = case.rest.rstrip()
        right, reference_right = text == rest, reference == rest
        self.n += 1
        self.exact += right
        self.won += right and not reference_right
        self.lost += reference_right and not right
        self.matched += common_prefix(text, rest) / len(rest)

    def figures(self) -> Json:
        """Return counts, and the shares of exact answers and of matched characters (mean over the cases)."""
        return {
            "n": self.n,
            "exact": self.exact,
            "exact_share": round(self.exact / self.n, 4) if self.n else None,
            "matched_share": round(self.matched / self.n, 4) if self.n else None,
            "won": self.won,
            "lost": self.lost,
        }


@dataclass(slots=True)
class Drafting:
    """Counts of decoding the same prompts in one way.

    same: whole lines equal to greedy ones, token by token; different: names of the others. same_sure: equal as far as they
    would be shown by default, which is what a person sees.
    """

    n: int = 0
    same: int = 0
    same_sure: int = 0
    n_forwards: int = 0
    n_generated: int = 0
    decode_ms: float = 0.0
    drafted: Counter[str] = field(default_factory=Counter)
    accepted: Counter[str] = field(default_factory=Counter)
    different: list[str] = field(default_factory=list)

    def add(self, case: Case, answer: Answer, greedy: Answer) -> None:
        stats: Stats = answer.stats
        self.n += 1
        self.same += answer.ids == greedy.ids
        self.same_sure += answer.sure == greedy.sure
        if answer.ids != greedy.ids:
            self.different.append(case.name)
        self.n_forwards += stats.n_forwards
        self.n_generated += stats.n_generated
        self.decode_ms += stats.decode_ms
        self.drafted.update(stats.drafted)
        self.accepted.update(stats.accepted)

    def figures(self) -> Json:
        """Return shares; accepted_per_forward: accepted tokens of each source for one forward."""
        forwards = max(1, self.n_forwards)
        return {
            "n": self.n,
            "same_as_greedy": round(self.same / self.n, 4) if self.n else None,
            "same_as_shown": round(self.same_sure / self.n, 4) if self.n else None,
            "tokens_per_forward": round(self.n_generated / forwards, 3),
            "decode_ms_per_token": round(self.decode_ms / max(1, self.n_generated), 2),
            "drafted": dict(self.drafted),
            "accepted": dict(self.accepted),
            "accepted_per_forward": {source: round(n / forwards, 3) for source, n in self.accepted.items()},
            "different": self.different,
        }


def ask_all(asker: Asker, case: Case, tokenizer: Any, arms: Sequence[str]) -> dict[str, Answer]:
    """Return the answer of each arm. They follow each other, so the engine keeps what their prompts share."""
    return {name: asker.ask(ARMS[name](case, tokenizer)) for name in arms}


def compare_drafts(asker: Asker, case: Case, tokenizer: Any, found: dict[str, Drafting]) -> None:
    """Ask the anchored prompt without drafts, with n-grams, and with a stale suggestion besides. Mutates: found.

    What one way computed, the next must not find: only the prompt itself stays in the slots.
    """
    stale = asker.ask(ARMS[STALE](case, tokenizer))
    prompt = ARMS[ANCHORED](case, tokenizer)
    n_kept = len(prompt.ids) - prompt.n_heal - 1
    # Without a fixed part there is no text in which n-grams are looked up.
    ways = {"none": (replace(prompt, n_fixed=0), ()), "n-grams": (prompt, ()), "n-grams, stale": (prompt, (stale.ids,))}
    answers = {}
    for way, (asked, drafts) in ways.items():
        asker.forget(n_kept)
        answers[way] = asker.ask(asked, drafts)
        found[way].add(case, answers[way], answers["none"])


def verdict(tallies: dict[str, Tally]) -> Json:
    """Return the two figures that the shortcut is judged by, for one group of cases."""
    anchored, base, reference = tallies[ANCHORED], tallies["plain"], tallies[REFERENCE]
    return {
        "anchored_to_plain": round(anchored.exact / base.exact, 3) if base.exact else None,
        "anchored_less_healed_points": round(100 * (anchored.exact - reference.exact) / max(1, anchored.n), 2),
    }


def groups_of(case: Case) -> tuple[str, ...]:
    """Return the groups in which a case counts."""
    return ("humaneval",) if case.group == "humaneval" else ("library", f"library/{case.group}")


def run_cases(
    asker: Asker, tokenizer: Any, cases: Sequence[Case], n_drafts: int, names: Sequence[str]
) -> tuple[dict[str, dict[str, Tally]], dict[str, Drafting]]:
    """Return {group: {arm: tally}} of the arms `names`, and {way: counts} over `n_drafts` of the cases, spread evenly."""
    tallies: dict[str, dict[str, Tally]] = {}
    drafting = {way: Drafting() for way in ("none", "n-grams", "n-grams, stale")}
    every = max(1, len(cases) // n_drafts) if n_drafts else 0
    with inside.bars() as bars:
        for i, case in enumerate(bars.track(cases, description="asking")):
            answers = ask_all(asker, case, tokenizer, names)
            for group in groups_of(case) if names else ():
                arms = tallies.setdefault(group, {name: Tally() for name in names})
                for name, answer in answers.items():
                    arms[name].add(case, answer.text, answers[REFERENCE].text)
            if every and i % every == 0 and drafting["none"].n < n_drafts:
                compare_drafts(asker, case, tokenizer, drafting)
    return tallies, drafting


def show(tallies: dict[str, dict[str, Tally]], drafting: Iterable[tuple[str, Drafting]]) -> None:
    """Print the two tables on stderr."""
    rows = []
    for group, arms in tallies.items():
        for name, tally in arms.items():
            f = tally.figures()
            share, matched = f"{f['exact_share']:.1%}", f"{f['matched_share']:.3f}"
            rows.append([group, name, str(tally.n), str(tally.exact), share, matched, f"+{tally.won} −{tally.lost}"])
    columns = ["cases", "prompt", "n", "exact", "share", "matched", f"against {REFERENCE}"]
    inside.console.print(inside.table("rest of the line", columns, rows))
    rows = []
    for way, counts in drafting:
        f = counts.figures()
        by_source = ", ".join(f"{s} {f['accepted'][s]}/{n}" for s, n in f["drafted"].items())
        same, shown = (inside.figure(f[key], "{:.1%}".format) for key in ("same_as_greedy", "same_as_shown"))
        rows.append(
            [way, str(counts.n), same, shown, f"{f['tokens_per_forward']:.2f}", f"{f['decode_ms_per_token']:.1f}", by_source]
        )
    columns = ["drafts", "n", "same as greedy", "as shown", "tokens per forward", "ms per token", "accepted/drafted"]
    inside.console.print(inside.table("drafts", columns, rows))


def shortcut(
    model: inside.Model = inside.DEFAULT_MODEL,
    engine: Annotated[str, typer.Option(help="phased, onnx or torch.")] = "phased",
    library: Annotated[int, typer.Option(help="Cursors in installed code.")] = 320,
    humaneval: Annotated[int, typer.Option(help="Cases of HumanEval-Infilling, single line; 0: all.")] = 300,
    drafts: Annotated[int, typer.Option(help="Cases asked again with and without drafts.")] = 240,
    arm: Annotated[
        list[str] | None, typer.Option(help=f"{', '.join(ARMS)}; again for more. The first, second and fourth always run.")
    ] = None,
    only_drafts: Annotated[
        bool, typer.Option("--only-drafts", help="All cases with and without drafts, and nothing else.")
    ] = False,
    guard: Annotated[bool, typer.Option(help="Decide near-ties by a forward over one token, as the server does.")] = True,
    threads: inside.Threads = 0,
    folder: inside.Folders = None,
) -> None:
    """Print how often the rest of a line comes back exactly, for plain, healed and anchored prompts; and what drafts change."""
    from completer.config import Settings
    from completer.engines.factory import load
    from completer.generate.scheduler import LocalGenerator

    if unknown := set(arm or ()) - set(ARMS):
        raise typer.BadParameter(f"no arm {sorted(unknown)}: one of {', '.join(ARMS)}")
    names = [name for name in ARMS if not only_drafts and (not arm or name in {*JUDGED, *arm})]
    files = inside.open_model(model)
    n = inside.n_threads(threads)
    corpus = read_corpus(16, folder or ())
    cases = [*library_cases(corpus, library), *humaneval_cases(humaneval)]
    loaded = load(files, Settings(engine=engine, threads=n))
    if not guard:
        loaded.engine.costs = replace(loaded.engine.costs, logit_noise=0.0)
    generator = LocalGenerator(loaded.engine, loaded.tokenizer)
    n_drafts = len(cases) if only_drafts else drafts
    try:
        tallies, drafting = run_cases(Asker(generator, loaded.tokenizer), loaded.tokenizer, cases, n_drafts, names)
    finally:
        generator.close()
        gc.collect()
    show(tallies, drafting.items())
    settings = {
        "model": model,
        "engine": engine,
        "threads": n,
        "logit_noise": loaded.engine.costs.logit_noise,
        "library": library,
        "humaneval": humaneval,
        "corpus": summary(corpus),
    }
    head = provenance(files.path if files.path.is_file() else None)
    groups = {
        group: {"arms": {name: t.figures() for name, t in arms.items()}, **verdict(arms)} for group, arms in tallies.items()
    }
    finish({**head, "settings": settings, "groups": groups, "drafts": {way: d.figures() for way, d in drafting.items()}})


if __name__ == "__main__":
    typer.run(shortcut)
