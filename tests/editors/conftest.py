"""Editors for the tests. They are fetched by `python -m tests.editors.install`; without them a test fails and says so."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.editors.fake_nvim import SETUP
from tests.editors.install import editors_folder
from tests.editors.install_nvim import VERSIONS, installed
from tests.editors.nvim import Nvim, Start, running
from tests.editors.vscode_session import FILES, Session, session


@pytest.fixture(scope="session", params=VERSIONS)
def nvim_program(request: pytest.FixtureRequest) -> Path:
    """Neovim in each version that the plugin supports."""
    programs = installed(editors_folder())
    if request.param not in programs:
        pytest.fail(f"Neovim {request.param} is missing: python -m tests.editors.install nvim")
    return programs[request.param]


@pytest.fixture
def start(nvim_program: Path, tmp_path: Path) -> Iterator[Start]:
    """`start(init)` gives an editor with that Lua after the test's own configuration."""
    with contextlib.ExitStack() as stack:
        yield lambda init: stack.enter_context(running(nvim_program, init, tmp_path / "nvim"))


@pytest.fixture
def editor(start: Start) -> Nvim:
    """Neovim with the plugin over the scripted server."""
    return start(SETUP)


@pytest.fixture(scope="module")
def vscode(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """VS Code with the extension and the real model, its folder full of files to type into.

    For a module: while it is open, an event loop runs in this thread, which others could not use.
    """
    with session(tmp_path_factory.mktemp("vscode"), FILES) as opened:
        yield opened
