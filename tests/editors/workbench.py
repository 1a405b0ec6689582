"""The VS Code workbench in a browser, driven by keys, read from the page and from the saved files."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page, sync_playwright

from tests.editors.install_code_server import CodeServer, run

TIMEOUT_S = 30.0
SIZE = (960, 560)

QUIET = {
    "chat.disableAIFeatures": True,
    "workbench.startupEditor": "none",
    "workbench.colorTheme": "Default Dark Modern",
    "workbench.tips.enabled": False,
    "workbench.enableExperiments": False,
    "workbench.layoutControl.enabled": False,
    "workbench.secondarySideBar.defaultVisibility": "hidden",
    "workbench.editor.enablePreview": False,
    "window.commandCenter": False,
    "telemetry.telemetryLevel": "off",
    "update.showReleaseNotes": False,
    "extensions.ignoreRecommendations": True,
    "git.enabled": False,
    "files.autoSave": "off",
    "editor.fontFamily": "'JetBrains Mono', monospace",
    "editor.fontSize": 15,
    "editor.fontLigatures": False,
    "editor.lineHeight": 1.6,
    "editor.cursorBlinking": "solid",
    "editor.minimap.enabled": False,
    "editor.stickyScroll.enabled": False,
    "editor.quickSuggestions": {"other": "off", "comments": "off", "strings": "off"},
    "editor.suggestOnTriggerCharacters": False,
    "editor.autoClosingBrackets": "never",
    "editor.autoClosingQuotes": "never",
    "editor.guides.indentation": False,
    "editor.occurrencesHighlight": "off",
    "breadcrumbs.enabled": False,
}
"""User settings under which nothing but the extension under test moves on the screen."""

_GHOST = """
const ghost = () => {
  const editor = document.querySelector('.editor-group-container.active .monaco-editor') ?? document;
  const texts = selector => [...editor.querySelectorAll(selector)].map(element => element.textContent);
  const first = texts('.ghost-text-decoration, .ghost-text-decoration-preview').join('');
  return [first, ...texts('.suggest-preview-text .view-line')].join('\\n').replaceAll('\\u00a0', ' ');
};
"""
"""The ghost text in the active editor: the rest of the cursor's line, then the lines below it."""

_WATCH = f"""() => {{
  {_GHOST}
  const log = (window.ghostLog = []);
  let before = ghost();
  const now = () => performance.timeOrigin + performance.now();
  window.addEventListener('keydown', event => log.push({{time_ms: now(), key: event.key}}), true);
  new MutationObserver(() => {{
    const text = ghost();
    if (text !== before) log.push({{time_ms: now(), ghost: text}});
    before = text;
  }}).observe(document.body, {{subtree: true, childList: true, characterData: true, attributes: true}});
}}"""
"""Writes down, in the page, when a key went down and when the ghost text on the screen changed."""


@dataclass(frozen=True)
class Workbench:
    """A workbench with a folder open. All waits end with an AssertionError when their time is up."""

    page: Page
    folder: Path

    def open(self, name: str) -> None:
        """Open a file by its name and wait for its editor."""
        self._pick("Control+p", name, name)
        self.wait(lambda: self.page.locator(f".tab.active[data-resource-name='{name}']").count() == 1, f"tab {name}")
        self.page.locator(".editor-instance .view-lines").first.wait_for()

    def go_to(self, line: int, column: int) -> None:
        """Put the cursor there; both count from 1."""
        self.press("Control+g")
        self.page.locator(".quick-input-widget input").first.fill(f":{line}:{column}")
        self.press("Enter")
        self.wait(lambda: self.page.locator(".quick-input-widget").is_hidden(), "the line prompt to close")

    def run_command(self, title: str) -> None:
        """Run a command by its title in the palette."""
        self._pick("F1", f">{title}", title)

    def notification_button(self, text: str, button: str) -> Locator:
        """Return a button of the notification that holds a text."""
        notification = self.page.locator(".notification-toast").filter(has_text=text)
        return notification.get_by_role("button", name=button)

    def answer_file_dialog(self, path: str) -> None:
        """Choose a file in the dialog at the top, which begins by writing a folder of its own choice into its field."""
        field = self.page.locator(".quick-input-widget input").first
        self.wait(lambda: field.is_visible() and field.input_value().endswith("/"), "the dialog for files")

        def stands() -> bool:
            """The dialog may still write its folder in front of what was filled in, while it looks the path up."""
            if field.input_value() != path:
                field.fill(path)
            self.page.wait_for_timeout(500)
            return field.input_value() == path

        self.wait(stands, "the path to stand in the dialog")
        self.press("Enter")
        self.wait(lambda: self.page.locator(".quick-input-widget").is_hidden(), "the dialog to close")

    def press(self, key: str) -> None:
        self.page.keyboard.press(key)

    def type(self, text: str, delay_ms: float = 0) -> None:
        """Type text, a key for each character."""
        self.page.keyboard.type(text, delay=delay_ms)

    def ghost(self) -> str:
        """Return the ghost text on the screen, "" without any."""
        text: str = self.page.evaluate(f"() => {{ {_GHOST} return ghost(); }}")
        return text

    def wait_for_ghost(self, fits: Callable[[str], bool] = bool) -> str:
        """Wait until ghost text fits (by default: is there) and return it."""
        seen = ""

        def is_there() -> bool:
            nonlocal seen
            seen = self.ghost()
            return fits(seen)

        self.wait(is_there, lambda: f"ghost text that fits; there is {seen!r}")
        return seen

    def wait_for_no_ghost(self) -> None:
        self.wait(lambda: not self.ghost(), lambda: f"no ghost text; there is {self.ghost()!r}")

    def wait_for_no_ghost_of(self, text: str) -> None:
        """Wait until this ghost text is gone; another one may follow it."""
        self.wait(lambda: text not in self.ghost(), lambda: f"{text!r} to go")

    def saved(self, name: str) -> str:
        """Save the file in the active editor and return the text that is on the disk then."""
        self.press("Control+s")
        self.wait(lambda: self.page.locator(".tab.active.dirty").count() == 0, f"{name} to be saved")
        return (self.folder / name).read_bytes().decode()

    def status_icon(self) -> str:
        """Return the classes of the icon in the extension's item of the status bar."""
        icon = self.page.locator(".statusbar-item[id$='completer.status'] .codicon").first
        return icon.get_attribute("class") or ""

    def status_tooltip(self) -> str:
        """Return what the extension's item of the status bar says on hover."""
        self.page.mouse.move(SIZE[0] / 2, SIZE[1] / 2)
        self.page.locator(".statusbar-item[id$='completer.status']").first.hover()
        self.page.wait_for_timeout(1000)
        hovers = self.page.locator(".monaco-hover:visible, .workbench-hover:visible").all_inner_texts()
        return " ".join(hovers).replace("\u00a0", " ")

    def watch(self) -> None:
        """Begin to write down keys and changes of ghost text in the page."""
        self.page.evaluate(_WATCH)

    def watched(self) -> list[dict[str, Any]]:
        """Return what was written down, times in milliseconds since the epoch: keys (`key`) and changes (`ghost`)."""
        log: list[dict[str, Any]] = self.page.evaluate("() => window.ghostLog")
        return log

    def _pick(self, key: str, search: str, wanted: str) -> None:
        """Open a list by a key, search it, and take its first row once that is the one that is wanted."""
        self.press(key)
        self.page.locator(".quick-input-widget input").first.fill(search)
        self.page.locator(f".quick-input-list .monaco-list-row.focused:has-text('{wanted}')").wait_for(timeout=TIMEOUT_S * 1000)
        self.press("Enter")

    def wait(self, holds: Callable[[], bool], what: str | Callable[[], str]) -> None:
        """Poll until `holds()`."""
        deadline = time.monotonic() + TIMEOUT_S
        while not holds():
            if time.monotonic() > deadline:
                self.page.screenshot(path="out/vscode-failed.png")
                raise AssertionError(f"waited {TIMEOUT_S:.0f} s for {what if isinstance(what, str) else what()}")
            time.sleep(0.02)


@contextmanager
def workbench(
    tools: CodeServer, vsix: Path, folder: Path, home: Path, settings: Mapping[str, Any], environment: Mapping[str, str]
) -> Iterator[Workbench]:
    """Install the extension, open `folder`, and give the workbench; everything ends with the block.

    home: an empty folder for the workbench's own files.  settings: of the machine, beside QUIET.
    """
    user, extensions = home / "user", home / "extensions"
    # Settings of the scope "machine" count where the code is, and the browser is not there.
    for scope, values in (("User", QUIET), ("Machine", settings)):
        (user / scope).mkdir(parents=True)
        (user / scope / "settings.json").write_text(json.dumps(dict(values)), encoding="utf-8")
    command = [str(tools.node), str(tools.entry), "--user-data-dir", str(user), "--extensions-dir", str(extensions)]
    run(*command, "--install-extension", str(vsix))
    port = _free_port()
    options = ["--auth", "none", "--bind-addr", f"127.0.0.1:{port}", "--disable-workspace-trust", "--disable-telemetry"]
    with (home / "code-server.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, *options, str(folder)],
            stdout=log,
            stderr=log,
            env=os.environ | dict(environment),
            start_new_session=True,
        )
        try:
            _wait_for_port(port, process, home / "code-server.log")
            with _page(tools) as page:
                page.goto(f"http://127.0.0.1:{port}/?folder={folder}")
                page.locator(".monaco-workbench .part.statusbar").wait_for(timeout=TIMEOUT_S * 1000)
                yield Workbench(page, folder)
        finally:
            os.killpg(process.pid, signal.SIGTERM)  # its extension host, and the language server below that
            process.wait(20)


@contextmanager
def _page(tools: CodeServer) -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(tools.browser.program),
            env=dict(os.environ) | dict(tools.browser.environment),
            args=["--no-sandbox", "--disable-dev-shm-usage"],
        )
        try:
            context = browser.new_context(viewport={"width": SIZE[0], "height": SIZE[1]}, permissions=["clipboard-write"])
            yield context.new_page()
        finally:
            browser.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for_port(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError(f"code-server does not answer: {log.read_text(encoding='utf-8', errors='replace')[-2000:]}")
