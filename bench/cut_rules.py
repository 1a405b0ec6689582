"""Compare rules for when a suggestion should end, on what `cut-record` wrote: no model runs.

`python -m bench cut-rules RECORD --folder F`, with the folders that were recorded. What a rule leaves goes through the same
trimming as in the server. Two readings: cursors at one random column of each line, and keys: lines typed from their start,
where a suggestion that agrees with the typed text stays, and only a key without one needs the model.

token .4     ends before the first token below .4
product .3   ends before the first token with which the product falls below .3
words .3     the product by whole words (`completer.suggest.confidence`), the first word like all others
shown .3     what the server does with that threshold; with keys it is judged from the cursor on, and decoding goes further
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

from bench import inside
from bench.client import Json
from bench.corpus import LANGUAGES
from bench.options import finish
from bench.oracle import common_prefix
from completer.models.store import locate
from completer.suggest.confidence import DECODED_ON, FIRST_WORD, Sure, TokenSpan, sure_part
from completer.suggest.trim import clean_partial, trim
from completer.syntax.cursor import Place, place
from completer.tokens.tokenizer import Tokenizer, whole_characters
from completer.types import Snapshot

LANGUAGE_IDS = {name: name for name in LANGUAGES.values()} | {"c++": "cpp"}
MIN_ACCEPTED = 3


@dataclass(slots=True)
class Said:
    """What the model said at one cursor. text, spans: without the healed bytes, up to the line's end. ended: by itself."""

    name: str
    language: str
    line: tuple[str, int]
    column: int
    rest: str
    random: bool
    every: bool
    snapshot: Snapshot
    where: Place
    text: str
    spans: list[TokenSpan]
    ended: bool
    trimmed: dict[tuple[int, bool, bool], str] = field(default_factory=dict)

    def shown(self, sure: Sure) -> str:
        """Return what is shown of the first characters that a rule leaves, as the server trims it."""
        finished = self.ended and not sure.cut and sure.end_cp == len(self.text)
        key = (sure.end_cp, sure.cut, finished)
        if key not in self.trimmed:
            text = self.text[: sure.end_cp]
            text = text if finished else clean_partial(text, self.snapshot, self.where, whole_words=sure.cut)
            found = trim(text, self.snapshot, self.where, finished=finished) if text else None
            self.trimmed[key] = found.text if found else ""
        return self.trimmed[key]


Rule = Callable[[Said, int], Sure]
"""Returns how much of a text a rule leaves when so many of its characters are typed."""


def token_rule(threshold: float) -> Rule:
    return lambda said, typed: _first(said, lambda joint, prob: prob < threshold)


def product_rule(threshold: float) -> Rule:
    return lambda said, typed: _first(said, lambda joint, prob: joint * prob < threshold)


def words_rule(threshold: float) -> Rule:
    def rule(said: Said, typed: int) -> Sure:
        first = sure_part(said.text, said.spans, 0, threshold / FIRST_WORD)  # its first word is then judged by `threshold`
        later = sure_part(said.text, said.spans, 0, threshold)
        return first if first.end_cp == 0 else later

    return rule


def shown_rule(threshold: float) -> Rule:
    return lambda said, typed: sure_part(said.text, said.spans, typed, threshold)


def _first(said: Said, ends: Callable[[float, float], bool]) -> Sure:
    joint, start = 1.0, 0
    for end, prob in said.spans:
        if ends(joint, prob):
            return Sure(start, cut=False)
        joint, start = joint * prob, end
    return Sure(len(said.text), cut=False)


def read(record: Path, folders: Sequence[Path], tokenizer: Tokenizer) -> Iterator[Said]:
    """Yield the cursors of a record."""
    texts: dict[str, list[str]] = {}
    for row in map(json.loads, record.read_text(encoding="utf-8").splitlines()):
        name = row["file"]
        if name not in texts:
            path = next(folder / name for folder in folders if (folder / name).is_file())
            texts[name] = path.read_text(encoding="utf-8").replace("\r\n", "\n").splitlines(keepends=True)
        lines = texts[name]
        line = lines[row["row"]].rstrip("\n")
        head = "".join(lines[: row["row"]]) + line[: row["column"]]
        tail = lines[row["row"]][len(line) :] + "".join(lines[row["row"] + 1 :])
        snapshot = Snapshot(name, 1, LANGUAGE_IDS[row["language"]], head + tail, len(head))
        text, spans, ended = _text_of(row, tokenizer)
        yield Said(
            f"{name}:{row['row']}:{row['column']}",
            row["language"],
            (name, row["row"]),
            row["column"],
            row["rest"],
            row["random"],
            row["every"],
            snapshot,
            place(snapshot),
            text,
            spans,
            ended,
        )


def _text_of(row: Json, tokenizer: Tokenizer) -> tuple[str, list[TokenSpan], bool]:
    n_healed, data, spans = len(row["heal"]), b"", []
    for id_, prob in (top[0] for top in row["tokens"]):
        piece = tokenizer.token_bytes[id_]
        if id_ in tokenizer.fim.end or not piece:
            return whole_characters(data[n_healed:]), spans, True
        healing = len(data) + len(piece) <= n_healed
        data += piece
        text = whole_characters(data[n_healed:])
        if "\n" in text:
            return text.split("\n")[0], [*spans, TokenSpan(len(text.split("\n")[0]), prob)], True
        spans.append(TokenSpan(len(text), 1.0 if healing else prob))
    return whole_characters(data[n_healed:]), spans, False


def at_cursors(said: Iterable[Said], rule: Rule) -> Json:
    """Return counts over cursors: characters matched, wrong and to be matched; cursors at which something is shown."""
    n = shown_at = exact = matched = wrong = rest = 0
    for one in said:
        shown = one.shown(rule(one, 0))
        same = common_prefix(shown, one.rest)
        n, shown_at, exact = n + 1, shown_at + bool(shown), exact + (shown.rstrip() == one.rest)
        matched, wrong, rest = matched + same, wrong + len(shown) - same, rest + len(one.rest)
    return {"n": n, "shown": shown_at, "exact": exact, "matched": matched, "wrong": wrong, "rest": rest}


def over_keys(lines: Iterable[Sequence[Said]], rule: Rule, decoded: Rule) -> Json:
    """Return counts over keys, each line typed from its start. decoded: how far decoding goes on."""
    out = dict.fromkeys(("keys", "model", "answered", "matched", "wrong", "rest", "accepted"), 0)
    for line in lines:
        live: Said | None = None
        busy_until = -1
        for one in line:
            n_typed = 0 if live is None else one.column - live.column
            if live is None or not _agrees(live, n_typed, decoded):
                live, n_typed = one, 0
                out["model"] += 1
                out["answered"] += bool(_visible(live, 0, rule, decoded))
            shown = _visible(live, n_typed, rule, decoded)
            same = common_prefix(shown, one.rest)
            out["keys"] += 1
            out["matched"] += same
            out["wrong"] += len(shown) - same
            out["rest"] += len(one.rest)
            if one.column > busy_until and len(shown.strip()) >= MIN_ACCEPTED and one.rest.startswith(shown):
                out["accepted"] += len(shown)
                busy_until = one.column + len(shown) - 1
    return out


def _agrees(live: Said, n_typed: int, decoded: Rule) -> bool:
    text = live.text[: decoded(live, 0).end_cp]
    return len(text) > n_typed and text.startswith(live.rest[:n_typed])


def _visible(live: Said, n_typed: int, rule: Rule, decoded: Rule) -> str:
    sure, known = rule(live, n_typed), decoded(live, 0)
    shown = live.shown(sure if sure.end_cp <= known.end_cp else known)
    return shown[n_typed:] if shown.startswith(live.rest[:n_typed]) else ""


def half(name: str) -> int:
    """Return in which half of the files one lies, 0 or 1."""
    return hashlib.sha256(name.encode()).digest()[0] & 1


def cut_rules(
    record: Annotated[Path, typer.Argument(help="What `cut-record` wrote.")],
    model: inside.Model = inside.DEFAULT_MODEL,
    folder: inside.Folders = None,
) -> None:
    """Print what each rule leaves of the matched characters, and how much of what it shows is wrong."""
    tokenizer = Tokenizer.load(locate(model).converted / "tokenizer.json")
    said = list(read(record, folder or (), tokenizer))
    chosen = [one for one in said if one.random]
    lines: dict[tuple[str, int], list[Said]] = defaultdict(list)
    for one in sorted((one for one in said if one.every), key=lambda one: one.column):
        lines[one.line].append(one)
    groups: dict[str, list[Said]] = {"all": chosen}
    for number in (0, 1):
        groups[f"half {number + 1}"] = [one for one in chosen if half(one.line[0]) == number]
    for language in sorted({one.language for one in chosen}):
        groups[language] = [one for one in chosen if one.language == language]
    rules: dict[str, tuple[Rule, Rule]] = {"none": (shown_rule(0), shown_rule(0))}
    for t in (0.4, 0.5):
        rules[f"token {t}"] = (token_rule(t), token_rule(t))
    for t in (0.2, 0.3):
        rules[f"product {t}"] = (product_rule(t), product_rule(t))
    rules["words 0.3"] = (words_rule(0.3), words_rule(0.3))
    for t in (0.2, 0.3, 0.4):
        rules[f"shown {t}"] = (shown_rule(t), product_rule(t * DECODED_ON))
    cursors = {name: {group: at_cursors(ones, rule) for group, ones in groups.items()} for name, (rule, _) in rules.items()}
    keys = {name: over_keys(lines.values(), rule, decoded) for name, (rule, decoded) in rules.items()}
    _show(cursors, keys)
    finish({"cursors": cursors, "keys": keys})


def _show(cursors: dict[str, dict[str, Json]], keys: dict[str, Json]) -> None:
    rows = []
    for name, groups in cursors.items():
        for group, c in groups.items():
            if group != "all" and not name.startswith("shown 0.3"):
                continue
            of_all = c["matched"] / max(1, cursors["none"][group]["matched"])
            rows.append([f"{name}, {group}", str(c["n"]), str(c["shown"]), str(c["exact"]), f"{of_all:.3f}", _wrong(c)])
    columns = ["rule, cursors", "n", "shown", "exact", "matched of uncut", "wrong"]
    inside.console.print(inside.table("cursors inside lines", columns, rows))
    if not keys["none"]["keys"]:
        return  # recorded with `--every 0`
    rows = []
    for name, k in keys.items():
        of_all = k["matched"] / max(1, keys["none"]["matched"])
        model, answered = f"{k['model'] / k['keys']:.3f}", f"{k['answered'] / max(1, k['model']):.3f}"
        rows.append(
            [name, str(k["keys"]), model, answered, f"{of_all:.3f}", _wrong(k), f"{1000 * k['accepted'] / k['keys']:.0f}"]
        )
    columns = ["rule", "keys", "need the model", "of these answered", "matched of uncut", "wrong", "accepted / 1,000"]
    inside.console.print(inside.table("lines typed from their start", columns, rows))


def _wrong(counts: dict[str, Any]) -> str:
    return f"{counts['wrong'] / max(1, counts['wrong'] + counts['matched']):.3f}"
