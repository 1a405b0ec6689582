"""Only a file: URI names a path."""

from __future__ import annotations

from pathlib import Path

import pytest

from completer.document.uri import path_of


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("file:///home/a/b.py", "/home/a/b.py"),
        ("file:///a%20b/%C3%BC.py", "/a b/ü.py"),
        ("file:///a/b%23c.py", "/a/b#c.py"),
        ("file:///a/b.py#L1", "/a/b.py"),
        ("FILE:///a", "/a"),
        ("untitled:Untitled-1", None),
        ("vscode-notebook-cell:/a/b.ipynb#W0", None),
        ("http://example.com/a.py", None),
        ("git:/a/b.py?ref", None),
        ("/a/b.py", None),
        ("file:", None),
        ("file://", None),
        ("file:///a%00b", None),
        ("file://[::1/a", None),
        ("", None),
    ],
)
def test_the_path_of_a_uri(uri: str, path: str | None) -> None:
    assert path_of(uri) == (Path(path) if path else None)


@pytest.mark.parametrize("name", ["a b.py", "ü%20.py", "a#b?.py", "😀"])
def test_the_uri_of_a_path_leads_back_to_it(tmp_path: Path, name: str) -> None:
    assert path_of((tmp_path / name).as_uri()) == tmp_path / name
