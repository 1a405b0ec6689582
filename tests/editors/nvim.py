"""A headless Neovim with the plugin, driven by keys, seen through the screen that it draws. Every wait has a deadline."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pynvim

from completer.models.store import cache_dir
from tests.editors.screen import GHOST_COLOUR, Frame, Screen

ROOT = Path(__file__).parents[2]
PLUGIN = ROOT / "editors/nvim"
TIMEOUT_S = 10.0
COLUMNS, LINES = 100, 40

INIT = f"""
vim.opt.runtimepath:prepend({str(PLUGIN)!r})
vim.opt.runtimepath:append({str(Path(__file__).parent)!r})
vim.o.swapfile, vim.o.shada, vim.o.termguicolors = false, "", true
vim.o.shortmess = vim.o.shortmess .. "IF"
vim.api.nvim_set_hl(0, "CompleterGhost", {{ fg = {GHOST_COLOUR}, italic = true }})
vim.api.nvim_set_hl(0, "CompleterSuggestionUnsure", {{ fg = {GHOST_COLOUR - 1}, italic = true }})
local client = require("completer.client")
local ask, n_answers = client.ask, 0
client.ask = function(asked, place, kind, on_answer)
  return ask(asked, place, kind, function(items)
    on_answer(items)
    n_answers = n_answers + 1
    vim.rpcnotify(vim.g.test_channel, "answered", n_answers)
  end)
end
"""
"""Configuration of every test: the plugin, ghost text in a colour of its own, and word of each answer that was drawn."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The first frame that a wait was for, and how long after the last key it was drawn."""

    frame: Frame
    after_key_ms: float


class Nvim:
    """One running editor. All access to it happens in a thread of its own; the methods here wait for that thread."""

    def __init__(self, program: Path, init: str, folder: Path, environment: dict[str, str] | None = None) -> None:
        """folder: empty; holds the editor's configuration, state and socket, and is its working directory."""
        self.folder = folder
        self.frames: list[Frame] = []
        self.screen = Screen()
        self._drawn = threading.Condition()
        self._key_at_s = time.perf_counter()
        self._first_new = 0
        self._n_answers = self._n_answers_before = 0
        socket = folder / "nvim.sock"
        (folder / "init.lua").write_text(INIT + init, encoding="utf-8")
        homes = {f"XDG_{name}_HOME": str(folder / name.lower()) for name in ("CONFIG", "DATA", "STATE", "CACHE")}
        # The model lies in the user's cache folder, which the editor must not see: it would pull and convert one of its own.
        python_path = {
            "COMPLETER_CACHE": str(cache_dir()),
            "PYTHONPATH": str(ROOT),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }
        self._process = subprocess.Popen(
            [program, "--headless", "--listen", socket, "-u", "init.lua", "-i", "NONE"],
            cwd=folder,
            env=os.environ | homes | python_path | (environment or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            self._nvim = self._attach(socket)
            self.wait_for_lua("return vim.v.vim_did_enter == 1")  # the socket opens before the configuration is read
            assert not (said := self.command("messages")), said
        except BaseException:
            self._process.kill()
            raise

    # What the user does.

    def keys(self, keys: str) -> None:
        """Press keys, in Neovim's notation (`<Esc>`, `<Tab>`, `<lt>`)."""

        def press() -> None:
            with self._drawn:
                self._first_new, self._key_at_s = len(self.frames), time.perf_counter()
                self._n_answers_before = self._n_answers
            self._nvim.input(keys)

        self._do(press)

    def open(self, name: str, text: str, *, newline: str = "\n") -> Path:
        """Write a file and open it; the cursor stands at its end, in normal mode."""
        path = self.folder / name
        path.write_bytes(text.replace("\n", newline).encode())
        self.command(f"edit {path}")
        self.command("normal! G$")
        return path

    def command(self, line: str) -> str:
        """Run an Ex command; return what it printed."""
        return str(self._do(lambda: self._nvim.api.exec2(line, {"output": True}))["output"])

    # What the user sees.

    def wait(self, seen: Callable[[Frame], bool], what: str = "that frame", *, anew: bool = True) -> Seen:
        """Wait for a frame; anew: only those drawn since the last key count, else also the one that stands."""
        with self._drawn:
            at = self._first_new if anew else max(0, len(self.frames) - 1)
            end_s = time.monotonic() + TIMEOUT_S
            while True:
                for frame in self.frames[at:]:
                    if seen(frame):
                        return Seen(frame, (frame.at_s - self._key_at_s) * 1e3)
                at = len(self.frames)
                if not self._drawn.wait(end_s - time.monotonic()):
                    rows = "\n".join(row for row in self.frames[-1].rows if row) if self.frames else ""
                    raise AssertionError(f"{what} was not seen within {TIMEOUT_S} s; the screen is\n{rows}")

    def wait_for_ghost(self, text: str | None = None) -> Seen:
        """Wait until ghost text is visible: any, or exactly `text`; also one that stands already."""
        return self.wait(
            lambda frame: bool(frame.ghost) if text is None else frame.ghost == text, f"ghost text {text!r}", anew=False
        )

    def wait_for_no_ghost(self) -> None:
        self.wait(lambda frame: not frame.ghost, "a screen without ghost text", anew=False)

    def wait_for_answer(self) -> None:
        """Wait until a question asked after the last key was answered, and the answer drawn."""
        with self._drawn:
            if not self._drawn.wait_for(lambda: self._n_answers > self._n_answers_before, TIMEOUT_S):
                raise AssertionError(f"no answer within {TIMEOUT_S} s")

    def type(self, text: str) -> None:
        """Type a text key by key, each when the key before was answered."""
        for char in text:
            self.keys({"\n": "<CR>", "<": "<lt>"}.get(char, char))
            self.wait_for_answer()

    # What a test may look at besides.

    @property
    def text(self) -> str:
        """The text of the current buffer."""
        return "\n".join(self._do(lambda: self._nvim.current.buffer[:]))

    def lua(self, code: str, *arguments: Any) -> Any:
        """Run Lua; return what it returns."""
        return self._do(lambda: self._nvim.exec_lua(code, *arguments))

    def wait_for_lua(self, code: str, *arguments: Any, timeout_s: float = TIMEOUT_S) -> Any:
        """Run Lua until it returns something true; return that."""
        found: list[Any] = []

        def ask() -> bool:
            found[:] = [self.lua(code, *arguments)]
            return bool(found[0])

        wait_until(ask, f"`{code}` stayed false", timeout_s)
        return found[0]

    def close(self) -> None:
        """End the editor; it must end by itself."""
        with contextlib.suppress(Exception):
            self._do(lambda: self._nvim.command("qall!", async_=True))
        try:
            self._process.wait(TIMEOUT_S)
        finally:
            self._process.kill()
        self._thread.join(TIMEOUT_S)

    def _do(self, work: Callable[[], Any]) -> Any:
        """Run `work` in the thread that owns the connection; return or raise what it does."""
        done: Future[Any] = Future()

        def run() -> None:
            try:
                done.set_result(work())
            except BaseException as error:  # it belongs to the caller
                done.set_exception(error)

        self._nvim.async_call(run)
        return done.result(TIMEOUT_S)

    def _attach(self, socket: Path) -> pynvim.Nvim:
        wait_until(socket.exists, "Neovim did not open its socket")
        ready: Future[pynvim.Nvim] = Future()
        self._thread = threading.Thread(target=self._serve, args=(str(socket), ready), daemon=True)
        self._thread.start()
        return ready.result(TIMEOUT_S)

    def _serve(self, socket: str, ready: Future[pynvim.Nvim]) -> None:
        def setup() -> None:
            nvim.vars["test_channel"] = nvim.channel_id
            nvim.ui_attach(COLUMNS, LINES, rgb=True, ext_linegrid=True)
            ready.set_result(nvim)

        try:
            nvim = _connect(socket)
            nvim.run_loop(lambda *_: None, self._on_notification, setup_cb=setup)
        except (EOFError, OSError) as error:  # the editor ended, or never came up
            if not ready.done():
                ready.set_exception(error)

    def _on_notification(self, name: str, events: Any) -> None:
        if name == "answered":
            with self._drawn:
                self._n_answers = events[0]
                self._drawn.notify_all()
        if name == "redraw" and self.screen.apply(events):
            with self._drawn:
                self.frames.append(self.screen.frame(time.perf_counter()))
                self._drawn.notify_all()


def _connect(socket: str) -> pynvim.Nvim:
    """Attach as soon as the editor listens: the socket's file is there a moment before."""
    end_s = time.monotonic() + TIMEOUT_S
    while True:
        try:
            return pynvim.attach("socket", path=socket)
        except ConnectionRefusedError:
            if time.monotonic() > end_s:
                raise
            time.sleep(0.005)


def wait_until(done: Callable[[], bool], what: str, timeout_s: float = TIMEOUT_S) -> None:
    """Return when `done()` holds. Raises: AssertionError when the time is up."""
    end_s = time.monotonic() + timeout_s
    while not done():
        assert time.monotonic() < end_s, f"{what} within {timeout_s} s"
        time.sleep(0.005)


Start = Callable[[str], Nvim]
"""Starts an editor with some Lua after the configuration that all tests have."""


@contextlib.contextmanager
def running(program: Path, init: str, folder: Path) -> Iterator[Nvim]:
    """Start an editor; it is ended, and its folder removed, in the end."""
    folder.mkdir()
    editor = Nvim(program, init, folder)
    try:
        yield editor
    finally:
        editor.close()
        shutil.rmtree(folder, ignore_errors=True)
