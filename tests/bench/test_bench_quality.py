"""The quality bench without a model: cases, judgement, intervals, the sandbox."""

from __future__ import annotations

import asyncio
import pkgutil
from collections.abc import Sequence

import numpy as np
import pytest

from bench.ablations import RULES, without
from bench.quality import figures, judge, summarise, wilson
from bench.quality_tools import Ours
from bench.sandbox import passes
from bench.tasks import SETS, Task, read_tasks
from completer.complete.pipeline import Pipeline
from completer.complete.state import Model
from completer.config import Settings
from completer.engines.base import Logits
from completer.generate.scheduler import LocalGenerator
from completer.tokens.tokenizer import Tokenizer
from tests.fake_engine import FakeEngine

TASK = Task("t", "single", "python", "def two():\n", "    return 2", "\n", "a.py", tests="\nassert two() == 2\n")
LINE = Task("t", "library", "python", "x = na", "me + 1", "\ny = 2\n", "a.py", line=True)


@pytest.mark.parametrize("group", [group for group in SETS if group != "library"])
def test_cases_are_the_same_each_time_and_fit_together(group: str) -> None:
    tasks = read_tasks(group, 20)
    assert tasks == read_tasks(group, 20)
    assert len(tasks) == 20 and all(task.truth.strip() and task.tests for task in tasks)


def test_cases_beyond_those_that_were_read_are_others() -> None:
    some, others = ({task.name for task in read_tasks("single", n, beyond)} for n, beyond in ((10, 0), (40, 10)))
    assert len(some) == 10 and not some & others and some | others >= {task.name for task in read_tasks("single", 40)}


def test_what_stood_there_passes_its_tests() -> None:
    task = read_tasks("span", 5)[2]
    assert passes(task.prefix + task.truth + task.suffix + task.tests)
    assert not passes(task.prefix + "(" + task.suffix + task.tests)


def test_another_text_may_pass_the_tests_without_being_exact() -> None:
    row = judge(TASK, TASK.prefix + "    return 1 + 1" + TASK.suffix)
    assert (row["exact"], row["passed"]) == (False, True)
    assert judge(TASK, TASK.prefix + TASK.truth + "  " + TASK.suffix)["exact"]
    assert judge(TASK, None) == {"exact": False, "passed": False, "matched": 0, "shown": 0, "rest": 12, "broken": []}


class Stuck(FakeEngine):
    """Says the same line for ever."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        super().__init__(tokenizer.vocab_size, n_slots=3, max_len=1024)
        self._said = tokenizer.encode("    print(1)\n" * 40)
        self._middle = tokenizer.fim.middle

    def logits_after(self, ids: Sequence[int]) -> Logits:
        n_said = ids[::-1].index(self._middle)
        row = np.zeros(self.vocab_size, np.float32)
        row[self._said[n_said]] = 20.0
        return row


def test_a_place_is_asked_again_with_each_rule_off(tokenizer: Tokenizer) -> None:
    engine = Stuck(tokenizer)
    generator = LocalGenerator(engine, tokenizer)

    def make(settings: Settings) -> Pipeline:
        return Pipeline(Model(generator, tokenizer, lambda: engine.costs, engine.max_len, "stuck", "fake"), settings)

    task = Task("t", "multi", "python", "def two():\n", "    print(1)", "\n    return 2\n\nx = two()\n", "a.py")
    try:
        answers = asyncio.run(Ours(make, Settings(multiline="always"), 0, ["repetition", "clean ends"]).answer(task))
    finally:
        generator.close()
    lines = {way: (document or "").count("print(1)") for way, (document, _) in answers.items()}
    ways = [f"{way}{off}" for off in ("", ", no repetition", ", no clean ends") for way in ("typing", "asked")]
    assert list(answers) == ways
    assert lines["asked"] == lines["asked, no clean ends"] < lines["asked, no repetition"]
    n_tokens = {way: n for way, (_, n) in answers.items()}
    assert 0 < (n_tokens["asked"] or 0) < (n_tokens["asked, no repetition"] or 0)


def test_of_a_line_only_the_line_counts() -> None:
    row = judge(LINE, LINE.prefix + "me + 1\nmore = 1" + LINE.suffix)
    assert row["exact"] and row["passed"] is None and row["matched"] == 6 and row["shown"] == 6
    assert judge(LINE, LINE.prefix + "me - 1" + LINE.suffix)["matched"] == 3


def test_shares_come_with_their_interval() -> None:
    low, high = wilson(5, 10)
    assert (round(low, 3), round(high, 3)) == (0.237, 0.763)
    row = {
        "exact": True,
        "passed": None,
        "matched": 3,
        "shown": 4,
        "rest": 6,
        "text": "a\nb",
        "truth": "a",
        "broken": ["balance"],
    }
    found = figures([row, {**row, "exact": False}])
    assert found["first_line"] == 2 and found["broken"] == 2
    assert (found["exact"], found["passed"], found["matched_share"], found["wrong_share"]) == (1, None, 0.5, 0.25)
    assert (found["all_matched_share"], found["all_wrong_share"]) == (1, 0.667)  # the second line runs on behind the hole


def test_only_cases_that_every_tool_answered_are_compared() -> None:
    row = {
        "way": "asked",
        "set": "single",
        "exact": True,
        "passed": True,
        "matched": 1,
        "shown": 1,
        "rest": 1,
        "broken": [],
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


@pytest.mark.parametrize(
    ("prefix", "suffix", "answer", "broken"),
    [
        ("x = (1, ", ")\ny = 2\n", "2", []),
        ("x = (1, ", ")\ny = 2\n", "2)", ["balance", "tokenize"]),
        ("def f(a):\n    ", "\n    return a + 10000000\n", "return a + 10000000", ["duplicate"]),
        ("x = ", "\n", "<|fim_middle|>1", ["special"]),
        ("x = (", "\n", "(", []),  # it was open before
    ],
)
def test_what_breaks_an_invariant_is_told(prefix: str, suffix: str, answer: str, broken: list[str]) -> None:
    task = Task("t", "single", "python", prefix, "1", suffix, "a.py")
    assert judge(task, prefix + answer + suffix)["broken"] == broken


def test_an_answer_in_place_of_the_rest_of_the_line_is_judged_as_such() -> None:
    task = Task("t", "single", "python", "x = f(", "1", "2)\ny = 1\n", "a.py")
    assert judge(task, "x = f(3)\ny = 1\n")["broken"] == []


@pytest.mark.parametrize("rule", sorted(RULES))
def test_each_rule_can_be_switched_off_and_is_on_again_behind_it(rule: str) -> None:
    functions = {target: pkgutil.resolve_name(target.rpartition(".")[0]) for target in RULES[rule]}
    before = {target: getattr(module, target.rpartition(".")[2]) for target, module in functions.items()}
    with without([rule]):
        assert all(getattr(module, target.rpartition(".")[2]) is not before[target] for target, module in functions.items())
    assert all(getattr(module, target.rpartition(".")[2]) is before[target] for target, module in functions.items())
