"""`bench next-edit`: scenarios and histories become cases, and what is offered is counted as it should be."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from bench.next_edit import histories, scenarios
from bench.next_edit.drive import Typist

RENAME = """\
A name was changed.
id: rename
language: python
file: a.py
row: 1
col: 0
-- buffer.txt --
def surface(x):
    return x

print(area(1))
-- history --
<|file|> a.py
<|old|>
def area(x):
<|new|>
def surface(x):
-- expected --
def surface(x):
    return x

print(surface(1))
"""
QUIET = """\
id: quiet
language: python
file: a.py
row: 1
col: 0
cursor-positions: 2:0
-- buffer.txt --
def surface(x):
    return x
"""
BEFORE = "def area(x):\n    return x\n\n\nprint(area(1))\nx = 1\n"


def test_a_scenario_is_typed_and_its_offers_are_compared(tmp_path: Path) -> None:
    (tmp_path / "1.txtar").write_text(RENAME)
    (tmp_path / "2.txtar").write_text(QUIET)
    results = [scenarios.run(one, Typist()) for one in scenarios.read_scenarios(tmp_path)]
    assert scenarios.summary(results) == {
        **{"n_wanted": 1, "n_quiet": 2, "exact": 1.0, "shown": 1.0, "right_place": 1.0, "quiet_rate": 1.0, "score": 1.0}
    }


@pytest.mark.parametrize(("got", "wanted", "score"), [("same", "same", 100.0), ("abc", "xyz", 0.0), ("", "", 100.0)])
def test_chrf_of_equal_and_of_different_texts(got: str, wanted: str, score: float) -> None:
    assert scenarios.chrf(got, wanted) == score


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A history with one commit of two hunks, and one of a single hunk."""

    def git(*arguments: str) -> None:
        subprocess.run(["git", "-C", str(tmp_path), *arguments], check=True, capture_output=True)

    git("init", "-q")
    git("config", "user.email", "a@example.org")
    git("config", "user.name", "a")
    for text in (BEFORE, BEFORE.replace("area", "surface"), BEFORE.replace("area", "surface").replace("x = 1", "x = 2")):
        (tmp_path / "a.py").write_text(text)
        git("add", ".")
        git("commit", "-q", "-m", "x")
    return tmp_path / ".git"


def test_commits_become_cases_that_want_an_edit_or_silence(repository: Path) -> None:
    quiet, wanting = histories.cases(repository, 10)
    assert (len(quiet.hunks), quiet.n_done) == (1, 1)
    assert (len(wanting.hunks), wanting.n_done) == (2, 1)
    outcome = histories.run(wanting, Typist())
    assert outcome.wanted and outcome.shown and outcome.place and outcome.exact
    outcome = histories.run(quiet, Typist())
    assert not outcome.wanted and not outcome.shown
