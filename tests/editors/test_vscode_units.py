"""The extension's own checks: types, and tests of its pure logic."""

from __future__ import annotations

import pytest

from tests.editors.install_code_server import run_npm
from tests.editors.vscode_session import EXTENSION, install_node_modules

pytestmark = pytest.mark.editor


def test_the_types_are_right() -> None:
    install_node_modules()
    run_npm("run", "check", cwd=EXTENSION)


def test_the_pure_logic_passes_its_own_tests() -> None:
    run_npm("test", cwd=EXTENSION)
