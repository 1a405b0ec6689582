"""VS Code where no server is installed yet: the extension asks, and starts what the user chooses."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.editors.vscode_session import FILES, opened
from tests.editors.workbench import Workbench

pytestmark = [pytest.mark.editor, pytest.mark.model, pytest.mark.timeout(280)]


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[Workbench]:
    """A workbench whose PATH has no server."""
    with opened(tmp_path, {"tab.py": FILES["tab.py"]}, {}, {"PATH": "/usr/bin:/bin"}) as editor:
        yield editor


def test_a_python_is_chosen_where_there_is_no_server(bare: Workbench) -> None:
    bare.wait(lambda: "warning" in bare.status_icon(), "the status bar to say that there is no server")
    bare.notification_button("needs its server", "Choose a Python…").click()
    bare.answer_prompt(sys.executable)
    bare.wait(lambda: "check" in bare.status_icon(), "the status bar to say ready")
    bare.open("tab.py")
    bare.go_to(11, 1)
    bare.type("        return Point(self.x + o", delay_ms=20)
    bare.wait_for_ghost(lambda text: text.startswith("ther.x"))


def test_what_is_no_python_with_the_server_is_refused(bare: Workbench) -> None:
    bare.notification_button("needs its server", "Choose a Python…").click()
    bare.answer_prompt("/usr/bin/env")
    bare.notification_button("could not be installed", "Show the Log").wait_for(timeout=30_000)
    assert "warning" in bare.status_icon()
