"""From records to what people read: ratios, gate, diagnosis, report, command line."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from bench.client import LspClient
from bench.commands import app
from bench.compare import ratios
from bench.diagnose import diagnose
from bench.editor import EDITORS
from bench.gate import check, read_floors, recorded
from bench.load import Target, breaks_at, measure, serving
from bench.trace import Trace, save

Fake = Callable[..., str]
Typed = Callable[..., Trace]


def tool(p50: float = 10.0, matched: int = 100, fed: float = 2.0, **more: Any) -> dict[str, Any]:
    spread = {"n": 5, "p50": p50, "p95": 2 * p50}
    quality = {"matched_chars": matched, "pooled_wrong_share": 0.5, "flicker_per_100_keys": 0.0}
    model = {"fed_per_key": {"p50": fed, "p95": fed}, "fed_per_model_key": {"p50": fed, "mean": fed}}
    client = {"work_ms": {"p95": 0.2}, "lateness_ms": {"p95": 0.1}}
    base = {"keys": 5, "outcomes": {"shown": 5}, "latency_ms": {"model": spread, "all": spread}, "quality": quality}
    return {**base, "model": model, "client": client, **more}


def test_ratios_say_how_many_times_better_ours_is() -> None:
    result = {"tools": {"ours": tool(), "theirs": tool(p50=150.0, matched=50)}}
    found = ratios(result, "ours")["theirs"]
    assert found["model_p50"] == 15.0
    assert found["matched"] == 2.0
    assert found["memory"] is None


def test_the_gate_fails_below_a_floor_above_a_limit_and_without_a_measurement() -> None:
    result = {"commit": "x", "tools": {"ours": tool(fed=9.0), "patient": tool(matched=40), "p": tool(p50=120.0)}}
    floors = {
        "ratios": {"p": {"model_p50": 15, "memory": 1}},
        "patient": {"p": {"matched": 0.5}},
        "limits": {"fed_per_key_p50": 3},
    }
    assert {c.name: c.ok for c in check(result, floors, "ours")} == {
        "model_p50 against p": False,
        "memory against p": False,
        "matched against p, patient": False,
        "fed_per_key_p50": False,
    }


def test_recorded_floors_pass_on_what_they_were_recorded_from() -> None:
    peer = tool(p50=120.0)
    del peer["latency_ms"]["model"]["p95"]
    result = {"commit": "x", "tools": {"ours": tool(), "patient": tool(matched=110), "llama.vim": peer}}
    moved = recorded(result, read_floors(), "ours")
    passed = {c.name: c.ok for c in check(result, moved, "ours")}
    assert passed.pop("model_p95 against llama.vim") is False  # was not measured, so the old floor stays and fails
    assert all(passed.values())


def test_the_diagnosis_names_the_dominating_stage() -> None:
    stages = {"prefill": {"n": 3, "mean": 400.0}, "decode": {"n": 3, "mean": 60.0}}
    slow = tool(p50=450.0)
    slow["model"]["stages_ms"] = stages
    [finding] = diagnose(slow)
    assert "prefill takes 400 of 460 ms" in finding.fact


def test_the_diagnosis_names_servers_that_break_the_rules() -> None:
    assert "rejected" in diagnose(tool(outcomes={"rejected": 5}))[0].fact


def test_a_replay_from_the_command_line_leaves_json_page_and_picture(fake: Fake, typed: Typed, tmp_path: Path) -> None:
    save(typed("secret_word", gap_ms=30.0), tmp_path / "t.jsonl")
    command = fake(delays_ms=[2, 10], answer="z", metrics=True)
    options = ["--server", command, "--trace", str(tmp_path / "t.jsonl"), "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(app, ["replay", *options])
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout.strip().splitlines()[-1])
    assert result["tools"]["server"]["keys"] == 11
    assert {p.name for p in (tmp_path / "out").iterdir()} == {
        "result.json",
        "records.jsonl",
        "report.html",
        "latency.png",
    }
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.count("<svg") == 4
    assert "secret" not in page
    assert "secret" not in (tmp_path / "out" / "records.jsonl").read_text()
    again = CliRunner().invoke(app, ["report", str(tmp_path / "out"), "--markdown"])
    assert "| keys | 11 |" in again.stdout


def test_our_own_server_with_other_settings_is_compared_like_a_peer(fake: Fake, typed: Typed, tmp_path: Path) -> None:
    save(typed("word", gap_ms=30.0), tmp_path / "t.jsonl")
    options = ["--server", fake(delays_ms=[2], answer="z"), "--trace", str(tmp_path / "t.jsonl"), "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(app, ["peers", "--peer", "none", "--variant", 'unlimited={"budget_ms": 5000}', *options])
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout.strip().splitlines()[-1])
    assert list(result["tools"]) == ["completer", "unlimited"]
    assert result["settings"]["variants"] == ['unlimited={"budget_ms": 5000}']
    assert result["ratios"]["unlimited"]["answered_before_next"] == 1.0


def test_a_server_that_cannot_be_started_is_one_line_and_a_bad_status(tmp_path: Path, typed: Typed) -> None:
    save(typed("ab"), tmp_path / "t.jsonl")
    options = ["--server", "no-such-server-here", "--trace", str(tmp_path / "t.jsonl"), "--out", str(tmp_path)]
    done = CliRunner().invoke(app, ["replay", *options])
    assert done.exit_code == 1
    assert "no-such-server-here" in done.output
    assert "Traceback" not in done.output


def test_several_typists_are_measured_at_once(fake: Fake, typed: Typed) -> None:
    target = Target(fake(delays_ms=[5.0], answer="z"))
    step = asyncio.run(measure(target, 3, [typed("abcdef", gap_ms=80.0)], EDITORS["plain"]))
    assert step["keys"] == 18
    assert step["before_next_key"]["answered"] == 1.0


def test_one_server_for_all_typists_hands_its_token_over() -> None:
    async def capabilities() -> object:
        command = f"{sys.executable} -m completer lsp --in-process --tcp {{address}} --token-file {{token_file}}"
        async with serving(command, "") as target:
            host, _, port = target.tcp.rpartition(":")
            client = await LspClient.connect(host, int(port))
            params = {"processId": None, "rootUri": None, "capabilities": {}, "initializationOptions": {"token": target.token}}
            reply = await client.call("initialize", params)
            await client.close()
            return reply.result["capabilities"]

    assert asyncio.run(capabilities())


@pytest.mark.parametrize(("shares", "n"), [([0.9, 0.85, 0.4, 0.1], 4), ([1.0, 1.0, 1.0, 0.9], None)])
def test_the_load_at_which_a_server_breaks_is_named(shares: list[float], n: int | None) -> None:
    steps = [{"typists": t, "before_next_key": {"answered": s}} for t, s in zip([1, 2, 4, 8], shares, strict=True)]
    assert breaks_at(steps) == n
