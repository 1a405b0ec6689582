"""Released packages that cannot run here, read as text: signatures, fields and constants of their real sources.

The newest release that pyproject.toml allows is fetched once into the user's cache folder. Nothing of it is imported or run;
of a signature only the names, kinds and literal defaults are rebuilt.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import inspect
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from filelock import FileLock
from platformdirs import user_cache_path

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"


class Release:
    """The sources of one package. File names are relative to its folder; qualified names are `Class.method` or `function`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._trees: dict[str, ast.Module] = {}

    def text(self, file: str) -> str:
        return (self.folder / file).read_text(encoding="utf-8")

    def signature(self, file: str, qualified: str) -> inspect.Signature:
        """Return a real signature. Raises: LookupError when the release has no such function."""
        node = self._node(file, qualified)
        assert isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef), qualified
        for argument in ast.walk(node.args):
            if isinstance(argument, ast.arg):
                argument.annotation = None
        node.args.defaults = [_literal(default) for default in node.args.defaults]
        node.args.kw_defaults = [default and _literal(default) for default in node.args.kw_defaults]
        scope: dict[str, Any] = {}
        exec(f"def function({ast.unparse(node.args)}): ...", scope)
        return inspect.signature(scope["function"])

    def checked(self, file: str, qualified: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Return a decorator for a stand-in: calls must fit the real signature, and the stand-in gets its arguments by name."""
        signature = self.signature(file, qualified)

        def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
            wanted = list(inspect.signature(function).parameters)
            unknown = set(wanted) - set(signature.parameters)
            assert not unknown, f"{qualified} has no parameters {sorted(unknown)} any more"

            @functools.wraps(function)
            def call(*args: Any, **kwargs: Any) -> Any:
                bound = signature.bind(*args, **kwargs)
                bound.apply_defaults()
                return function(**{name: bound.arguments[name] for name in wanted})

            return call

        return decorate

    def attributes(self, file: str, *classes: str) -> set[str]:
        """Return the names that classes declare in their bodies or assign to `self`."""
        found: set[str] = set()
        for class_ in classes:
            for node in ast.walk(self._node(file, class_)):
                if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                    found.add(node.target.id)
                if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self":
                    found.add(node.attr)
                if isinstance(node, ast.FunctionDef):
                    found.add(node.name)
        return found

    def fields(self, file: str, class_: str) -> dict[str, Any]:
        """Return the fields of a dataclass with their literal defaults."""
        node = self._node(file, class_)
        assert isinstance(node, ast.ClassDef)
        lines = [line for line in node.body if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name)]
        return {line.target.id: ast.literal_eval(_literal(line.value)) for line in lines if line.value}  # type: ignore[union-attr]

    def constant(self, file: str, name: str) -> Any:
        for node in ast.parse(self.text(file)).body:
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == name:
                return ast.literal_eval(node.value)
        raise LookupError(name)

    def exports(self) -> set[str]:
        """Return the names that the package itself imports from its modules."""
        tree = ast.parse(self.text("__init__.py"))
        return {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}

    def _node(self, file: str, qualified: str) -> ast.AST:
        if file not in self._trees:
            self._trees[file] = ast.parse(self.text(file))
        node: ast.AST = self._trees[file]
        for name in qualified.split("."):
            inside = getattr(node, "body", [])
            node = next((child for child in inside if getattr(child, "name", "") == name), None)  # type: ignore[assignment]
            if node is None:
                raise LookupError(f"{self.folder.name} has no {qualified} in {file} any more")
        return node


@functools.cache
def release(package: str) -> Release:
    """Return the newest release that the extra of the same name allows, fetched if it is not in the cache folder.

    Raises: subprocess.CalledProcessError when the index cannot deliver it; there is no other way to test against it.
    """
    extras = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    requirement = next(line for line in extras[package] if line.startswith(package))
    key = hashlib.sha256(requirement.encode()).hexdigest()[:8]
    folder = user_cache_path("completer", appauthor=False) / "releases" / f"{package}-{key}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        if not folder.is_dir():
            _fetch(requirement, package, folder)
    return Release(folder / package)


def _fetch(requirement: str, package: str, folder: Path) -> None:
    """Download the wheel for Linux (no other has them all) and keep its Python files."""
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        target = ("--only-binary=:all:", "--platform", "manylinux_2_28_x86_64", "--python-version", "3.11")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", *target, "-d", scratch, requirement]
        subprocess.run(command, check=True, timeout=240)
        wheel = next(Path(scratch).glob("*.whl"))
        with zipfile.ZipFile(wheel) as archive:
            names = [name for name in archive.namelist() if name.startswith(f"{package}/") and name.endswith(".py")]
            archive.extractall(Path(scratch) / "sources", names)
        (Path(scratch) / "sources").rename(folder)


def _literal(default: ast.expr | None) -> ast.expr:
    """Return a default as it is when it is a literal, else None in its place."""
    try:
        ast.literal_eval(default or ast.Constant(None))
    except ValueError:
        return ast.Constant(None)
    return default or ast.Constant(None)
