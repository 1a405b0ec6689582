"""Traces: what is written can be read again, and generated typing leaves the file as it was."""

from __future__ import annotations

import gzip
import json
import random
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from bench.document import Document, offset_at, position
from bench.record import trace_from_log
from bench.trace import Event, Trace, TraceError, load, redact, save
from bench.traces_from_editing import convert
from bench.typing_model import TypingModel, fit
from bench.typist import jump_session, mixed_session, rename_session, type_lines

SOURCE = "\n".join(f"def function_{i}(argument):\n    return argument + {i} * factor\n" for i in range(20))
FIXED = Path(__file__).parents[2] / "bench" / "traces"


def end_text(trace: Trace) -> str:
    document = Document("file:///a", "python", trace.events[0].text)
    for event in trace.events[1:]:
        document.apply(event)
    return document.text


def test_a_saved_trace_is_read_back_equal(tmp_path: Path) -> None:
    trace = mixed_session("# ünï 😀\n" + SOURCE, file="a.py", language="python", n_lines=8, seed=3)
    save(trace, tmp_path / "t.jsonl")
    again = load(tmp_path / "t.jsonl")
    assert [(e.kind, e.pos, e.n, e.text) for e in again.events] == [(e.kind, e.pos, e.n, e.text) for e in trace.events]
    assert [e.t_ms for e in again.events] == pytest.approx([e.t_ms for e in trace.events], abs=0.1)
    save(again, tmp_path / "u.jsonl")
    assert load(tmp_path / "u.jsonl") == again


def test_a_redacted_trace_keeps_positions_and_holds_no_text(tmp_path: Path) -> None:
    trace = redact(type_lines(SOURCE, file="a.py", language="python", n_lines=3, seed=1))
    save(trace, tmp_path / "t.jsonl")
    assert "argument" not in (tmp_path / "t.jsonl").read_text()
    again = load(tmp_path / "t.jsonl")
    assert again.redacted
    assert end_text(again) == "".join(c if c == "\n" else "x" for c in SOURCE)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (['{"name": "x"}'], ":1: not a trace"),
        (['{"trace": 1}', '{"t_ms": 1, "kind": "jump"}'], ":2: unknown kind 'jump'"),
        (['{"trace": 1}', '{"t_ms": 1, "kind": "key", "place": 3}'], ":2: unknown field 'place'"),
        (['{"trace": 1}', '{"t_ms": 5, "kind": "move"}', '{"t_ms": 4, "kind": "move"}'], ":3: time runs backwards"),
        (["nonsense"], ":1: not JSON"),
    ],
)
def test_a_broken_trace_is_refused_with_its_line(tmp_path: Path, lines: list[str], message: str) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(TraceError, match=message):
        load(path)


def test_typing_lines_again_ends_with_the_file_as_it_was() -> None:
    trace = type_lines(SOURCE, file="a.py", language="python", n_lines=6, seed=7)
    assert end_text(trace) == SOURCE
    assert len(trace.segments()) == 6
    assert trace == type_lines(SOURCE, file="a.py", language="python", n_lines=6, seed=7)


def test_a_mixed_session_ends_with_the_file_as_it_was_and_has_every_kind() -> None:
    trace = mixed_session(SOURCE, file="a.py", language="python", n_lines=12, seed=2)
    assert end_text(trace) == SOURCE
    assert {e.kind for e in trace.events} == {"open", "move", "key", "delete", "paste", "undo"}


def test_what_follows_a_key_is_the_unbroken_rest_of_its_run() -> None:
    keys = [Event(i, "key", pos=i, text=c) for i, c in enumerate("abc")]
    trace = Trace("t", (Event(0, "open"), *keys, Event(9, "move", pos=1), Event(10, "key", pos=1, text="z")))
    assert trace.following() == ["abc", "bc", "c", "", "z", ""]


def test_segments_cover_every_event_once() -> None:
    trace = mixed_session(SOURCE, file="a.py", language="python", n_lines=9, seed=4)
    events = [event for segment in trace.segments() for event in segment.events]
    assert events == list(trace.events)


@pytest.mark.parametrize("path", sorted(FIXED.glob("*.jsonl")), ids=lambda path: path.stem)
def test_each_trace_of_the_fixed_set_can_be_played_and_names_its_licence(path: Path) -> None:
    trace = load(path)
    assert trace.origin
    assert trace.licence
    end_text(trace)
    assert path.name in (FIXED / "README.md").read_text(encoding="utf-8")


def test_the_fixed_set_types_at_least_forty_lines_in_four_languages() -> None:
    traces = [load(path) for path in FIXED.glob("typed-*.jsonl")]
    assert len({t.events[0].language for t in traces}) >= 4
    assert sum(len(t.segments()) for t in traces) >= 40


def test_the_typing_model_is_recovered_from_its_own_samples() -> None:
    model, rng = TypingModel(mu=4.5, sigma=0.5), random.Random(1)
    again = fit(model.gap_ms(rng) for _ in range(4000))
    assert again.mu == pytest.approx(4.5, abs=0.05)
    assert again.sigma == pytest.approx(0.5, abs=0.05)


def test_the_survival_curve_falls_from_one_and_halves_at_the_median() -> None:
    model = TypingModel()
    assert model.survival(0) == 1.0
    assert model.survival(140) == pytest.approx(0.5, abs=0.03)
    assert model.survival(2000) == 0.0


def test_a_recording_is_converted_with_kinds_jumps_and_cut_pauses(tmp_path: Path) -> None:
    times = ["00:00:00", "00:00:01", "00:00:01", "00:01:00", "00:01:01"]
    patches = [[0, 0, "x" * 300], [300, 0, "a"], [301, 0, "\n  "], [5, 2, ""], [5, 0, "pasted text"]]
    txns = [{"time": f"2020-01-01T{t}.000Z", "patches": [p]} for t, p in zip(times, patches, strict=True)]
    path = tmp_path / "r.json.gz"
    path.write_bytes(gzip.compress(json.dumps({"startContent": "", "endContent": "", "txns": txns}).encode()))
    trace = convert(path, file="a.rs", language="rust", start=1, count=9, exact=False)
    assert [e.kind for e in trace.events] == ["open", "key", "key", "move", "delete", "paste"]
    assert trace.events[0].text == "x" * 300
    assert trace.events[3].t_ms - trace.events[2].t_ms == pytest.approx(3000)


def test_a_servers_session_log_becomes_a_trace(tmp_path: Path) -> None:
    uri = "file:///w/a.py"
    where = {"start": {"line": 0, "character": 2}, "end": {"line": 0, "character": 2}}
    change = {"textDocument": {"uri": uri}, "contentChanges": [{"range": where, "text": "b"}]}
    log = [
        {"t_ms": 100, "method": "initialize", "params": {"positionEncoding": "utf-16"}},
        {"t_ms": 200, "method": "textDocument/didOpen", "params": {"textDocument": {"uri": uri, "text": "😀c"}}},
        {"t_ms": 250, "method": "textDocument/didChange", "params": change},
    ]
    path = tmp_path / "session.jsonl"
    path.write_text("\n".join(json.dumps(entry) for entry in log))
    trace = trace_from_log(path)
    assert [(e.t_ms, e.kind, e.pos, e.text) for e in trace.events] == [(100, "open", 0, "😀c"), (150, "key", 1, "b")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
def test_positions_round_trip_over_every_character(encoding: str) -> None:
    text = "a😀b\tä\r\n\fx\rlone\n\nend"
    for offset in range(len(text) + 1):
        if text[max(0, offset - 1) : offset + 1] == "\r\n":
            continue  # between the two halves of a line break there is no position
        assert offset_at(text, position(text, offset, encoding), encoding) == offset  # type: ignore[arg-type]


def test_a_position_outside_the_document_is_none() -> None:
    assert offset_at("ab\nc", {"line": 0, "character": 3}, "utf-16") is None
    assert offset_at("ab\nc", {"line": 5, "character": 0}, "utf-16") is None
    assert offset_at("😀", {"line": 0, "character": 1}, "utf-16") is None


def test_a_typed_line_is_nowhere_in_the_file_before_it_is_typed() -> None:
    trace = type_lines(SOURCE, file="a.py", language="python", n_lines=8, seed=2)
    document = Document("file:///a", "python", trace.events[0].text)
    for segment in trace.segments():
        line = "".join(event.text for event in segment.events if event.kind == "key")
        assert line not in document.text
        for event in segment.events:
            if event.kind != "open":
                document.apply(event)
    assert document.text == SOURCE


def test_repeating_lines_are_like_one_close_above_them() -> None:
    text = "\n".join(
        ["import os"] * 8 + [f'    "key_{name}": Style(color="{name}"),' for name in ("red", "green", "blue", "cyan")] + ["x"]
    )
    trace = type_lines(text, file="a.py", language="python", n_lines=9, seed=1, repeating=True)
    typed = ["".join(e.text for e in s.events if e.kind == "key") for s in trace.segments() if s.events[-1].kind == "key"]
    assert typed
    assert all(
        line.startswith('"key_') and not line.startswith('"key_red') for line in typed
    )  # nothing above the first is like it


def test_a_rename_types_the_new_name_over_each_whole_word() -> None:
    trace = rename_session("tot = 1\ntotal = tot + tot\n", old="tot", new="summe", file="a.py", language="python", seed=2)
    assert end_text(trace) == trace.texts()[0] == "summe = 1\ntotal = summe + summe\n"
    assert Counter(event.kind for event in trace.events) == {"open": 1, "move": 3, "key": 15}


@pytest.mark.parametrize(("old", "new"), [("total", "x"), ("missing", "x"), ("tot", "total")])
def test_a_rename_of_one_place_or_to_a_name_that_is_there_is_refused(old: str, new: str) -> None:
    with pytest.raises(ValueError, match=r"two are needed|choose another"):
        rename_session("tot = 1\ntotal = tot\n", old=old, new=new, file="a.py", language="python", seed=2)


def test_a_jump_is_typed_at_in_the_same_moment_and_every_file_keeps_its_other_lines() -> None:
    sources = [Event(0.0, "open", text=SOURCE, file=f"{name}.py", language="python") for name in "ab"]
    trace = jump_session(sources, n_lines=4, n_keys=5, seed=3)
    documents = [Document("file:///a", "python", event.text) for event in trace.events[:2]]
    for before, event in pairwise(trace.events):
        if event.kind == "open":
            continue
        documents[event.doc].apply(event)
        if before.kind == "move":
            assert (event.kind, event.t_ms) == ("key", before.t_ms)
    wanted = Counter(SOURCE.split("\n"))
    for document in documents:
        lines = document.text.split("\n")
        cut = [line for line in lines if line not in wanted]
        assert len(cut) == 4
        assert all(any(whole.startswith(line) for whole in wanted) for line in cut)
