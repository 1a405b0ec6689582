"""Where and when automatic suggestions are off, and which rule it is; an explicit request works all the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from completer.complete import control as control_module
from completer.complete.control import Control
from completer.complete.quiet import Quiet
from completer.config import Settings
from completer.tokens.tokenizer import Tokenizer
from completer.types import Edit, Snapshot
from tests.by_heart import HEAD, LINE, SETTINGS, ByHeart, at, key, pipeline, text_of

W = Path("/w").absolute()  # with a drive on Windows
NOON_S = datetime(2026, 3, 1, 12, 0).timestamp()


def document(uri: str = (W / "src/a.py").as_uri(), language_id: str = "python", text: str = "") -> Snapshot:
    return Snapshot(uri, 1, language_id, text, 0)


def reason(control: Control, snapshot: Snapshot) -> str:
    quiet = control.of_document(snapshot)
    return quiet.reason if quiet else ""


def test_a_snooze_ends_by_itself_and_says_when() -> None:
    now_s = NOON_S
    control = Control(now=lambda: now_s)
    control.snooze(65)
    assert reason(control, document()) == "snoozed until 13:05"
    now_s += 65 * 60
    assert control.of_client() is None and control.snoozed_until_s is None
    control.snooze(5)
    control.snooze(0)
    assert reason(control, document()) == ""


def test_a_document_is_switched_off_alone_and_stays_so_when_it_is_opened_again() -> None:
    control = Control()
    control.switch(False, document().uri)
    control.closed(document().uri)
    control.opened(document())
    assert reason(control, document()) == "off: switched off for this file"
    assert reason(control, document((W / "b.py").as_uri())) == ""
    control.switch(True, document().uri)
    assert reason(control, document()) == ""


def test_the_whole_client_is_switched_off_and_on() -> None:
    control = Control()
    control.switch(False)
    assert reason(control, document()) == "off: switched off"
    control.switch(True)
    assert reason(control, document()) == ""


def test_patterns_count_from_the_innermost_workspace_folder() -> None:
    control = Control(Settings(disabled_files=("/a.py",)))
    assert reason(control, document()) == ""
    control.set_folders([W, W / "src"])
    assert reason(control, document()) == "off: file pattern 'a.py'"
    control.set_folders([W])
    assert reason(control, document()) == ""


@pytest.mark.parametrize("uri", ["untitled:a.py", "a.py", "file:///elsewhere/a.py", "//[/a.py", "git:/w/a.py?HEAD"])
def test_a_document_in_no_workspace_folder_is_judged_by_its_name(uri: str) -> None:
    control = Control(Settings(disabled_files=("a.py*",)))
    control.set_folders([W / "src"])
    assert reason(control, document(uri)) == "off: file pattern 'a.py*'"


def test_new_settings_count_at_once() -> None:
    control = Control()
    control.opened(document())
    control.set_settings(Settings(disabled_files=("*.py",)))
    assert reason(control, document()) == "off: file pattern '*.py'"
    control.set_settings(Settings(disabled_languages=("python",)))
    assert reason(control, document()) == "off: language 'python'"
    control.set_settings(Settings())
    assert reason(control, document()) == ""


def test_ignored_files_are_quiet_if_the_user_wants_that() -> None:
    control = Control()
    control.ignore(document().uri)
    assert reason(control, document()) == ""
    control.set_settings(Settings(ignored_files="off"))
    assert reason(control, document()) == "off: ignored file"
    control.closed(document().uri)
    assert reason(control, document()) == ""


def test_a_key_looks_up_what_was_decided_when_the_document_was_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    n_judged = 0

    class Counting(control_module.FileRules):
        def judge(self, path: str, text: str) -> Quiet | None:
            nonlocal n_judged
            n_judged += 1
            return super().judge(path, text)

    monkeypatch.setattr(control_module, "FileRules", Counting)
    control = Control(Settings(disabled_files=tuple(f"x{n}*y" for n in range(1_000))))
    control.set_folders([W])
    control.opened(document())
    for n in range(1_000):
        assert control.of_document(replace(document(), version=n, text="# typed\n" * n)) is None
    assert n_judged == 1
    control.set_settings(Settings())
    control.of_document(document())
    control.of_document(document())
    assert n_judged == 2


@pytest.mark.parametrize(
    "quieten",
    [
        lambda control: control.snooze(30),
        lambda control: control.switch(False),
        lambda control: control.switch(False, at(9).uri),
        lambda control: control.set_settings(replace(SETTINGS, mode="on_request")),
        lambda control: control.set_settings(replace(SETTINGS, disabled_files=("*.py",))),
        lambda control: control.set_settings(replace(SETTINGS, disabled_languages=("python",))),
    ],
)
async def test_where_suggestions_are_off_an_explicit_request_works(
    tokenizer: Tokenizer, quieten: Callable[[Control], Any]
) -> None:
    engine = ByHeart(tokenizer)
    async with pipeline(engine, tokenizer) as made:
        quieten(made.control)
        assert await made.complete(at(9), explicit=False) is None
        assert engine.calls == []
        assert text_of(await made.complete(at(9), explicit=True)) == LINE[9:]


async def test_the_documents_of_a_client_stay_judged_when_its_model_is_loaded_again(tokenizer: Tokenizer) -> None:
    control = Control(replace(SETTINGS, ignored_files="off"))
    control.ignore(at(9).uri)
    for _ in range(2):
        async with pipeline(ByHeart(tokenizer), tokenizer, replace(SETTINGS, ignored_files="off")) as made:
            made.control = control
            made.did_open(at(9))
            assert await made.complete(at(9), explicit=False) is None


async def test_where_suggestions_are_off_nothing_is_prepared_in_idle_time(tokenizer: Tokenizer) -> None:
    engine = ByHeart(tokenizer)
    async with pipeline(engine, tokenizer) as made:
        made.control.snooze(30)
        made.did_open(at(9))
        made.did_move_cursor(at(9))
        assert await made.settled(2)
        assert engine.calls == []
        made.control.snooze(0)
        made.did_move_cursor(at(9))
        assert await made.settled(2)
        assert engine.calls != []


async def test_what_is_still_decoded_is_not_shown_after_suggestions_were_snoozed(tokenizer: Tokenizer) -> None:
    extended = []
    async with pipeline(ByHeart(tokenizer, delay_s=0.01), tokenizer, replace(SETTINGS, budget_ms=60)) as made:
        made.on_extend = extended.append
        await made.complete(at(9), explicit=False)
        assert not made.metrics()[-1]["complete"]
        made.control.snooze(30)
        assert await made.settled(2)
        assert extended == []


async def test_after_a_deletion_nothing_is_suggested_if_the_user_wants_that(tokenizer: Tokenizer) -> None:
    async with pipeline(ByHeart(tokenizer), tokenizer, replace(SETTINGS, after_deletion="off")) as made:
        made.did_open(at(9))
        await made.complete(key(made, 10, LINE[:9] + "x"), explicit=False)
        made.did_change(at(9), [Edit(len(HEAD) + 9, len(HEAD) + 10, "")])
        assert await made.complete(at(9), explicit=False) is None
        quiet = made.explain(at(9).uri)
        assert isinstance(quiet, Quiet) and quiet.reason == "off: after a deletion"
        assert made.metrics()[-1]["reason"] == "off: after a deletion"
        assert text_of(await made.complete(at(9), explicit=True)) == LINE[9:]
        assert text_of(await made.complete(key(made, 10), explicit=False)) == LINE[10:]


async def test_a_deletion_is_forgotten_when_the_cursor_moves_elsewhere(tokenizer: Tokenizer) -> None:
    async with pipeline(ByHeart(tokenizer), tokenizer, replace(SETTINGS, after_deletion="off")) as made:
        made.did_open(at(9))
        made.did_change(at(9), [Edit(len(HEAD) + 9, len(HEAD) + 10, "")])
        made.did_move_cursor(replace(at(9), cursor_cp=3))
        made.did_move_cursor(at(9))
        assert text_of(await made.complete(at(9), explicit=False)) == LINE[9:]


async def test_a_document_that_is_off_is_explained_before_anything_was_requested(tokenizer: Tokenizer) -> None:
    async with pipeline(ByHeart(tokenizer), tokenizer, replace(SETTINGS, disabled_files=("a.py",))) as made:
        made.did_open(at(9))
        quiet = made.explain(at(9).uri)
        assert isinstance(quiet, Quiet) and quiet.reason == "off: file pattern 'a.py'"
