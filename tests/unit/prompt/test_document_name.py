"""The name under which the model sees a document: it always tells the language."""

from __future__ import annotations

import ntpath
from pathlib import Path, PureWindowsPath

import pytest

from completer.document.uri import name_of_file
from completer.prompt.context import document_name as module
from completer.prompt.context.block import BlockMaker
from completer.prompt.context.document_name import COMMENTS, document_name
from completer.syntax.endings import ENDINGS, language_of_file
from completer.tokens.fim import FORMATS
from completer.tokens.tokenizer import FimIds, Tokenizer

FOLDER = Path("/home/me/shop")


@pytest.mark.parametrize(
    ("uri", "language", "name"),
    [
        ("file:///home/me/shop/src/cart.go", "go", "src/cart.go"),
        ("file:///home/me/shop/../other/cart.go", "go", "cart.go"),
        ("file:///tmp/cart.go", "go", "cart.go"),
        ("untitled:Untitled-1", "go", "Untitled-1.go"),
        ("untitled:Untitled-1", "makefile", "Makefile"),
        ("untitled:", "rust", "main.rs"),
        ("file:///home/me/shop/script", "python", "script.py"),
        ("file:///home/me/shop/page.html", "php", "page.php"),  # the user chose another language than the ending's
        ("file:///home/me/shop/list.h", "cpp", "list.h"),
        ("file:///home/me/shop/analysis.R", "r", "analysis.R"),
        ("file:///home/me/shop/config.yaml.j2", "yaml", "config.yaml.j2"),
        ("file:///home/me/shop/build/Makefile", "makefile", "build/Makefile"),
        ("file:///home/me/shop/Dockerfile.dev", "dockerfile", "Dockerfile.dev"),
        ("file:///home/me/shop/.bashrc", "shellscript", ".bashrc.sh"),
        ("file:///home/me/shop/notes.unknown", "klingon", "notes.unknown"),
        ("vscode-notebook-cell:/home/me/shop/study.ipynb#W0sZmlsZQ%3D%3D", "python", "study.py"),
        ("file:///home/me/shop/pr%C3%B6%20ject%20%5Ba%5D%20%231.rb", "ruby", "prö ject [a] #1.rb"),
        ("vscode-remote://ssh-remote+host/srv/app/main.kt", "kotlin", "main.kt"),
    ],
)
def test_a_name_is_relative_to_the_folder_and_its_ending_tells_the_language(uri: str, language: str, name: str) -> None:
    assert document_name(uri, language, [FOLDER]) == name


def test_with_several_folders_the_name_begins_with_the_innermost_one() -> None:
    folders = [FOLDER, FOLDER / "api", Path("/home/me/site")]
    assert document_name("file:///home/me/shop/api/a.py", "python", folders) == "api/a.py"
    assert document_name("file:///home/me/site/a.py", "python", folders) == "site/a.py"


def test_no_name_leads_out_of_the_folder_or_is_long() -> None:
    assert document_name("file:///home/other/secret/plan.py", "python", [FOLDER]) == "plan.py"
    assert len(document_name("file:///home/me/shop/" + "d/" * 300 + "a.py", "python", [FOLDER])) <= 120


@pytest.mark.parametrize(
    ("uri", "folder", "name"),
    [
        ("file:///c%3A/Users/Me/shop/src/cart.go", "file:///C:/users/me/shop", "src/cart.go"),
        ("file://server/share/shop/src/cart.go", "file://server/share/shop", "src/cart.go"),
        ("file:///d%3A/cart.go", "file:///c%3A/shop", "cart.go"),
        ("untitled:Untitled-1", "file:///c%3A/shop", "Untitled-1.go"),
    ],
)
def test_names_of_windows_files_are_told_with_slashes(uri: str, folder: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With Windows' rules for paths, on any system."""

    def path_of(uri: str) -> PureWindowsPath | None:
        written = name_of_file(uri, windows=True)
        return PureWindowsPath(written) if written else None

    monkeypatch.setattr(module, "Path", PureWindowsPath)
    monkeypatch.setattr(module, "path_of", path_of)
    monkeypatch.setattr(module.os, "path", ntpath)
    found = path_of(folder)
    assert found is not None
    assert document_name(uri, "go", [found]) == name  # type: ignore[list-item]


@pytest.mark.parametrize("language", sorted(ENDINGS))
def test_an_unnamed_document_of_every_language_gets_an_ending_or_a_name_of_that_language(language: str) -> None:
    name = document_name("untitled:Untitled-1", language, [])
    assert name in ("Makefile", "Dockerfile") or name == f"Untitled-1.{ENDINGS[language].split()[0]}"


def test_every_language_with_a_comment_sign_has_an_ending() -> None:
    assert {language for languages in COMMENTS.values() for language in languages.split()} <= set(ENDINGS)


@pytest.mark.parametrize(("family", "language", "line"), [("codellama", "go", "// a.go\n"), ("codellama", "r", "# a.go\n")])
def test_families_without_a_token_for_files_get_a_comment_of_the_language(
    tokenizer: Tokenizer, family: str, language: str, line: str
) -> None:
    fim = tokenizer.fim
    own = Tokenizer.__new__(Tokenizer)
    own.__dict__.update(tokenizer.__dict__)
    own.fim = FimIds(FORMATS[family], fim.prefix, fim.suffix, fim.middle, None, None, None, fim.end)
    assert own.bytes_of(BlockMaker(own, 100).file_ids("a.go", language)) == line.encode()


@pytest.mark.parametrize(
    ("name", "language"),
    [
        ("a.py", "python"), ("a.mjs", "javascript"), ("a.jsx", "javascriptreact"), ("a.ts", "typescript"),
        ("a.tsx", "typescriptreact"),
        ("a.h", "c"), ("a.hpp", "cpp"), ("a.cs", "csharp"), ("a.bash", "shellscript"), ("a.yml", "yaml"), ("a.json", "json"),
        ("a.md", "markdown"), ("a.HTML", "html"), ("a.scss", "scss"), ("a.kt", "plaintext"), ("a", "plaintext"), ("py", "python"),
    ],
)  # fmt: skip
def test_a_file_is_in_the_language_of_its_ending(name: str, language: str) -> None:
    assert language_of_file(name) == language
