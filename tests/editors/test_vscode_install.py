"""VS Code where no server is installed yet: the extension asks, and starts what the user chooses."""

from __future__ import annotations

import sys
import sysconfig
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.editors.vscode_session import FILES, opened
from tests.editors.workbench import Workbench

pytestmark = [pytest.mark.editor, pytest.mark.model, pytest.mark.timeout(280)]


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[Workbench]:
    """A workbench that has Python on its PATH, and no server.

    What the server needs besides itself is borrowed from this environment: that is 1 GB less to install.
    """
    paths = {"PATH": f"{Path(sys.base_prefix) / 'bin'}:/usr/bin:/bin"}
    settings = {"completer.server.pipArguments": ["--no-deps", str(borrowed_wheel(tmp_path))]}
    with opened(tmp_path, {"tab.py": FILES["tab.py"]}, settings, paths) as editor:
        yield editor


def borrowed_wheel(folder: Path) -> Path:
    """Return a wheel that puts the packages of this environment on the path of another; PYTHONPATH is ignored there."""
    info = "borrowed-1.0.dist-info"
    members = {
        "borrowed.pth": f"{sysconfig.get_path('purelib')}\n",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: borrowed\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    wheel = folder / "borrowed-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in {**members, f"{info}/RECORD": "".join(f"{name},,\n" for name in (*members, f"{info}/RECORD"))}.items():
            archive.writestr(name, text)
    return wheel


def assert_suggests(editor: Workbench) -> None:
    editor.wait(lambda: "check" in editor.status_icon(), "the status bar to say ready")
    editor.open("tab.py")
    editor.go_to(11, 1)
    editor.type("        return Point(self.x + o", delay_ms=20)
    editor.wait_for_ghost(lambda text: text.startswith("ther.x"))


def test_the_server_in_the_extension_is_installed_where_there_is_none(bare: Workbench) -> None:
    bare.wait(lambda: "warning" in bare.status_icon(), "the status bar to say that there is no server")
    bare.notification_button("needs its server", "Install with Python").click()
    assert_suggests(bare)


def test_a_python_that_has_the_server_is_chosen_and_another_one_refused(bare: Workbench) -> None:
    bare.notification_button("needs its server", "Choose a Python").click()
    bare.answer_file_dialog("/usr/bin/env")
    bare.notification_button("could not be installed", "Show the Log").wait_for(timeout=30_000)
    assert "warning" in bare.status_icon()
    bare.run_command("Completer: Install or Choose the Server")
    bare.notification_button("needs its server", "Choose a Python").click()
    bare.answer_file_dialog(sys.executable)
    assert_suggests(bare)
