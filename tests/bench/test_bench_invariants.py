"""What must never be shown: the checks themselves, and a few real requests (the command asks thousands)."""

from __future__ import annotations

import sysconfig
from pathlib import Path

import pytest

from bench.invariants import count_violations, cursors, is_balanced, make, violations
from completer.types import Snapshot, Suggestion


def broken(before: str, shown: str, behind: str, replaced: int = 0) -> list[str]:
    """Return what is wrong with `shown` between `before` and `behind`."""
    snapshot = Snapshot("file:///a.py", 1, "python", before + behind, len(before))
    suggestion = Suggestion(snapshot.uri, 1, shown, len(before), len(before) + replaced, "cold")
    return violations(snapshot, suggestion, is_balanced(snapshot.text, "python"))


def test_a_suggestion_that_fits_breaks_nothing() -> None:
    assert broken("x = f(", "1", ")\n") == []
    assert broken("x = ", "f(1)", "\n") == []
    assert broken("x = f(", "1, 2)", ")\n", replaced=1) == []


def test_a_special_token_is_found() -> None:
    assert "special" in broken("x = ", "1<|endoftext|>", "\n")
    assert "special" in broken("x = ", "1<fim_middle>", "\n")


def test_the_rest_of_the_line_said_twice_is_found() -> None:
    assert "duplicate" in broken("total = ", "first + second", " + second\n")


def test_the_line_below_said_twice_is_found() -> None:
    assert "duplicate" in broken("", "first_value = 1\nsecond_value = 2", "\nsecond_value = 2\n")
    assert broken("", "first_value = 1\nreturn x", "\nreturn x\n") == []  # too short to tell


def test_a_bracket_too_many_or_too_few_is_found() -> None:
    assert broken("x = f(", "1)", ")\n") == ["balance", "tokenize"]
    assert broken("x = ", "[1,\n     2", "\n") == ["balance", "tokenize"]
    assert broken("x = ", "[1", "\n") == []  # a piece of a line
    assert broken("f({\n    1: ", "g([1", "\n})\n") == []  # also inside brackets that are closed below
    assert broken("x = ", "'a", "\n") == ["balance", "tokenize"]


def test_an_unbalanced_document_is_not_judged_by_its_balance() -> None:
    assert broken("x = (", "1 + [", "\n") == []


@pytest.mark.model
async def test_nothing_that_must_not_be_shown_is_shown() -> None:
    from bench import inside
    from completer.config import Settings
    from completer.engines.factory import load
    from completer.generate.scheduler import LocalGenerator

    loaded = load(inside.open_model(inside.DEFAULT_MODEL), Settings(), lambda *_: None)
    generator = LocalGenerator(loaded.engine, loaded.tokenizer)
    try:
        wanted = cursors([Path(sysconfig.get_paths()["purelib"])], 60)
        counts, lines = await count_violations(make(loaded, generator), wanted)
    finally:
        generator.close()
    assert lines == []
    assert counts["requests"] == 60
    assert counts["shown"] >= 20
