"""From the name of a module to its file in the workspace. One resolver for each language, by its rules of thumb."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from completer.prompt.context.workspace import Workspace
from completer.syntax.imports import Import

_MAX_FILES_OF_PACKAGE = 24
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
"""Takes an import, the file that it is in and the workspace. May raise ValueError where the import makes no path."""


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
            yield from go_package(base / imported.module[len(module[1]) :].lstrip("/"), workspace)
        return


def go_package(folder: Path, workspace: Workspace) -> Iterator[Target]:
    """Yield the files of a Go package but for its tests, a couple of dozen at most."""
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
    # A nested class or a static member is named after the class that gives the file its name.
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


RESOLVERS: dict[str, Resolver] = {
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
