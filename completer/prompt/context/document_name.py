"""The name under which the model sees a document: its path in the workspace, with an ending that tells its language.

A file name is what tells a model which language it writes: an empty Go file without it gets a program in JavaScript.
Decided by the URI and the language id alone; no file is looked at.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote

from completer.document.uri import path_of
from completer.syntax.endings import ALL_ENDINGS, ENDINGS

UNTITLED = "main"
"""Stem of the name of a document that has none."""
MAX_NAME_CP = 120
"""Of a longer path only the end is shown."""

COMMENTS = {
    "--": "ada elm haskell lua sql vhdl",
    "//": "astro c coffeescript cpp csharp cuda-cpp d dart fsharp gleam glsl go groovy hlsl java javascript javascriptreact jsonc"
    " kotlin objective-c objective-cpp pascal php prisma proto proto3 razor rust sass scala scss solidity swift systemverilog"
    " typescript typescriptreact verilog zig less",
    "%": "erlang latex matlab",
    ";": "clojure scheme",
    "'": "vb",
    "!": "fortran",
}
"""What begins a line comment, where it is not "#"."""
_COMMENT_OF = {language: sign for sign, languages in COMMENTS.items() for language in languages.split()}
_WHOLE_NAMES = {"makefile": "Makefile", "dockerfile": "Dockerfile"}
"""Languages whose files have a name of their own rather than an ending."""
_OWN_NAME = re.compile(r"(?i)(?:gnu)?makefile|(?:docker|container)file(?:\..*)?")


def document_name(uri: str, language_id: str, folders: Sequence[Path]) -> str:
    """Return the name of a document for the model: below its workspace folder, or without any folder; never "".

    folders: the workspace's, as the client wrote them. With several, the folder's own name comes first.
    """
    path = path_of(uri)
    if path is None:  # untitled, a notebook's cell, a file on another machine
        path = Path(re.sub(r"[#?].*", "", unquote(uri).rpartition("/")[2].rpartition(":")[2]))
    around = [folder for folder in map(_plain, folders) if _plain(path).is_relative_to(folder)]
    if around:
        folder = max(around, key=lambda one: len(one.parts))
        parts = _plain(path).relative_to(folder).parts
        parts = parts if len(folders) == 1 else (folder.name, *parts)
    else:
        parts = (path.name,)
    *above, name = parts or ("",)
    return "/".join((*above, _with_ending(name, language_id)))[-MAX_NAME_CP:]


def comment_sign(language_id: str) -> str:
    """Return what begins a line comment in a language; "#" for one that is not known."""
    return _COMMENT_OF.get(language_id, "#")


def _plain(path: Path) -> Path:
    return Path(os.path.normpath(path))


def _with_ending(name: str, language_id: str) -> str:
    """Return the name, with the language's ending added where its own is none, or another language's."""
    own = _WHOLE_NAMES.get(language_id)
    if own is not None and (not name or name.lower().startswith("untitled")):
        return own
    endings = ENDINGS.get(language_id, "").split()
    ending = name.rpartition(".")[2].lower() if "." in name else ""
    fits = ending in (one.lower() for one in endings) or (ending in _KEPT and bool(ending))
    if not endings or fits or (own is not None and _OWN_NAME.fullmatch(name)):
        return name or UNTITLED
    stem = name.rpartition(".")[0] if ending in ALL_ENDINGS or ending == "ipynb" else name
    return f"{stem or UNTITLED}.{endings[0]}"


_KEPT = frozenset(("in", "tmpl", "tpl", "template", "j2", "jinja"))
"""Endings of templates: what they are templates of stands before."""
