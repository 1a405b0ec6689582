"""The Neovim plugin around the ghost text: keys that yield, and the ways to start the server."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.editors.fake_nvim import SETUP, events, start_line, target, wait_for_event
from tests.editors.nvim import Nvim, Start

pytestmark = pytest.mark.editor


# Keys.


def test_tab_without_a_suggestion_is_a_tab(editor: Nvim) -> None:
    start_line(editor, "x\n")
    editor.command("setlocal expandtab tabstop=4 shiftwidth=4 softtabstop=4")
    editor.keys("<Tab>y")
    editor.wait(lambda frame: frame.shows("x   y"))
    assert editor.text == "x   y"


@pytest.mark.parametrize(
    "mapping",
    [
        'vim.keymap.set("i", "<Tab>", "plain")',
        'vim.keymap.set("i", "<Tab>", function() return "plain" end, { expr = true })',
        'vim.keymap.set("i", "<Tab>", function() vim.api.nvim_put({ "plain" }, "c", false, true) end)',
        'vim.keymap.set("i", "xyz", "plain"); vim.keymap.set("i", "<Tab>", "xyz", { remap = true })',
    ],
)
def test_tab_without_a_suggestion_is_what_it_was_mapped_to(start: Start, mapping: str) -> None:
    editor = start(mapping + SETUP)
    start_line(editor, "x\n")
    editor.keys("<Tab>")
    editor.wait(lambda frame: frame.shows("xplain"))
    assert editor.text == "xplain"


def test_setup_again_frees_the_keys_of_before(start: Start) -> None:
    editor = start('vim.keymap.set("i", "<Tab>", "plain")' + SETUP)
    editor.lua('require("completer").setup({ cmd = Fake.start, keys = { accept = "<C-y>", accept_word = false } })')
    target(editor, "return left")
    start_line(editor)
    editor.keys("re")
    editor.wait_for_ghost("turn left")
    editor.keys("<C-y><Tab>")
    editor.wait(lambda frame: frame.shows("return leftplain"))
    assert editor.lua("return vim.fn.maparg('<M-Right>', 'i')") == ""


def test_tab_yields_to_the_editors_menu(editor: Nvim) -> None:
    target(editor, "left + right")
    start_line(editor)
    editor.keys("lend<CR>le")
    editor.wait_for_ghost("ft + right")
    editor.keys("<C-n>")
    editor.wait_for_lua("return vim.fn.pumvisible() == 1")
    editor.keys("<Tab>")
    editor.wait_for_lua("return vim.fn.pumvisible() == 0")
    assert "+ right" not in editor.text


@pytest.mark.parametrize(
    "menu",
    [
        'package.loaded["blink.cmp"] = { is_menu_visible = function() return Open end }',
        'package.loaded["cmp"] = { visible = function() return Open end }',
        'package.loaded["luasnip"] = { locally_jumpable = function() return Open end }',
    ],
)
def test_tab_yields_to_menus_and_snippets_of_plugins(editor: Nvim, menu: str) -> None:
    editor.lua("Open = true " + menu)
    editor.command("setlocal expandtab")
    target(editor, "return left")
    start_line(editor)
    editor.keys("re")
    editor.wait_for_ghost("turn left")
    editor.keys("<Tab>")
    editor.wait(lambda frame: not frame.ghost)
    assert "left" not in editor.text.splitlines()[1]
    editor.lua("Open = false")
    editor.keys("<C-u>re")
    editor.wait_for_ghost("turn left")
    editor.keys("<Tab>")
    editor.wait(lambda frame: frame.shows("return left") and not frame.ghost)


def test_tab_goes_to_the_next_place_of_a_snippet(editor: Nvim) -> None:
    target(editor, "f(one = 1")
    start_line(editor)
    editor.lua("vim.snippet.expand('f(${1:a}, ${2:b})')")
    editor.keys("one")
    editor.wait_for_ghost()
    editor.keys("<Tab>")
    editor.wait_for_lua("return vim.fn.mode() == 's'")
    editor.keys("two")
    editor.wait(lambda frame: frame.shows("f(one, two)"))


# Ways to start.


def test_ghost_text_works_beside_a_plain_lsp_start(start: Start) -> None:
    editor = start('Fake = require("fake")')
    target(editor, "return left")
    editor.open("add.py", "    \n")
    editor.lua("""vim.lsp.start({ name = "completer", cmd = Fake.start, capabilities = require("completer").capabilities() })""")
    editor.wait_for_lua("return #vim.lsp.get_clients({ bufnr = 0 }) == 1")
    editor.keys("Are")
    editor.wait_for_ghost("turn left")
    editor.keys("<Tab>")
    editor.wait(lambda frame: frame.shows("return left") and not frame.ghost)
    assert len(events(editor, "completer/didAccept")) == 1


def test_lsp_enable_starts_the_server_where_the_editor_has_it(start: Start) -> None:
    editor = start("""
        Fake = require("fake")
        if vim.lsp.enable then
          require("completer.config").set({ cmd = Fake.start })
          vim.lsp.enable("completer")
        end
    """)
    if not editor.lua("return vim.lsp.enable ~= nil"):
        pytest.skip("vim.lsp.enable came with 0.11")
    target(editor, "return left")
    start_line(editor)
    editor.keys("re")
    editor.wait_for_ghost("turn left")


def test_capability_for_inline_completion_is_announced(editor: Nvim) -> None:
    start_line(editor)
    params = wait_for_event(editor, "initialize")
    assert params["capabilities"]["textDocument"]["inlineCompletion"] == {"dynamicRegistration": False}


def test_settings_reach_the_server_when_it_starts(start: Start) -> None:
    editor = start(SETUP.replace("Fake.start", "Fake.start, settings = { budget_ms = 120 }"))
    start_line(editor)
    sent = wait_for_event(editor, "initialize")["initializationOptions"]["completer"]
    assert sent["userSettings"] == {"budget_ms": 120}
    assert len(sent["clientKey"]) == 64


def test_a_projects_settings_that_a_plugin_merged_in_are_not_sent_with_the_key(start: Start) -> None:
    editor = start(SETUP.replace("Fake.start", "Fake.start, settings = { budget_ms = 120 }"))
    sent = editor.lua("""
        local params = { initializationOptions = { completer = { confidence = 0, userSettings = { engine = "remote" } } } }
        require("completer.client").mark_settings(params)
        return params.initializationOptions.completer
    """)
    assert (sent["confidence"], sent["userSettings"]) == (0, {"budget_ms": 120})


@pytest.mark.parametrize("name", [".env", ".env.local", "server.pem", "id_rsa", "COMMIT_EDITMSG"])
def test_secrets_and_unwanted_filetypes_never_reach_the_server(start: Start, name: str) -> None:
    editor = start(SETUP.replace("Fake.start", "Fake.start, filetypes = { gitcommit = false }"))
    start_line(editor, "KEY=abc\n", name)
    editor.keys("<Esc>")
    start_line(editor, "x = 1\n", "wanted.py")
    assert wait_for_event(editor, "textDocument/didOpen")["textDocument"]["uri"].endswith("wanted.py")
    assert len(events(editor, "textDocument/didOpen")) == 1


def test_one_server_serves_all_files(editor: Nvim) -> None:
    target(editor, "return left")
    for name in ("one.py", "two.py"):
        start_line(editor, name=name)
        editor.keys("re")
        editor.wait_for_ghost("turn left")
        editor.keys("<Esc>")
        editor.command("write")
    assert len(events(editor, "initialize")) == 1
    assert len(events(editor, "textDocument/didOpen")) == 2


def test_repositories_of_all_files_are_told_to_the_one_server(editor: Nvim) -> None:
    for name in ("first", "second"):
        (editor.folder / name / ".git").mkdir(parents=True)
    for name in ("first/one.py", "first/two.py", "second/three.py"):
        start_line(editor, name=name)
        editor.keys("<Esc>")
        editor.command("write")
    first = wait_for_event(editor, "initialize")["workspaceFolders"]
    assert [folder["uri"] for folder in first] == [(editor.folder / "first").as_uri()]
    added = wait_for_event(editor, "workspace/didChangeWorkspaceFolders")["event"]["added"]
    assert [folder["uri"] for folder in added] == [(editor.folder / "second").as_uri()]
    assert len(events(editor, "workspace/didChangeWorkspaceFolders")) == 1


def test_program_that_is_missing_is_named_once(start: Start) -> None:
    editor = start("""require("completer").setup({ cmd = { "no-such-program", "lsp" } })""")
    start_line(editor)
    editor.keys("<Esc>")
    start_line(editor, name="other.py")
    editor.keys("<Esc>")
    editor.wait_for_lua("return vim.fn.execute('messages') ~= ''")
    said = editor.command("messages")
    assert said.count('no program "no-such-program": install it, or set cmd in setup()') == 1


def trap(path: Path) -> Path:
    """Put a program there that leaves a mark beside itself when it is run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\ntouch {path.parent}/ran\n")
    path.chmod(0o755)
    return path.parent / "ran"


@pytest.mark.parametrize("path", [".", "", "bin"])
def test_program_of_the_working_directory_is_never_started(start: Start, path: str) -> None:
    editor = start("")
    mark = trap(editor.folder / path / "completer")
    editor.lua("vim.env.PATH = ...; require('completer').setup()", path + ":/nowhere")
    start_line(editor)
    editor.keys("<Esc>")
    editor.wait_for_lua("return vim.fn.execute('messages'):find('no program') ~= nil")
    editor.command("checkhealth completer")
    assert not mark.exists()
    assert editor.lua("return vim.lsp.get_clients()") == []


def test_relative_path_of_a_program_is_refused_with_the_mend(start: Start) -> None:
    editor = start("")
    mark = trap(editor.folder / "bin" / "completer")
    editor.lua("require('completer').setup({ cmd = { './bin/completer', 'lsp' } })")
    start_line(editor)
    editor.keys("<Esc>")
    editor.wait_for_lua("return vim.fn.execute('messages'):find('write an absolute path') ~= nil")
    assert not mark.exists()


def test_server_is_started_by_its_absolute_path_and_outside_the_workspace(start: Start, tmp_path: Path) -> None:
    editor = start("")
    program = tmp_path / "elsewhere" / "completer"
    trap(program)
    program.write_text(f"#!/bin/sh\nprintf '%s\\n' \"$0\" \"$PWD\" > {program.parent}/seen.new\n"
                       f"mv {program.parent}/seen.new {program.parent}/seen\n")  # fmt: skip
    editor.lua("vim.env.PATH = ... .. ':' .. vim.env.PATH; require('completer').setup()", str(program.parent))
    editor.open("add.py", "x\n")
    editor.wait_for_lua("return vim.uv.fs_stat(...) ~= nil", str(program.parent / "seen"))
    assert (program.parent / "seen").read_text().splitlines() == [str(program), str(program.parent)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("{ budget = 1 }", 'there is no option "budget": write one of autostart, cmd, filetypes'),
        ("{ cmd = 'completer lsp' }", 'option "cmd" is a string: write a table or function'),
        ("{ keys = { tab = '<Tab>' } }", 'there is no option "keys.tab": write one of accept, accept_line'),
        ("{ keys = { accept = 1 } }", "option keys.accept is a number: write a key or false"),
    ],
)
def test_wrong_option_is_refused_with_what_would_be_right(start: Start, options: str, message: str) -> None:
    editor = start("")
    said = editor.lua(f"return select(2, pcall(require('completer').setup, {options}))")
    assert message in said


def test_server_that_dies_is_left_alone_until_the_user_wants_it_back(start: Start) -> None:
    editor = start("""
        vim.o.cmdheight = 4 -- Neovim's own message about the end would ask for a key
        local say = ("echo started >> %s/starts; exit 3"):format(vim.uv.cwd())
        require("completer").setup({ cmd = { "sh", "-c", say } })
    """)
    editor.open("add.py", "x\n")
    editor.wait_for_lua("return require('completer.client').failed")
    start_line(editor, name="other.py")
    editor.keys("<Esc>")
    starts = editor.folder / "starts"
    assert starts.read_text() == "started\n"
    assert "quit with exit code 3" in editor.command("messages")
    assert "has ended: see :Completer log, then :Completer restart" in editor.command("Completer status")
    editor.command("Completer restart")
    editor.wait_for_lua("return #vim.fn.readfile('starts') == 2")
