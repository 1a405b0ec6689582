"""Settings are checked one by one; what a repository may relay cannot make the check slow or fail."""

from __future__ import annotations

import time

from completer.config import MAX_PROBLEMS, check


def test_a_number_of_hundreds_of_digits_is_a_problem_like_any_other() -> None:
    values, problems = check({"confidence": 10**400, "budget_ms": 100})
    assert values == {"budget_ms": 100}
    assert len(problems) == 1 and "confidence" in problems[0]


def test_thousands_of_wrong_names_are_told_of_in_a_few_lines_and_at_once() -> None:
    started = time.thread_time()
    _, problems = check({f"x{n}" + "y" * 10_000: 1 for n in range(5_000)})
    assert time.thread_time() - started < 1.0
    assert len(problems) == MAX_PROBLEMS + 1
    assert all(len(problem) < 200 for problem in problems)
