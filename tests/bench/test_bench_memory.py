"""Cases of `bench memory`: nothing of the answer is in the workspace."""

import subprocess
from pathlib import Path

import pytest

from bench.memory.cases import added, at_random, name_of
from bench.memory.command import _check_out, summarise

OLD = "".join(f"value_{n} = compute({n}, {n} + 1)\n" for n in range(30))
NEW = "\nfirst_new = compute(first, second)\nsecond_new = compute(third, fourth)\n"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "project" / "repo"
    folder.mkdir(parents=True)

    def git(*args: str) -> None:
        who = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *who, *args], cwd=folder, check=True, capture_output=True)

    git("init", "-q")
    for text in (OLD, OLD + NEW):
        (folder / "a.py").write_text(text)
        git("add", ".")
        git("commit", "-qm", "change")
    return folder


def test_an_added_line_is_cut_and_what_was_added_below_it_is_not_there_yet(repository: Path, tmp_path: Path) -> None:
    cases = list(added(repository, "2000-01-01", 10, seed=1))
    assert {case.want[-4:] for case in cases} == {"ond)", "rth)"}
    for number, case in enumerate(cases):
        whole = case.prefix + case.want + case.suffix
        assert "second_new" not in whole or "first_new = compute(first, second)\n" in whole
        assert case.repository == name_of(repository) == "project/repo"
        folder = tmp_path / str(number)
        _check_out(repository, case.tree, folder)
        assert (folder / case.path).read_text() == OLD


def test_the_same_seed_gives_the_same_cases(repository: Path) -> None:
    assert list(added(repository, "2000-01-01", 2, seed=3)) == list(added(repository, "2000-01-01", 2, seed=3))
    assert [case.path for case in at_random(repository, 1, seed=1)] == ["a.py"]


def test_only_cases_that_both_arms_answered_count() -> None:
    def row(arm: str, case: str, right: bool) -> dict[str, object]:
        return {"arm": arm, "case": case, "language": "python", "right": right, "text": "x", "ms": 1.0}

    found = summarise([row("off", "a", False), row("on", "a", True), row("on", "b", True)])
    assert (found["arms"]["on"]["n"], found["only_on"], found["only_off"]) == (1, 1, 0)
