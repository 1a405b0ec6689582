"""`completer stats` in each of its forms."""

from __future__ import annotations

import contextlib
import json
import re
import time
from html.parser import HTMLParser
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from typer.testing import CliRunner

from completer.cli.main import app
from completer.cli.stats import figures, run
from completer.config import Settings
from completer.errors import ConfigError, WorkerLost
from completer.history.database import Database
from completer.history.events import Accepted, Shown, Unit
from completer.history.writer import history_path
from completer.worker.wire import LoadedModel, Report

HOUR = int(time.time() // 3600)
REPORT = Report(7, "0.1", 90.0, 900.0, 2, (LoadedModel('an "odd" model', "phased", 2, 0.5, 4, 1234),))


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A history of this test, a worker, and a language server."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(figures, "_worker", lambda _: REPORT)
    monkeypatch.setattr(figures, "_servers", lambda: (figures.Process(11, 120.5),))


@pytest.fixture
def history() -> None:
    with contextlib.closing(Database(history_path())) as database:
        for key in range(1, 11):
            language = "c++<b>" if key == 10 else "python"
            database.add([Shown(key, key, HOUR, language, "extended" if key % 2 else "cold", 10.0 * key, 20, False)])
        database.add([Accepted(1, 20, Unit.WHOLE), Accepted(2, 6, Unit.WORD)])


def stats(*options: str) -> str:
    done = CliRunner().invoke(app, ["stats", *options])
    assert done.exit_code == 0, done.output
    return done.output


def test_without_a_history_it_tells_how_to_get_one() -> None:
    said = stats()
    assert "history = true" in said
    assert "left this machine: nothing" in said


@pytest.mark.usefixtures("history")
def test_table_has_latency_acceptance_processes_and_what_left_the_machine() -> None:
    said = stats()
    for row in (
        r"cold +5 +60\.0 +96\.0 +99\.2",
        r"python +9 +2 +22% +1 +0 +1 +26",
        r"language server +11 +120",
        r"worker +7 +900 +clients: 2",
        r'an "odd" model on phased +clients: 2, slots: 4 with 1234 tokens',
    ):
        assert re.search(row, said), (row, said)
    assert "nothing: all 10 answers came from an engine on this machine" in said


@pytest.mark.usefixtures("history")
def test_json_has_the_same_figures() -> None:
    found = json.loads(stats("--json", "--days", "7"))
    assert found["n_days"] == 7
    assert found["latency"]["cold"] == {"n": 5, "p50_ms": 60.0, "p95_ms": 96.0, "p99_ms": 99.2}
    assert found["languages"]["python"]["rate"] == pytest.approx(2 / 9)
    assert found["worker"]["models"][0]["n_held"] == 1234
    assert len(found["by_day"]) == 8


@pytest.mark.usefixtures("history")
def test_prometheus_reads_its_format() -> None:
    families = {family.name: family for family in text_string_to_metric_families(stats("--prometheus"))}
    assert all(family.type == "gauge" and family.documentation for family in families.values())
    samples = {
        (sample.name, *sorted(sample.labels.items())): sample.value for family in families.values() for sample in family.samples
    }
    assert samples["completer_suggestions", ("language", "c++<b>")] == 1
    assert samples["completer_answer_latency_seconds", ("answered_by", "cold"), ("percentile", "50")] == 0.06
    assert samples["completer_suggestions_accepted", ("language", "python"), ("unit", "word")] == 1
    assert samples["completer_model_tokens", ("engine", "phased"), ("model", 'an "odd" model')] == 1234
    assert samples["completer_worker_memory_bytes",] == 900 * 2**20


class Page(HTMLParser):
    """Collects the elements of a page; each must be closed in its order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.mark.usefixtures("history")
def test_html_is_one_page_that_loads_nothing_and_needs_no_colour(tmp_path: Path) -> None:
    stats("--html", str(tmp_path / "stats.html"))
    text = (tmp_path / "stats.html").read_text(encoding="utf-8")
    page = Page(text)
    assert not {"script", "link", "img", "iframe", "object"} & {tag for tag, _ in page.found}
    assert not [name for _, attributes in page.found for name in attributes if name in ("src", "href") or name.startswith("on")]
    assert "http" not in text and "@import" not in text
    assert re.findall(r"url\(([^)]*)\)", text) == ["#lines", "#dots"]  # patterns of the page itself
    bars = {attributes["class"] for tag, attributes in page.found if tag == "rect" and "bar" in (attributes.get("class") or "")}
    assert bars == {"bar solid", "bar lines", "bar dots"}
    assert {"p50 60 ms", "whole 1", "c++<b>"} <= set(page.texts)


def test_html_of_an_empty_history_is_a_page_as_well(tmp_path: Path) -> None:
    stats("--html", str(tmp_path / "stats.html"))
    Page((tmp_path / "stats.html").read_text(encoding="utf-8"))


def test_a_page_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be written: No such file"):
        run.run(Settings(), 7, run.Form(html=tmp_path / "missing" / "stats.html"))


@pytest.mark.usefixtures("history")
def test_watch_reads_the_history_anew_until_interrupted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 2:
            raise KeyboardInterrupt
        with contextlib.closing(Database(history_path())) as database:
            database.add([Shown(99, 99, HOUR, "rust", "cold", 1.0, 20, False)])

    monkeypatch.setattr(run.time, "sleep", wait)
    run.run(Settings(), 7, run.Form(watch=True))
    assert "rust" in capsys.readouterr().out
    assert waits == [run.WATCH_S] * 2


@pytest.mark.usefixtures("history")
def test_clear_deletes_the_history() -> None:
    assert stats("--clear") == "deleted\n"
    assert json.loads(stats("--json"))["n_answers"] == 0


def test_clear_without_a_history_says_so() -> None:
    assert stats("--clear") == "there was no history\n"


def test_forms_exclude_each_other() -> None:
    with pytest.raises(ConfigError, match="exclude each other"):
        run.Form(json=True, watch=True).check()


def test_answers_of_a_server_are_named_as_what_left_the_machine() -> None:
    with contextlib.closing(Database(history_path())) as database:
        database.add([Shown(1, 1, HOUR, "go", "cold", 1.0, 20, True), Shown(2, 2, HOUR, "go", "cold", 1.0, 20, False)])
    assert figures.gather(Settings(), 7).left_machine == "prompts: 1 of 2 answers came from a server"
    assert "'remote'" in figures.gather(Settings(engine="remote"), 0).left_machine


@pytest.mark.parametrize(
    "command, is_one",
    [
        (["/usr/bin/python", "/opt/bin/completer", "lsp", "--stdio"], True),
        (["python", "-P", "-m", "completer", "lsp"], True),
        (["completer.exe", "lsp"], True),
        (["python", "-m", "completer", "worker", "run"], False),
        (["vim", "completer", "notes"], False),
        (["other", "lsp"], False),
        ([], False),
    ],
)
def test_a_language_server_is_known_by_its_command_line(command: list[str], is_one: bool) -> None:
    assert figures.is_server(command) is is_one


def test_a_worker_that_does_not_answer_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(_: object) -> None:
        raise WorkerLost("it does not answer")

    monkeypatch.undo()
    monkeypatch.setattr(figures.control, "ask", silent)
    assert figures._worker(Settings()) is None


@pytest.mark.usefixtures("history")
def test_every_metric_is_on_the_page_of_the_metrics() -> None:
    page = (Path(__file__).parents[3] / "docs/reference/metrics.md").read_text(encoding="utf-8")
    names = set(re.findall(r"^# TYPE (\w+)", stats("--prometheus"), re.MULTILINE))
    assert names == set(re.findall(r"`(completer_\w+)`", page))
