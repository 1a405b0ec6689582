"""The commands of the Neovim plugin, and its health."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from pynvim import NvimError

from completer import __version__
from tests.editors.fake_nvim import events, start_line, target, wait_for_event
from tests.editors.nvim import Nvim, Start

SERVER = f"{{ {sys.executable!r}, {(Path(__file__).parents[1] / 'e2e/fake_server.py').as_posix()!r} }}"
pytestmark = pytest.mark.editor


def test_status_says_state_model_and_latency(editor: Nvim) -> None:
    start_line(editor)
    said = editor.command("Completer status")
    assert said == "completer ready\nmodel a model, engine fake\nlatency p50 7 ms, p95 9 ms\nsuggestions on"
    editor.command("Completer toggle")
    assert editor.command("Completer status").endswith("suggestions off: switched off")


def test_stats_count_what_was_shown_taken_and_sent_away(editor: Nvim) -> None:
    target(editor, "return left")
    start_line(editor)
    editor.keys("re")
    editor.wait_for_ghost("turn left")
    editor.keys("<C-]>t")
    editor.wait_for_ghost("urn left")
    editor.keys("<Tab>")
    editor.wait_for_no_ghost()
    assert editor.command("Completer stats").splitlines() == [
        "shown 2, accepted 1 (8 characters), dismissed 1",
        "2 requests: p50 2 ms, p95 50 ms",
        "  cold: 1",
        "  typed-through: 1",
    ]


def test_log_is_opened(editor: Nvim) -> None:
    start_line(editor)
    editor.keys("<Esc>")
    editor.command("Completer log")
    assert editor.lua("return vim.api.nvim_buf_get_name(0)").endswith("lsp.log")


def test_restart_ends_the_server_and_starts_it_for_the_same_buffers(editor: Nvim) -> None:
    target(editor, "return left")
    start_line(editor)
    editor.keys("<Esc>")
    editor.command("Completer restart")
    wait_for_event(editor, "initialize", 2)
    assert len(events(editor, "shutdown")) == 1
    wait_for_event(editor, "textDocument/didOpen", 2)
    editor.keys("are")
    editor.wait_for_ghost("turn left")
    assert editor.lua("return #vim.lsp.get_clients({ name = 'completer' })") == 1


def test_unknown_command_names_those_there_are(editor: Nvim) -> None:
    with pytest.raises(NvimError, match="write one of explain, log, next, off, on, restart, snooze, stats, status, toggle"):
        editor.command("Completer nonsense")
    assert editor.lua("return vim.fn.getcompletion('Completer st', 'cmdline')") == ["stats", "status"]
    assert editor.lua("return vim.fn.getcompletion('Completer toggle ', 'cmdline')") == ["buffer"]


def test_health_names_server_status_and_keys_that_are_taken(editor: Nvim) -> None:
    start_line(editor)
    editor.command("inoremap <M-Right> x")
    editor.keys("<Esc>")
    editor.command("checkhealth completer")
    report = editor.text
    assert "completer ready" in report
    assert "model a model, engine fake" in report
    assert "<M-Right> (accept_word) is mapped by something else" in report
    assert "ERROR" not in report


def test_health_asks_the_program_for_its_version(start: Start) -> None:
    command = f"{{ {sys.executable!r}, '-m', 'completer', 'lsp' }}"
    editor = start(f'require("completer").setup({{ cmd = {command}, autostart = false }})')
    editor.command("checkhealth completer")
    assert f"completer {__version__}" in editor.text
    assert "the server is not running" in editor.text


# Where and when suggestions appear.


def ready(editor: Nvim) -> None:
    editor.wait_for_lua("return (require('completer.commands').ask('completer/status') or {}).state == 'ready'")


def test_snooze_and_off_keep_suggestions_away_and_the_reason_is_said(served: Nvim) -> None:
    start_line(served, "abc", "notes.txt")
    ready(served)
    served.keys("d")
    served.wait_for_ghost("dcba")
    assert served.command("Completer snooze 5").startswith("completer: suggestions snoozed until ")
    served.keys("e")
    served.wait_for_lua("return vim.api.nvim_get_current_line() == 'abcde'")
    served.wait_for_no_ghost()
    assert "suggestions snoozed until " in served.command("Completer status")
    assert served.command("Completer snooze 0") == "completer: suggestions on"
    served.keys("f")
    served.wait_for_ghost("fedcba")

    served.command("Completer off buffer")
    served.wait_for_no_ghost()
    assert served.command("Completer status").endswith("suggestions off: switched off for this file")
    served.command("Completer on buffer")
    served.keys("g")
    served.wait_for_ghost("gfedcba")
    served.command("Completer off")
    assert served.command("Completer status").endswith("suggestions off: switched off")
    with pytest.raises(NvimError, match="is no number of minutes"):
        served.command("Completer snooze soon")


def test_explain_names_the_rule_that_keeps_a_file_quiet(start: Start) -> None:
    settings = '{ disabled_files = { "*.py" } }'
    served = start(f'require("completer").setup({{ cmd = {SERVER}, settings = {settings} }})')
    start_line(served, "abc")
    ready(served)
    served.keys("<Esc>")
    assert served.command("Completer status").endswith("suggestions off: file pattern '*.py'")
    served.command("Completer explain")
    assert served.text.splitlines()[-1] == "reason: off: file pattern '*.py'"
    served.command("quit")
    served.command("Completer off buffer")
    served.command("Completer explain")
    assert served.text.splitlines()[-1] == "reason: off: switched off for this file"


# Next edits.

RENAMED = "def area(x):\n    return x\n\nprint(area(1))\nprint(area(2))"


@pytest.fixture
def served(start: Start) -> Nvim:
    """An editor with the real server over a completer that needs no model."""
    return start(f'require("completer").setup({{ cmd = {SERVER} }})')


def rename_area(editor: Nvim) -> None:
    start_line(editor, RENAMED)
    ready(editor)
    editor.keys("<Esc>gg0wcwsurface<Esc>")
    editor.wait(lambda frame: frame.shows("def surface"))


def test_next_goes_to_the_next_edit_and_applies_it(served: Nvim) -> None:
    rename_area(served)
    served.command("Completer next")
    assert served.text == RENAMED.replace("def area", "def surface").replace("area(1)", "surface(1)")
    assert served.lua("return vim.api.nvim_win_get_cursor(0)") == [4, 6]
    served.command("Completer next")
    assert "area" not in served.text
    served.keys("u")
    served.wait(lambda frame: frame.shows("area(2)"))


def test_next_all_applies_every_edit_like_it(served: Nvim) -> None:
    rename_area(served)
    served.command("Completer next all")
    assert "area" not in served.text
    said = served.lua("return vim.api.nvim_exec2('Completer next', { output = true }).output")
    assert "there is no next edit" in said
