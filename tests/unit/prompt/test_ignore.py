"""What is ignored is what `git check-ignore` says, and to say so never takes long."""

import os
import random
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from completer.prompt.context import ignore
from completer.prompt.context.git_folder import global_excludes
from completer.prompt.context.ignore import MAX_DEPTH, MAX_RULES_BYTES, IgnoreRules
from completer.prompt.context.ignore_file import MAX_RULES, IgnoreFile, TooMuchWork, Work
from completer.prompt.context.wildmatch import Wildmatch

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No configuration but the test's own counts, for git and for us."""
    home = tmp_path / "home"
    home.mkdir()
    found = {"HOME": home, "USERPROFILE": home, "GIT_CONFIG_NOSYSTEM": "1", "XDG_CONFIG_HOME": home / ".config"}
    for name, value in found.items():
        monkeypatch.setenv(name, str(value))
    for name in ("GIT_CONFIG_GLOBAL", "GIT_DIR", "GIT_WORK_TREE"):
        monkeypatch.delenv(name, raising=False)


def write_files(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


def git(folder: Path, *arguments: str, given: bytes = b"") -> bytes:
    command = ["git", "-c", "core.fsmonitor=false", *arguments]
    must_succeed = "check-ignore" not in arguments  # it exits with 1 when nothing is ignored
    return subprocess.run(command, cwd=folder, input=given, capture_output=True, check=must_succeed, timeout=30).stdout


def init(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    git(folder, "init", "-q", "--template=")
    (folder / ".git" / "info").mkdir(exist_ok=True)
    return folder.resolve()


def said_by_git(folder: Path, paths: Iterable[Path], fold: bool = False) -> set[Path]:
    given = b"\0".join(os.fsencode(path) for path in paths) + b"\0"
    said = git(folder, "-c", f"core.ignorecase={str(fold).lower()}", "check-ignore", "--no-index", "-z", "--stdin", given=given)
    return {Path(os.fsdecode(path)) for path in said.split(b"\0") if path}


def said_by_us(folder: Path, paths: Iterable[Path], fold: bool = False) -> set[Path]:
    rules = IgnoreRules(folder, fold)
    return {path for path in paths if rules.ignores(path, path.is_dir())}


def everything_in(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*")) if ".git" not in path.parts]


NAMES = ["a", "b", "ab", "A", "ba", "aab", "a b", "b ", "!a", "#a", "[a]", "a]", "-", "a-b", "é", "a.b", ".a", "\\", "*", "^"]
ATOMS = [
    *("a", "b", "A", "ab", "é", ".", "-", " ", "!", "#", "]", "^", "\\", "\\ ", "\\a", "\\*", "\\!", "\\#", "\\\\"),
    *("/", "/", "/", "*", "*", "**", "***", "/**", "**/", "/**/", "?", "*/", "**\\/"),
    *("[ab]", "[!a]", "[^b]", "[a-b]", "[]a]", "[!]a]", "[a", "[", "[]", "[a-]", "[-a]", "[\\]]", "[\\a-b]", "[A-B]", "[/]"),
    *("[[:alpha:]]", "[[:upper:]]", "[![:digit:]]", "[[:foo:]]", "[[:a]", "[[:]", "[[::]]", "[a[:punct:]-]", "[[a]", "[b-a]"),
]
ENDS = ["\n", "\n", "\n", "\r\n", "  \n", " \r\n", "\\ \n", "\t\n", "/\n", "/ \n", "\r\r\n"]


def some_rules(chance: random.Random, n: int) -> bytes:
    lines = []
    for _ in range(n):
        start = chance.choice(["", "", "", "", "!", "!", "#", "/", "!/", " "])
        lines.append(start + "".join(chance.choices(ATOMS, k=chance.randint(0, 4))) + chance.choice(ENDS))
    text = chance.choice(["", "", "", "\ufeff"]) + "".join(lines)
    return text.encode()[: -1 if chance.random() < 0.2 else None]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with folders and files of all the names."""
    folder = tmp_path_factory.mktemp("law").resolve()
    chance = random.Random(7)
    for _ in range(60):
        parts = chance.choices(NAMES, k=chance.randint(1, 4))
        file = folder.joinpath(*parts)
        if not any(parent.is_file() for parent in file.parents) and not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("")
    return folder


@pytest.mark.skipif(os.name == "nt", reason="the names of the tree are not allowed there")
@pytest.mark.parametrize("fold", [False, True])
@pytest.mark.parametrize("seed", range(40))
def test_git_ignores_the_same_files(tree: Path, seed: int, fold: bool) -> None:
    chance = random.Random(seed)
    init(tree)
    rule_files = [tree / ".gitignore", tree / ".git" / "info" / "exclude", global_excludes()]
    rule_files += [path / ".gitignore" for path in everything_in(tree) if path.is_dir() and chance.random() < 0.2]
    written = [file for file in rule_files if file is not None and (chance.random() < 0.6 or file.parent == tree)]
    for file in written:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(some_rules(chance, chance.randint(1, 4)))
    paths = [path for path in everything_in(tree) if path.name != ".gitignore"]
    try:
        assert said_by_us(tree, paths, fold) == said_by_git(tree, paths, fold), {str(file): file.read_bytes() for file in written}
    finally:
        for file in written:
            file.unlink()


PATTERNS = ["a**/b", "**/b", "a/**", "**", "*/b", "/a", "a/", "a/*/b", "**/a/**/b", "[ab]*", "*.b", "a?b", "\\!a", "foo**/bar"]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_each_kind_of_pattern_means_what_git_means(tmp_path: Path, pattern: str) -> None:
    folder = init(tmp_path / "project")
    names = ["a/b", "aa/b", "ab/x/b", "b", "x/a/y/b", "x/a.b", "axb", "!a", "foobar", "foo/x/bar", "foox/bar"]
    write_files(folder, dict.fromkeys(names, ""))
    paths = everything_in(folder)
    (folder / ".gitignore").write_text(pattern + "\n")
    assert said_by_us(folder, paths) == said_by_git(folder, paths)


def test_a_linked_worktree_has_the_rules_of_its_repository(tmp_path: Path) -> None:
    main = init(tmp_path / "main")
    write_files(main, {"kept.py": "", ".git/info/exclude": "secret.py\n"})
    git(main, "add", "kept.py")
    git(main, "-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-q", "-m", "a")
    git(main, "worktree", "add", "-q", str(tmp_path / "linked"))
    linked = (tmp_path / "linked").resolve()
    write_files(linked, {"secret.py": "", "kept.py": ""})
    paths = [linked / "secret.py", linked / "kept.py"]
    assert said_by_us(linked, paths) == said_by_git(linked, paths) == {linked / "secret.py"}


def test_a_submodule_has_the_rules_of_its_own_folder_in_the_outer_repository(tmp_path: Path) -> None:
    library, outer = init(tmp_path / "library"), init(tmp_path / "outer")
    for folder, command in ((library, "commit -q --allow-empty -m a"), (outer, f"submodule --quiet add {library} inner")):
        allowed = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "protocol.file.allow=always")
        git(folder, *allowed, *command.split())
    write_files(outer, {".git/modules/inner/info/exclude": "secret.py\n", "inner/secret.py": "", "inner/kept.py": ""})
    inner = outer / "inner"
    paths = [inner / "secret.py", inner / "kept.py"]
    assert said_by_us(inner, paths) == said_by_us(outer, paths) == said_by_git(inner, paths) == {inner / "secret.py"}


FOREIGN = {
    "any folder": "gitdir: {foreign}/.git\n",
    "a worktree of another folder": "gitdir: {foreign}/.git/worktrees/other\n",
    "a path that leaves a folder around": "gitdir: {around}/.git/../../foreign/.git\n",
    "a link": None,
    "a link inside": None,
}


@pytest.mark.parametrize("case", FOREIGN)
def test_what_a_git_file_names_is_not_looked_at_unless_it_names_this_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    foreign, folder = init(tmp_path / "foreign"), (tmp_path / "around" / "project").resolve()
    write_files(foreign, {".git/info/exclude": "a.py\n", ".git/worktrees/other/gitdir": f"{tmp_path}/elsewhere/.git\n"})
    write_files(foreign, {".git/worktrees/other/commondir": "../..\n"})
    write_files(folder, {"a.py": ""})
    if case == "a link":
        (folder / ".git").symlink_to(foreign / ".git")
    elif case == "a link inside":
        shutil.copytree(foreign / ".git", folder / ".git", ignore=shutil.ignore_patterns("info"))
        (folder / ".git" / "info").symlink_to(foreign / ".git" / "info")
    else:
        write_files(folder, {".git": (FOREIGN[case] or "").format(foreign=foreign, around=folder.parent)})
    looked_at: list[str] = []
    for name in ("stat", "lstat", "open"):
        monkeypatch.setattr(os, name, recorded(getattr(os, name), looked_at))
    assert not IgnoreRules(folder).ignores(folder / "a.py")
    monkeypatch.undo()
    back_link = str(foreign / ".git" / "worktrees" / "other" / "gitdir")
    assert {path for path in looked_at if "foreign" in path} <= {back_link}


def recorded(call: Callable[..., Any], paths: list[str]) -> Callable[..., Any]:
    def recording(path: Any, *rest: Any, **options: Any) -> Any:
        if not isinstance(path, int):
            paths.append(os.path.normpath(os.fsdecode(path)))
        return call(path, *rest, **options)

    return recording


def test_a_repository_below_the_folder_has_its_own_rules(tmp_path: Path) -> None:
    outer = init(tmp_path / "outer")
    inner = init(outer / "vendor" / "inner")
    write_files(outer, {".gitignore": "/vendor/inner/made.py\n*.log\n"})
    write_files(inner, {".git/info/exclude": "secret.py\n", "secret.py": "", "made.py": "", "kept.py": ""})
    paths = [inner / name for name in ("secret.py", "kept.py", "made.py")]
    assert said_by_git(inner, paths) == {inner / "secret.py"}
    # What the outer repository ignores stays ignored: only the inner one's own git would take it for visible.
    assert said_by_us(outer, paths) == {inner / "secret.py", inner / "made.py"}


CONFIGURATIONS = [
    "[core]\n\texcludesFile = ~/mine\n",
    '[Core] excludesfile="~/mine" # here\n',
    '[core]\nexcludesfile=/no\nexcludesFile=~/mine\n[core "b"]\nexcludesFile=/no\n',
]


@pytest.mark.parametrize("configuration", CONFIGURATIONS)
def test_the_users_own_ignore_file_counts(tmp_path: Path, configuration: str) -> None:
    folder = init(tmp_path / "project")
    write_files(tmp_path / "home", {".gitconfig": configuration, "mine": "*.private\n", ".config/git/ignore": "*.other\n"})
    write_files(folder, {"a.private": "", "a.other": "", "a.py": ""})
    paths = everything_in(folder)
    assert said_by_us(folder, paths) == said_by_git(folder, paths) == {folder / "a.private"}


def test_the_default_place_of_the_users_ignore_file_counts_without_a_configuration(tmp_path: Path) -> None:
    folder = init(tmp_path / "project")
    write_files(tmp_path / "home", {".config/git/ignore": "*.other\n"})
    write_files(folder, {"a.other": "", "a.py": ""})
    paths = everything_in(folder)
    assert said_by_us(folder, paths) == said_by_git(folder, paths) == {folder / "a.other"}


def test_a_repository_cannot_name_an_ignore_file_of_its_own_choice(tmp_path: Path) -> None:
    folder = init(tmp_path / "project")
    write_files(folder, {"rules": "*.py\n", "a.py": ""})
    git(folder, "config", "core.excludesFile", str(folder / "rules"))
    assert said_by_us(folder, [folder / "a.py"]) == set()


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege there")
def test_rules_are_not_read_through_a_link(tmp_path: Path) -> None:
    folder = init(tmp_path / "project")
    write_files(tmp_path, {"rules": "*.py\n"})
    write_files(folder, {"a.py": ""})
    (folder / ".gitignore").symlink_to(tmp_path / "rules")
    assert said_by_us(folder, [folder / "a.py"]) == said_by_git(folder, [folder / "a.py"]) == set()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes in the file system")
def test_a_pipe_in_the_place_of_a_rule_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / ".gitignore")
    os.mkfifo(tmp_path / ".git")
    assert not IgnoreRules(tmp_path.resolve()).ignores(tmp_path.resolve() / "a.py")


HOSTILE = [
    *("*a" * 8 + "*b", "*a*" * 1_000 + "b", "**/" * 500 + "b", "a/**/" * 300 + "b"),
    *("[a-z]*" * 500 + "!", "?*" * 2_000 + "b", "[" * 5_000),
]


@pytest.mark.parametrize("pattern", HOSTILE, ids=range(len(HOSTILE)))
def test_no_pattern_takes_long(pattern: str) -> None:
    rules = IgnoreFile(f"{pattern}\n".encode() * 20, fold=False)
    started = time.process_time()
    for path in (b"a" * 250, b"a/" * 1_000 + b"a" * 250):
        with suppress(TooMuchWork):
            assert not rules.ignores(path, False, Work())
    assert time.process_time() - started < 1


def test_a_question_ends_when_it_costs_too_much(tmp_path: Path) -> None:
    folder = tmp_path.resolve()
    line = "*" + "a*" * 25 + "b\n"
    (folder / ".gitignore").write_text(line * (MAX_RULES_BYTES // len(line)))
    started = time.process_time()
    assert IgnoreRules(folder).ignores(folder.joinpath(*["a" * 200] * 20))
    assert time.process_time() - started < 2


@pytest.mark.parametrize("text", ["#" * (MAX_RULES_BYTES + 1), "a\n" * (MAX_RULES + 1)], ids=["too many bytes", "too many rules"])
def test_a_rule_file_beyond_the_limits_ignores_everything_below_it(tmp_path: Path, text: str) -> None:
    folder = tmp_path.resolve()
    write_files(folder, {"inner/.gitignore": text})
    assert IgnoreRules(folder).ignores(folder / "inner" / "x.py")
    assert not IgnoreRules(folder).ignores(folder / "x.py")


def test_rule_files_are_read_up_to_a_limit_in_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ignore, "MAX_TOTAL_BYTES", 100)
    folder = tmp_path.resolve()
    write_files(folder, {f"{name}/.gitignore": "#" * 60 for name in "ab"})
    rules = IgnoreRules(folder)
    assert [rules.ignores(folder / name / "x.py") for name in "ab"] == [False, True]


def test_what_lies_too_deep_is_ignored(tmp_path: Path) -> None:
    folder = tmp_path.resolve()
    assert IgnoreRules(folder).ignores(folder.joinpath(*["a"] * (MAX_DEPTH + 1)))
    assert not IgnoreRules(folder).ignores(folder.joinpath(*["a"] * MAX_DEPTH))


def test_a_matcher_stays_small() -> None:
    assert Wildmatch(b"*a" * 1_000, paths=False).matches(b"a" * 1_000)
