"""Only a file: URI names a path."""

from __future__ import annotations

from pathlib import Path, PureWindowsPath

import pytest

from completer.document.uri import name_of_file, path_of


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


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("file:///c%3A/Users/me/a.py", r"c:\Users\me\a.py"),  # as VS Code writes it
        ("file:///C:/Users/me/a.py", r"C:\Users\me\a.py"),  # as Neovim writes it
        ("file:///c%3a/a%20b/%C3%BC%23.py", "c:\\a b\\ü#.py"),
        ("file:///c:", ""),
        ("file:///c%3A/", "c:\\"),
        ("file://localhost/c%3A/a.py", r"c:\a.py"),
        ("file://server/share/a%20b.py", r"\\server\share\a b.py"),
        ("file:////server/share/a.py", r"\\server\share\a.py"),
        ("file://wsl.localhost/Ubuntu/home/a.py", r"\\wsl.localhost\Ubuntu\home\a.py"),
        ("file:///c%3A/a%00b", ""),
        ("untitled:c:\\a.py", ""),
        ("c:/a.py", ""),
        ("file:///home/a.py", ""),  # of which drive?
    ],
)
def test_the_path_of_a_uri_on_windows(uri: str, path: str) -> None:
    assert name_of_file(uri, windows=True) == path


@pytest.mark.parametrize("path", [r"C:\Users\me\a b\ü#%.py", r"\\server\share\a b.py", "D:\\😀.txt"])
def test_the_uri_of_a_windows_path_leads_back_to_it(path: str) -> None:
    assert name_of_file(PureWindowsPath(path).as_uri(), windows=True) == path


def test_vs_code_and_other_editors_name_the_same_file() -> None:
    ours, others = (PureWindowsPath(name_of_file(uri, windows=True)) for uri in ("file:///c%3A/A/b.py", "file:///C:/a/B.py"))
    assert ours == others and ours.is_absolute()
