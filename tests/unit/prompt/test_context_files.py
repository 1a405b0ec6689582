"""Which files may serve as context, and which files imports name."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from completer.prompt.context.gather import GATHER_S, Gatherer, GatherRequest
from completer.prompt.context.imports import imported_files
from completer.prompt.context.skeleton import skeletons
from completer.prompt.context.workspace import MAX_FILE_BYTES, Workspace
from completer.syntax.parse import PARSE_S
from completer.syntax.tree import SyntaxTree
from completer.types import Snapshot
from tests.examples import examples

MARKER = "forbidden_fruit"


def write(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "outer" / "project"
    made.mkdir(parents=True)
    return made.resolve()


FORBIDDEN = {
    "an ignored file": ({".gitignore": "/secret_a.py\n"}, "secret_a.py"),
    "a file in an ignored folder": ({".gitignore": "build/\n"}, "build/a.py"),
    "a file that a rule further down cannot take back": ({".gitignore": "build/\n", "build/.gitignore": "!a.py\n"}, "build/a.py"),
    "a file that a nested rule ignores": ({"pkg/.gitignore": "*.gen.py\n"}, "pkg/inner/a.gen.py"),
    "a file that .completerignore names": ({".completerignore": "private/**\n"}, "private/a.py"),
    "a file that only git takes back": ({".completerignore": "a.py\n", ".gitignore": "!a.py\n"}, "a.py"),
    "a file that the repository's exclude names": ({".git/info/exclude": "a.py\n"}, "a.py"),
    "a file of git itself": ({}, ".git/hooks/a.py"),
    "an environment file": ({}, ".env"),
    "a key": ({}, "server.key"),
    "a large file": ({}, "large.py"),
    "a binary file": ({}, "binary.py"),
    "a file that is not UTF-8": ({}, "latin.py"),
}


@pytest.mark.parametrize("case", FORBIDDEN)
def test_a_forbidden_file_is_never_read(folder: Path, case: str) -> None:
    rules, name = FORBIDDEN[case]
    write(folder, {**rules, name: f"{MARKER} = 1\n", "allowed.py": "x = 1\n"})
    if case == "a large file":
        (folder / name).write_text("#" * (MAX_FILE_BYTES + 1))
    if case == "a binary file":
        (folder / name).write_bytes(b"x = 1\0")
    if case == "a file that is not UTF-8":
        (folder / name).write_bytes(b"x = '\xff\xfe'")
    workspace = Workspace([folder])
    assert workspace.read(folder / "allowed.py") == "x = 1\n"
    assert workspace.read(folder / name) is None
    assert folder / name not in workspace.with_suffix(name) or workspace.read(folder / name) is None


def test_rules_of_the_repository_around_the_folder_count(folder: Path) -> None:
    write(folder.parent, {".git/HEAD": "ref: refs/heads/main\n", ".gitignore": "project/made.py\n"})
    write(folder, {"made.py": "x = 1\n", "kept.py": "x = 1\n"})
    workspace = Workspace([folder])
    assert workspace.read(folder / "made.py") is None
    assert workspace.read(folder / "kept.py") is not None


@pytest.mark.parametrize("path", ["../outside.py", "link.py", "linked/outside.py", "link_to_env.py"])
def test_nothing_outside_the_folders_is_read_whatever_leads_there(folder: Path, path: str) -> None:
    write(folder.parent, {"outside.py": f"{MARKER} = 1\n"})
    write(folder, {".env": f"{MARKER}=1\n"})
    os.symlink(folder.parent / "outside.py", folder / "link.py")
    os.symlink(folder.parent, folder / "linked")
    os.symlink(folder / ".env", folder / "link_to_env.py")
    assert Workspace([folder]).read(folder / path) is None


def test_an_open_document_counts_before_the_disk_but_only_inside_the_folders(folder: Path) -> None:
    write(folder, {"a.py": "old = 1\n"})
    workspace = Workspace([folder])
    inside, outside = folder / "a.py", folder.parent / "b.py"
    workspace.open_texts = {inside: "new = 1\n", outside: "new = 1\n"}
    assert workspace.read(inside) == "new = 1\n"
    assert workspace.read(outside) is None


def test_without_folders_nothing_is_read(folder: Path) -> None:
    write(folder, {"a.py": "x = 1\n"})
    assert Workspace([]).read(folder / "a.py") is None


NAMES = st.sampled_from(["a.py", "b.py", ".env", "deep/c.py", "build/d.py", "id_rsa"])


@examples(40)
@given(ignored=st.lists(NAMES, max_size=3), opened=st.lists(NAMES, max_size=3), imported=st.lists(NAMES, max_size=4))
def test_no_piece_ever_comes_from_a_forbidden_file(
    tmp_path_factory: pytest.TempPathFactory, ignored: list[str], opened: list[str], imported: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("workspace").resolve()
    everything = ["a.py", "b.py", ".env", "deep/c.py", "build/d.py", "id_rsa"]
    forbidden = {*ignored, ".env", "id_rsa"}
    texts = {name: f"def of_{number}(): ...\nvalue_{number} = 1\n" for number, name in enumerate(everything)}
    write(folder, {**texts, ".gitignore": "".join(f"/{name}\n" for name in ignored)})
    modules = [name.removesuffix(".py").replace("/", ".") for name in imported]
    names = " ".join(f"of_{number} value_{number}" for number in range(len(everything)))
    text = "".join(f"from {module} import *\n" for module in modules) + f"# {names}\n"
    others = tuple(Snapshot((folder / name).as_uri(), 1, "python", texts[name] + f"# {names}\n", 0) for name in opened)
    place = GatherRequest(Snapshot((folder / "main.py").as_uri(), 1, "python", text, 0), others, 2000)
    found = Gatherer([folder]).gather(place)
    assert not forbidden & {piece.path for piece in found.pieces}
    said = "\n".join(piece.text.split("#")[0] for piece in found.pieces)
    assert not [name for number, name in enumerate(everything) if name in forbidden and f"of_{number}" in said]


RESOLVED = {
    "python, relative": (
        "python", "pkg/a.py", "from .b import f\nfrom ..top import g\nfrom . import c\n",
        ["pkg/b.py", "top.py", "pkg/c.py"], {"pkg/__init__.py": ""},
    ),
    "python, absolute below src": (
        "python", "tests/test_a.py", "from pkg.b import f\nimport pkg.c\n", ["src/pkg/b.py", "src/pkg/c.py"],
        {"src/pkg/__init__.py": ""},
    ),
    "python, package": ("python", "main.py", "from pkg import f\n", ["pkg/__init__.py"], {}),
    "typescript, relative": (
        "typescript", "src/a.ts", "import {f} from './b';\nimport x from './c.js';\nimport * as d from '../d';\n",
        ["src/b.ts", "src/c.ts", "d/index.ts"], {},
    ),
    "typescript, paths of the configuration": (
        "typescript", "src/a.ts", "import {f} from '@/lib/b';\n", ["src/lib/b.tsx"],
        {"tsconfig.json": '{ // here\n "compilerOptions": {"baseUrl": ".", "paths": {"@/*": ["./src/*"],}}}'},
    ),
    "typescript, package of the monorepo": (
        "typescript", "apps/web/a.ts", "import {f} from '@me/lib';\n", ["packages/lib/src/index.ts"],
        {"packages/lib/package.json": '{"name": "@me/lib"}'},
    ),
    "javascript, require": ("javascript", "a.js", "const {f, g: h} = require('./b');\n", ["b.js"], {}),
    "go": (
        "go", "cmd/a.go", 'package main\nimport "example.org/m/lib"\nimport "fmt"\n', ["cmd/same.go", "lib/x.go", "lib/y.go"],
        {"go.mod": "module example.org/m\n", "lib/x_test.go": "package lib\n"},
    ),
    "rust": (
        "rust", "src/main.rs", "mod b;\nuse crate::c::d::{F, g};\nuse b::H;\n", ["src/b.rs", "src/c/d.rs"], {"Cargo.toml": ""},
    ),
    "rust, super": ("rust", "src/c/d.rs", "use super::e::F;\n", ["src/c/e.rs"], {"Cargo.toml": "", "src/c/mod.rs": ""}),
    "rust, crate of the monorepo": (
        "rust", "app/src/main.rs", "use my_lib::x::F;\n", ["lib/src/x.rs"],
        {"app/Cargo.toml": "", "lib/Cargo.toml": '[package]\nname = "my-lib"\n', "lib/src/lib.rs": ""},
    ),
    "java": (
        "java", "src/main/java/a/b/C.java", "package a.b;\nimport a.x.D;\nclass C { E e; }\n",
        ["src/main/java/a/x/D.java", "src/main/java/a/b/E.java"], {"src/main/java/a/b/Unnamed.java": ""},
    ),
    "c": ("c", "src/a.c", '#include "b.h"\n#include <lib/c.h>\n#include <stdio.h>\n', ["src/b.h", "include/lib/c.h"], {}),
    "cpp": ("cpp", "src/a.cpp", '#include "deep/b.hpp"\n', ["modules/deep/b.hpp"], {}),
    "ruby": ("ruby", "lib/a.rb", "require_relative 'b'\nrequire 'x/c'\n", ["lib/b.rb", "lib/x/c.rb"], {}),
    "php": ("php", "src/A.php", "<?php\nuse App\\Model\\User;\n", ["app/Model/User.php"], {}),
}  # fmt: skip


@pytest.mark.parametrize("case", RESOLVED)
def test_imports_lead_to_the_files_of_the_workspace(folder: Path, case: str) -> None:
    language_id, name, text, expected, others = RESOLVED[case]
    write(folder, {name: text, **dict.fromkeys(expected, "\n"), **others})
    tree = SyntaxTree(language_id, text)
    workspace = Workspace([folder])
    found = [workspace.name_of(target.path) for target in imported_files(tree, folder / name, workspace)]
    assert sorted(found) == sorted(expected)


def test_imports_bring_the_names_they_take(folder: Path) -> None:
    text = "from b import f, g as h\nimport c\n"
    write(folder, {"a.py": text, "b.py": "", "c.py": ""})
    found = imported_files(SyntaxTree("python", text), folder / "a.py", Workspace([folder]))
    assert [(target.path.name, target.names) for target in found] == [("b.py", ("f", "g")), ("c.py", ())]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes in the file system")
def test_pipes_and_devices_are_not_opened(folder: Path) -> None:
    os.mkfifo(folder / "pipe.py")
    os.symlink("/dev/zero", folder / "zero.py")
    workspace = Workspace([folder])
    assert [workspace.read(folder / name) for name in ("pipe.py", "zero.py")] == [None, None]
    assert workspace.files_in(folder) == []
    assert workspace.with_suffix("pipe.py") == []


def test_a_loop_of_links_and_impossible_paths_lead_nowhere(folder: Path) -> None:
    os.symlink(folder / "b", folder / "a")
    os.symlink(folder / "a", folder / "b")
    os.symlink(folder, folder / "again")
    write(folder, {"c.py": "x = 1\n"})
    workspace = Workspace([folder])
    for name in ("a", "a/c.py", "c\0.py", "a" * 300, "a/" * 3_000):
        assert workspace.locate(folder / name) is None
        assert not workspace.is_file(folder / name)
    assert [path.name for path in workspace.with_suffix("c.py")] == ["c.py"]
    assert workspace.read(folder / "again" / "again" / "c.py") == "x = 1\n"


def test_nothing_outside_the_folders_is_even_looked_at(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []
    for name in ("isfile", "isdir", "realpath"):
        real = getattr(os.path, name)
        monkeypatch.setattr(os.path, name, lambda path, real=real, **more: (looked.append(str(path)), real(path, **more))[1])
    text = "from x import y\n" + "".join(f"from {'.' * dots}a import b\n" for dots in range(2, 12))
    write(folder, {"main.py": text, "main.c": '#include "//server/share/x.h"\n#include "/etc/passwd"\n#include "../../x.h"\n'})
    workspace = Workspace([folder])
    looked.clear()
    for name, language_id in (("main.py", "python"), ("main.c", "c")):
        tree = SyntaxTree(language_id, (folder / name).read_text())
        imported_files(tree, folder / name, workspace)
    assert looked
    assert not [path for path in looked if not Path(os.path.normpath(path)).is_relative_to(folder)]


def test_reading_ends_when_its_time_or_its_bytes_are_used_up(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("completer.prompt.context.workspace.MAX_READ_BYTES", 10)
    write(folder, {"a.py": "x = 1\n", "b.py": "y = 2\n"})
    workspace = Workspace([folder])
    workspace.refresh()
    assert [workspace.read(folder / name) for name in ("a.py", "b.py")] == ["x = 1\n", None]
    workspace.refresh(lambda: True)
    assert workspace.read(folder / "a.py") is None
    assert workspace.with_suffix("a.py") == workspace.files_in(folder) == []


def test_a_file_that_grows_while_it_is_read_is_left_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(folder, {"a.py": "#" * (MAX_FILE_BYTES + 1)})
    real = os.fstat

    def smaller(file: int) -> os.stat_result:
        status = real(file)
        return os.stat_result((*status[:6], 10, *status[7:10]))

    monkeypatch.setattr(os, "fstat", smaller)
    assert Workspace([folder]).read(folder / "a.py") is None


HOSTILE_SETTINGS = {
    "deep": '{"compilerOptions": ' + '{"paths":[' * 20_000,
    "comments": "/*" * 100_000,
    "strings": '"\\' * 100_000,
    "other types": '{"compilerOptions": {"baseUrl": 1, "paths": ["a"]}}',
    "a list": "[1]",
}


@pytest.mark.parametrize("case", HOSTILE_SETTINGS)
def test_settings_of_any_form_are_read_without_an_error(folder: Path, case: str) -> None:
    write(folder, {"a.ts": "import {f} from 'b';\n", "tsconfig.json": HOSTILE_SETTINGS[case]})
    started = time.process_time()
    assert imported_files(SyntaxTree("typescript", "import {f} from 'b';\n"), folder / "a.ts", Workspace([folder])) == []
    assert time.process_time() - started < 1


def test_a_manifest_nested_without_end_names_no_crate(folder: Path) -> None:
    files = {
        f"{name}/Cargo.toml": text
        for name, text in {"a": "[" * 900, "b": "x = " + "[\n" * 50_000, "c": "a" + ".a" * 9_000}.items()
    }
    write(folder, {**files, "src/main.rs": "use lib::F;\n", "Cargo.toml": ""})
    assert imported_files(SyntaxTree("rust", "use lib::F;\n"), folder / "src" / "main.rs", Workspace([folder])) == []


HOSTILE_IMPORTS = {
    "main.rs": "use super::super::super::super::super::super::super::super::super::super::F;\nuse self::b::F;\n",
    "main.ts": "import {f} from './a\0a';\nimport {g} from './b';\n",
}


@pytest.mark.parametrize("name", HOSTILE_IMPORTS)
def test_an_import_that_makes_no_path_costs_only_itself(folder: Path, name: str) -> None:
    write(folder, {name: HOSTILE_IMPORTS[name], f"b{Path(name).suffix}": "", "Cargo.toml": ""})
    workspace = Workspace([folder])
    tree = SyntaxTree("rust" if name.endswith("rs") else "typescript", HOSTILE_IMPORTS[name])
    for_root = Workspace([Path("/")]) if name.endswith("rs") else workspace  # only there `super` reaches the top
    found = imported_files(tree, folder / name, for_root)
    assert [target.path.name for target in found] == [f"b{Path(name).suffix}"]


HOSTILE_TYPES = {
    "comments": "  // b\n" * 30_000,
    "comments at the ends of lines": "  x = 1; // b\n" * 16_000,
    "functions": "  f() { g() }\n" * 16_000,
}


@pytest.mark.parametrize("case", HOSTILE_TYPES)
def test_gathering_ends_in_time_whatever_an_imported_type_holds(folder: Path, case: str) -> None:
    text = "import {A} from './a';\nA\n"
    write(folder, {"a.ts": f"export class A {{\n  x = 1;\n{HOSTILE_TYPES[case]}}}\n", "main.ts": text})
    place = GatherRequest(Snapshot((folder / "main.ts").as_uri(), 1, "typescript", text, 0), (), 2000)
    started = time.thread_time()
    Gatherer([folder]).gather(place)
    assert time.thread_time() - started < GATHER_S + PARSE_S


def test_a_definition_is_left_when_the_time_is_up() -> None:
    tree = SyntaxTree("python", "class A:\n    x = 1\n" + "    # b\n" * 1_000)
    n_asked = 0

    def late() -> bool:
        nonlocal n_asked
        n_asked += 1
        return n_asked > 10

    assert list(skeletons(tree, (), late=late)) == []
    assert n_asked < 20
