"""From an import to the file of the workspace that it names. One resolver for each language, by its rules of thumb.

A resolver looks for files that exist and may be read; what is installed elsewhere is not found, and that is intended.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

from completer.prompt.context.workspace import Workspace
from completer.syntax.imports import Import, imports
from completer.syntax.tree import SyntaxTree

_MAX_FILES_OF_PACKAGE = 24
_MAX_IMPORTS = 400
"""Imports of one file that are looked at."""
_MAX_MODULE_CP = 300
_MAX_LINE_CP = 1_000
"""A manifest with a longer line was made for a program, if not against one: it is not parsed."""
_JS_ENDINGS = (".ts", ".tsx", ".d.ts", ".js", ".jsx", ".mjs", ".cjs", ".mts", ".cts")
MAX_TARGETS = 20
MAX_TARGET_CP = 300
"""Targets of one pattern in a tsconfig.json that are tried, and characters of each."""


class Target(NamedTuple):
    """A file that an import names, and what is taken from it; names (): whatever the importing file mentions."""

    path: Path
    names: tuple[str, ...] = ()


Resolver = Callable[[Import, Path, Workspace], Iterator[Target]]


def imported_files(tree: SyntaxTree, file: Path, workspace: Workspace) -> list[Target]:
    """Return the files that a document imports, and those that its language shows it without an import.

    file: where the document lies. Each path comes once, with all its names. Only files that may be read.
    """
    language_id = tree.language.ids[0] if tree.language.ids else ""
    resolve = _RESOLVERS.get(language_id)
    found: dict[Path, tuple[str, ...] | None] = {}
    if resolve is not None:
        for imported in read_imports(tree, language_id):
            for target in resolve(imported, file, workspace):
                _add(found, target, file, workspace)
    for target in _siblings(tree, file, workspace, language_id):
        _add(found, target, file, workspace)
    return [Target(path, names or ()) for path, names in found.items()]


def reexports(tree: SyntaxTree, file: Path, workspace: Workspace, name: str) -> list[Target]:
    """Return the files from which a module takes `name` to hand it on."""
    language_id = tree.language.ids[0] if tree.language.ids else ""
    resolve = _RESOLVERS.get(language_id)
    if resolve is None:
        return []
    handed = [one for one in read_imports(tree, language_id) if not one.names or {name, "*"} & set(one.names)]
    return [target._replace(names=(name,)) for one in handed for target in resolve(one, file, workspace)]


def _add(found: dict[Path, tuple[str, ...] | None], target: Target, file: Path, workspace: Workspace) -> None:
    real = workspace.locate(target.path)
    if real is None or real == file:
        return
    names = tuple(name for name in target.names if name != "*")
    before = found.get(real, ())
    found[real] = before + tuple(name for name in names if name not in before) if before is not None and names else None


def read_imports(tree: SyntaxTree, language_id: str) -> list[Import]:
    """Return the first imports of a file, those that the grammar sees and those that it does not."""
    found = (one for one in chain(imports(tree), _unparsed(tree, language_id)) if len(one.module) <= _MAX_MODULE_CP)
    return list(islice(found, _MAX_IMPORTS))


def _unparsed(tree: SyntaxTree, language_id: str) -> Iterator[Import]:
    """Imports that the grammar sees as calls or as something else."""
    pattern = _UNPARSED.get(language_id)
    if pattern is None:
        return
    text = tree.data.decode(errors="replace")
    for match in re.finditer(pattern, text, re.MULTILINE):
        names = match.groupdict().get("names") or ""
        yield Import(match["module"], tuple(_NAME.findall(names)))


# Each of these reads a text once: what may repeat can't run on over the next place where the pattern may begin.
_NAME = re.compile(r"\b\w++(?=\s*+(?:,|$|:|as\b))")
_REQUIRE = (
    r"(?:\b(?:const|let|var)\b\s*+(?:\{(?P<names>[^{}]*+)\}|\w++)\s*+=\s*+require\(|\bexport\s++(?:\*|\{[^{}]*+\})\s*+from\s*+)"
    r"""['"](?P<module>[^'"\n]++)['"]"""
)
_UNPARSED = {
    "javascript": _REQUIRE,
    "typescript": _REQUIRE,
    "typescriptreact": _REQUIRE,
    "rust": r"^[ \t]*+(?:pub(?:\([^)\n]*+\))? )?mod (?P<module>\w++);",
    "ruby": r"""^[ \t]*+require(?:_relative)? ['"](?P<module>[^'"\n]++)['"]""",
    "lua": r"""\brequire\s*+(?:\(\s*+)?['"](?P<module>[^'"\n]++)['"]""",
    "shellscript": r"""^[ \t]*+(?:source|\.)[ \t]++["']?(?P<module>[^\s"']++)""",
}


def _python(imported: Import, file: Path, workspace: Workspace) -> Iterator[Target]:
    dots = len(imported.module) - len(imported.module.lstrip("."))
    parts = [part for part in imported.module.lstrip(".").split(".") if part]
    if dots:
        base = file.parent
        for _ in range(dots - 1):
            base = base.parent
        bases = [base]
    else:
        bases = _python_roots(file, workspace)
    for base in bases:
        place = base.joinpath(*parts)
        files = [*([place.with_name(f"{place.name}.py")] if parts else []), place / "__init__.py"]
        module = next((f for f in files if workspace.is_file(f)), None)
        package = place if workspace.is_folder(place) else None
        submodules = {
            name: inner
            for name in imported.names
            if package is not None
            for inner in (package / f"{name}.py", package / name / "__init__.py")
            if workspace.is_file(inner)
        }
        for inner in submodules.values():
            yield Target(inner)
        rest = tuple(name for name in imported.names if name not in submodules)
        if module is not None and (rest or not imported.names):
            yield Target(module, rest)
        if module is not None or submodules:
            return


def _python_roots(file: Path, workspace: Workspace) -> list[Path]:
    """Where absolute imports may start: above the outermost package of the file, at each folder, in its `src`."""
    top = file.parent
    while top != top.parent and workspace.is_file(top / "__init__.py"):
        top = top.parent
    roots = [top]
    folder = workspace.folder_of(file)
    while folder is not None and top != folder and top.is_relative_to(folder):
        top = top.parent
        roots += [top, top / "src"]
    roots += [place for other in workspace.folders for place in (other, other / "src")]
    return list(dict.fromkeys(roots))


def _javascript(imported: Import, file: Path, workspace: Workspace) -> Iterator[Target]:
    if imported.module.startswith("."):
        places = [file.parent / imported.module]
    else:
        places = [*_tsconfig_paths(imported.module, file, workspace), *_packages(imported.module, workspace)]
    for place in places:
        stem = re.sub(r"\.(?:js|mjs|cjs|jsx)$", "", place.name)  # TypeScript names its sources by what they become
        candidates = [place, *(place.with_name(stem + ending) for ending in _JS_ENDINGS)]
        candidates += [place / f"index{ending}" for ending in _JS_ENDINGS]
        if (found := next((f for f in candidates if workspace.is_file(f)), None)) is not None:
            yield Target(Path(*found.parts), imported.names)
            return


def _tsconfig_paths(module: str, file: Path, workspace: Workspace) -> Iterator[Path]:
    folder = workspace.folder_of(file)
    for base in file.parents:
        if folder is None or not base.is_relative_to(folder):
            return
        text = next((t for name in ("tsconfig.json", "jsconfig.json") if (t := workspace.read(base / name))), None)
        if text is None:
            continue
        options = _table(settings_of(text).get("compilerOptions"))
        root = base / str(options.get("baseUrl") or ".")
        for pattern, targets in _table(options.get("paths")).items():
            head, star, _ = pattern.partition("*")
            if isinstance(targets, list) and (module == pattern or (star and module.startswith(head))):
                # A target has one star, and the first one that exists counts: hostile files have thousands of both.
                for target in map(str, targets[:MAX_TARGETS]):
                    if len(target) <= MAX_TARGET_CP and (written := target.replace("*", module[len(head) :], 1)).strip("/."):
                        yield root / written
        if "baseUrl" in options:
            yield root / module
        return


def _packages(module: str, workspace: Workspace) -> Iterator[Path]:
    """The package of a monorepo that bears the name; `@a/b/c` is the file c of the package @a/b."""
    n_name = 2 if module.startswith("@") else 1
    parts = module.split("/")
    name, inner = "/".join(parts[:n_name]), "/".join(parts[n_name:])
    for manifest in workspace.with_suffix("package.json"):
        described = settings_of(workspace.read(manifest) or "")
        if described.get("name") != name:
            continue
        folder = manifest.parent
        if inner:
            yield from (folder / inner, folder / "src" / inner)
        else:
            yield from (folder / str(described[key]) for key in ("source", "types", "main") if key in described)
            yield from (folder / "src", folder)


def settings_of(text: str) -> dict[str, Any]:
    """Return JSON as people write it into settings: with comments and a comma too many. {} when it is something else."""
    without = _JSON_COMMENTS.sub(lambda found: found[1] or "", text)
    try:
        return _table(json.loads(re.sub(r",(\s*+[}\]])", r"\1", without)))
    except (ValueError, RecursionError):
        return {}


_JSON_COMMENTS = re.compile(r'("(?:\\.|[^"\\])*+(?:"|\\?\Z))|//[^\n]*+|/\*.*?(?:\*/|\Z)', re.DOTALL)


def _table(value: Any) -> dict[str, Any]:
    """Return a JSON or TOML value where it is a table, else an empty one."""
    return value if isinstance(value, dict) else {}


def _go(imported: Import, file: Path, workspace: Workspace) -> Iterator[Target]:
    for base in file.parents:
        if workspace.folder_of(base) is None:
            return
        text = workspace.read(base / "go.mod")
        if text is None:
            continue
        module = re.search(r"^module\s+(\S+)", text, re.MULTILINE)
        if module and (imported.module == module[1] or imported.module.startswith(f"{module[1]}/")):
            yield from _go_package(base / imported.module[len(module[1]) :].lstrip("/"), workspace)
        return


def _go_package(folder: Path, workspace: Workspace) -> Iterator[Target]:
    files = [f for f in workspace.files_in(folder) if f.suffix == ".go" and not f.name.endswith("_test.go")]
    yield from (Target(found) for found in files[:_MAX_FILES_OF_PACKAGE])


def _rust(imported: Import, file: Path, workspace: Workspace) -> Iterator[Target]:
    parts = [part.strip() for part in imported.module.split("::") if part.strip()]
    own = file.parent if file.name in ("mod.rs", "lib.rs", "main.rs") else file.with_suffix("")
    root = next((base / "src" for base in file.parents if workspace.is_file(base / "Cargo.toml")), file.parent)
    if not parts:
        return
    if parts[0] == "crate":
        places = [(root, parts[1:])]
    elif parts[0] in ("self", "super"):
        base = own
        while parts and parts[0] in ("self", "super"):
            base = base.parent if parts[0] == "super" else base
            parts = parts[1:]
        places = [(base, parts)]
    else:
        places = [(own, parts), *((crate, parts[1:]) for crate in _crates(parts[0], workspace))]
    for base, inner in places:
        found = _rust_module(base, inner, workspace)
        if found is not None and found[0] != file:
            path, rest = found
            yield Target(path, (*rest[:1], *imported.names) if rest else imported.names)
            return


def _rust_module(base: Path, parts: list[str], workspace: Workspace) -> tuple[Path, list[str]] | None:
    """Return the file of the longest path of modules that exists, and the names that are left."""
    for n in range(len(parts), -1, -1):
        place = base.joinpath(*parts[:n])
        candidates: tuple[Path, ...]
        if n:
            candidates = (place.with_name(f"{place.name}.rs"), place / "mod.rs")
        else:
            candidates = (place / "lib.rs", place / "main.rs", place / "mod.rs", place.with_name(f"{place.name}.rs"))
        if (found := next((f for f in candidates if workspace.is_file(f)), None)) is not None:
            return found, parts[n:]
    return None


def _crates(name: str, workspace: Workspace) -> Iterator[Path]:
    for manifest in workspace.with_suffix("Cargo.toml"):
        text = workspace.read(manifest) or ""
        if any(len(line) > _MAX_LINE_CP for line in text.split("\n")):
            continue
        try:
            package = _table(tomllib.loads(text).get("package"))
        except (ValueError, RecursionError):
            continue
        if str(package.get("name", "")).replace("-", "_") == name:
            yield manifest.parent / "src"


def _java(imported: Import, file: Path, workspace: Workspace) -> Iterator[Target]:
    parts = imported.module.split(".")
    if parts[-1] == "*":
        return
    # A nested class or a static member is named behind the class that the file bears the name of.
    for n in range(len(parts), max(len(parts) - 2, 0), -1):
        tail = "/".join(parts[:n]) + ".java"
        near = (base / tail for base in file.parents if workspace.folder_of(base) is not None)
        found = next((path for path in near if workspace.is_file(path)), None) or next(iter(workspace.with_suffix(tail)), None)
        if found is not None:
            yield Target(found, (parts[n - 1],))
            return


def _include(imported: Import, file: Path, workspace: Workspace) -> Iterator[Target]:
    tail = imported.module
    folder = workspace.folder_of(file)
    near = [file.parent / tail, *(base / inner / tail for base in file.parents for inner in ("", "include", "src")
            if folder is not None and base.is_relative_to(folder))]  # fmt: skip
    found = next((path for path in near if workspace.is_file(path)), None) or next(iter(workspace.with_suffix(tail)), None)
    if found is not None:
        yield Target(found)


def _by_name(ending: str) -> Resolver:
    """Languages whose imports name a path or a type, after which the file is called."""

    def resolve(imported: Import, file: Path, workspace: Workspace) -> Iterator[Target]:
        parts = [part for part in re.split(r"[\\./]+", imported.module.removesuffix(ending)) if part]
        beside = file.parent / f"{imported.module.removesuffix(ending)}{ending}"
        if workspace.is_file(beside):
            yield Target(beside)
            return
        for n in (3, 2, 1):
            if len(parts) >= n and (found := workspace.with_suffix("/".join(parts[-n:]) + ending)):
                yield Target(found[0])
                return

    return resolve


def _siblings(tree: SyntaxTree, file: Path, workspace: Workspace, language_id: str) -> Iterator[Target]:
    """Files whose definitions are visible without an import: those of the same package."""
    if language_id == "go":
        yield from _go_package(file.parent, workspace)
    elif language_id in ("java", "csharp"):
        named = set(re.findall(rb"\b[A-Z]\w*", tree.data))
        for path in workspace.files_in(file.parent):
            if path.suffix == file.suffix and path.stem.encode() in named:
                yield Target(path, (path.stem,))


_RESOLVERS: dict[str, Resolver] = {
    "python": _python,
    "javascript": _javascript,
    "typescript": _javascript,
    "typescriptreact": _javascript,
    "go": _go,
    "rust": _rust,
    "java": _java,
    "c": _include,
    "cpp": _include,
    "ruby": _by_name(".rb"),
    "php": _by_name(".php"),
    "lua": _by_name(".lua"),
    "shellscript": _by_name(".sh"),
}
