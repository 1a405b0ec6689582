"""The quality bench without a model: cases, judgement, intervals, the sandbox."""

from __future__ import annotations

import pytest

from bench.quality import figures, judge, summarise, wilson
from bench.sandbox import passes
from bench.tasks import SETS, Task, read_tasks

TASK = Task("t", "single", "python", "def two():\n", "    return 2", "\n", "a.py", tests="\nassert two() == 2\n")
LINE = Task("t", "library", "python", "x = na", "me + 1", "\ny = 2\n", "a.py", line=True)


@pytest.mark.parametrize("group", [group for group in SETS if group != "library"])
def test_cases_are_the_same_each_time_and_fit_together(group: str) -> None:
    tasks = read_tasks(group, 20)
    assert tasks == read_tasks(group, 20)
    assert len(tasks) == 20 and all(task.truth.strip() and task.tests for task in tasks)


def test_what_stood_there_passes_its_tests() -> None:
    task = read_tasks("span", 5)[2]
    assert passes(task.prefix + task.truth + task.suffix + task.tests)
    assert not passes(task.prefix + "(" + task.suffix + task.tests)


def test_another_text_may_pass_the_tests_without_being_exact() -> None:
    row = judge(TASK, TASK.prefix + "    return 1 + 1" + TASK.suffix)
    assert (row["exact"], row["passed"]) == (False, True)
    assert judge(TASK, TASK.prefix + TASK.truth + "  " + TASK.suffix)["exact"]
    assert judge(TASK, None) == {"exact": False, "passed": False, "matched": 0, "shown": 0, "rest": 12}


def test_of_a_line_only_the_line_counts() -> None:
    row = judge(LINE, LINE.prefix + "me + 1\nmore = 1" + LINE.suffix)
    assert row["exact"] and row["passed"] is None and row["matched"] == 6 and row["shown"] == 6
    assert judge(LINE, LINE.prefix + "me - 1" + LINE.suffix)["matched"] == 3


def test_shares_come_with_their_interval() -> None:
    low, high = wilson(5, 10)
    assert (round(low, 3), round(high, 3)) == (0.237, 0.763)
    row = {"exact": True, "passed": None, "matched": 3, "shown": 4, "rest": 6, "text": "a\nb", "truth": "a"}
    found = figures([row, {**row, "exact": False}])
    assert found["first_line"] == 2
    assert (found["exact"], found["passed"], found["matched_share"], found["wrong_share"]) == (1, None, 0.5, 0.25)


def test_only_cases_that_every_tool_answered_are_compared() -> None:
    row = {
        "way": "asked",
        "set": "single",
        "exact": True,
        "passed": True,
        "matched": 1,
        "shown": 1,
        "rest": 1,
        "text": "a",
        "truth": "a",
    }
    rows = [{**row, "tool": "a", "task": "1"}, {**row, "tool": "a", "task": "2"}, {**row, "tool": "b", "task": "1"}]
    assert [f["n"] for f in summarise(rows)["single"].values()] == [1, 1]


@pytest.mark.parametrize(
    "program",
    [
        "raise SystemExit(1)",
        "import socket; socket.socket()",
        "x = bytearray(1 << 31)",
        "open('big', 'w').write('x' * (1 << 22))",
    ],
)
def test_the_sandbox_refuses(program: str) -> None:
    assert not passes(program)


def test_the_sandbox_lets_a_program_end() -> None:
    assert passes("import math\nassert math.sqrt(4) == 2")
