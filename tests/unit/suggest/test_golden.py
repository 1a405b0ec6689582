"""The golden cases: what is shown of a model's raw output. Reads each file in `tests/golden`; see `record.py` there."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "golden"))

from golden_cases import HERE, Case, expected_now, read_cases

CASES = [
    pytest.param(case, id=f"{path.stem}-{number}")
    for path in sorted(HERE.glob("*.toml"))
    for number, case in enumerate(read_cases(path))
]


@pytest.mark.parametrize("case", CASES)
def test_golden_case_shows_what_is_expected(case: Case) -> None:
    expected = None if case.expected is None else (case.expected, case.replaces)
    assert expected_now(case) == expected


def test_golden_cases_cover_ten_languages() -> None:
    assert len({path.stem for path in (HERE / "sources").iterdir()}) >= 10
