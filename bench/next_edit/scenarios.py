"""The public scenarios of cursortab.nvim: a buffer, the user's last edits, and the buffer that is wanted, or silence.

The score is theirs: deltaChrF (chrF of the changed parts) times the harmonic mean of show rate and quiet rate.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from bench.next_edit.drive import Typist, applied
from completer.document.mirror import smallest_edit
from completer.types import Edit

_FILE = re.compile(r"^-- (.+) --$\n?", re.MULTILINE)
_FIELD = re.compile(r"^([\w-]+): ?(.*)$", re.MULTILINE)
_CHRF_ORDER = 6
_BETA_SQUARED = 4.0
_NO_EDITS = "suppress-no-edits"
"""Measures a switch of that editor, which keeps a buffer without edits silent; it is no quiet case of the score."""


class Change(NamedTuple):
    """One edit of the history."""

    file: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Scenario:
    """row: from 1; col: from 0.  wanted: None for silence."""

    name: str
    language_id: str
    file: str
    row: int
    col: int
    text: str
    history: tuple[Change, ...]
    wanted: str | None

    @property
    def is_tuning(self) -> bool:
        """Whether the scenario belongs to the half that gates may be tuned on."""
        return hashlib.sha256(self.name.split("@")[0].encode()).digest()[0] % 2 == 0


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one scenario. delta_chrf: 0 to 100, for one that wants an edit.  place: the first offer is right there."""

    scenario: Scenario
    shown: bool
    exact: bool
    place: bool
    delta_chrf: float


def read_scenarios(folder: Path) -> Iterator[Scenario]:
    """Yield the scenarios of a folder, one for each cursor position."""
    for path in sorted(folder.glob("*.txtar")):
        head, *parts = _FILE.split(path.read_text(encoding="utf-8"))
        files = {name: body.removesuffix("\n") for name, body in zip(parts[::2], parts[1::2], strict=True)}
        fields = dict(_FIELD.findall(head))
        if fields["id"] == _NO_EDITS:
            continue
        one = Scenario(
            *(fields["id"], fields["language"], fields["file"], int(fields["row"]), int(fields["col"])),
            files["buffer.txt"],
            tuple(_history(files.get("history", ""))),
            files.get("expected"),
        )
        yield one
        for position in filter(None, fields.get("cursor-positions", "").split(",")):
            row, col = map(int, position.split(":"))
            yield replace(one, name=f"{one.name}@{row}", row=row, col=col)


def _history(text: str) -> Iterator[Change]:
    for part in text.split("<|file|>")[1:]:
        file, _, rest = part.partition("\n<|old|>\n")
        old, _, new = rest.partition("\n<|new|>\n")
        yield Change(file.strip(), old.removesuffix("\n"), new.removesuffix("\n"))


def run(scenario: Scenario, typist: Typist) -> Result:
    """Type the history and compare the offers with what is wanted. Mutates: the typist.

    An edit that the buffer does not show is typed into another document of the same language.
    """
    uri = f"file:///{scenario.file}"
    text, here, elsewhere = scenario.text, [], []
    for change in reversed(scenario.history):
        if change.new and text.count(change.new) == 1:
            here.append(change)
            text = text.replace(change.new, change.old)
        else:
            elsewhere.append(change)
    for number, change in enumerate(reversed(elsewhere)):
        typist.open(f"file:///elsewhere/{number}", scenario.language_id, change.old)
        typist.become(f"file:///elsewhere/{number}", change.new)
    typist.open(uri, scenario.language_id, text)
    for change in reversed(here):
        typist.become(uri, typist.texts[uri].text.replace(change.old, change.new, 1))
    lines = scenario.text.split("\n")
    cursor = sum(len(line) + 1 for line in lines[: scenario.row - 1]) + scenario.col
    found = [edit for edit in typist.ask(uri, min(cursor, len(scenario.text))) if edit.uri == uri]
    return _result(scenario, applied(scenario.text, found), found[0].start_cp if found else None)


def _result(scenario: Scenario, made: str, first_cp: int | None) -> Result:
    if scenario.wanted is None or first_cp is None:
        return Result(scenario, first_cp is not None, False, False, 0.0)
    whole: Edit = smallest_edit(scenario.text, scenario.wanted)
    line = scenario.text.rfind("\n", 0, whole.start_cp) + 1
    end = scenario.text.find("\n", whole.old_end_cp)
    place = line <= first_cp <= (end if end >= 0 else len(scenario.text))
    wanted, got = (whole.new_text, smallest_edit(scenario.text, made).new_text)
    return Result(scenario, True, made == scenario.wanted, place, chrf(got, wanted))


def chrf(got: str, wanted: str) -> float:
    """Return the F-score of common character n-grams, recall twice as important, in percent. Source: Popović, 2015."""
    scores = []
    for n in range(1, _CHRF_ORDER + 1):
        ours, theirs = _grams(got, n), _grams(wanted, n)
        if not ours and not theirs:
            continue
        common = sum((ours & theirs).values())
        precision, recall = common / max(1, ours.total()), common / max(1, theirs.total())
        scores.append((1 + _BETA_SQUARED) * precision * recall / (_BETA_SQUARED * precision + recall) if common else 0.0)
    return 100 * sum(scores) / len(scores) if scores else 100.0


def _grams(text: str, n: int) -> Counter[str]:
    return Counter(text[i : i + n] for i in range(len(text) - n + 1))


def summary(results: Sequence[Result]) -> dict[str, float]:
    """Return the rates of some scenarios, and the score."""
    wanted = [result for result in results if result.scenario.wanted is not None]
    quiet = [result for result in results if result.scenario.wanted is None]
    shown, exact, place = (_share([getattr(r, name) for r in wanted]) for name in ("shown", "exact", "place"))
    quiet_rate = _share([not result.shown for result in quiet])
    delta = sum(result.delta_chrf for result in wanted) / max(1, len(wanted))
    gate = 2 * shown * quiet_rate / (shown + quiet_rate) if shown + quiet_rate else 0.0
    rates = {"exact": exact, "shown": shown, "right_place": place, "quiet_rate": quiet_rate, "score": delta / 100 * gate}
    return {"n_wanted": len(wanted), "n_quiet": len(quiet)} | {name: round(value, 3) for name, value in rates.items()}


def _share(flags: Sequence[bool]) -> float:
    return sum(flags) / len(flags) if flags else 0.0
