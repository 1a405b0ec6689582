"""Placeholders: what a model writes into an empty body for want of anything better. They are no answer.

A body that stays empty is right in stubs, abstract classes and protocols, and in a file that leaves its bodies empty everywhere.
"""

from __future__ import annotations

import re

from completer.syntax.block import Block, is_function
from completer.types import Snapshot

_COMMENT = r"(?:\#|//|/\*+|--)"
_SAID = (
    r"(?:todo|fixme|xxx|implement|unimplemented|not\s+(?:yet\s+)?implemented"
    r"|(?:your|my|some|add|write|put|insert|fill\s+in|enter)\b[^\n]{0,40}\b(?:code|implementation|logic|solution|body|function)"
    r"|code\s+(?:goes\s+)?here|\.\.\.)"
)
_MESSAGE = r"""(?:todo|implement\s+me|not\s+(?:yet\s+)?(?:implemented|supported)|unimplemented)"""
_PLACEHOLDER = re.compile(
    rf"""(?:pass\b|\.\.\.(?=\s|;|\Z)|return(?:\s+None)?\s*;?\s*\Z
    |raise\s+(?:\w+\.)*(?:NotImplemented\w*|['"])
    |(?:std::|core::)?(?:todo|unimplemented)!
    |throw\s+(?:new\s+)?(?:[\w.:]*(?:NotImplemented|UnsupportedOperation|NotSupported)|\w+\s*\(\s*["'`][^"'`\n]*{_MESSAGE})
    |panic!?\s*\(\s*["'`][^"'`\n]*{_MESSAGE}
    |{_COMMENT}\s*[^\n]{{0,12}}?\b{_SAID})""",
    re.IGNORECASE | re.VERBOSE,
)
_COMMENT_LINE = re.compile(_COMMENT)
_ABSTRACT = re.compile(r"\b(?:Protocol|ABC|ABCMeta|abstract|interface|trait|overload|abstractmethod|abstractproperty)\b")
_EMPTY_BY_NAME = re.compile(r"\b\w*(?:noop|no_op|nop|dummy|stub|ignore|do_?nothing)\w*\s*\(", re.IGNORECASE)
_ABOVE_CP = 400
_SEARCHED_CP = 64_000
_EVERYWHERE = 0.5
"""Share of a file's functions from which on it counts as one that leaves its bodies empty."""


def is_placeholder(text: str) -> bool:
    """Whether a body that begins with this text does nothing so far."""
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    if not lines or _PLACEHOLDER.match(lines[0]) is None:
        return False
    code = next((line for line in lines if not _COMMENT_LINE.match(line)), "")  # a comment may be followed by a real body
    return not code or _PLACEHOLDER.match(code) is not None


def wants_a_body(snapshot: Snapshot, block: Block) -> bool:
    """Whether the cursor is in the empty body of a function that is to do something."""
    if not block.is_empty_function or snapshot.uri.endswith(".pyi") or _EMPTY_BY_NAME.search(block.header):
        return False
    above = snapshot.text[max(0, snapshot.cursor_cp - _ABOVE_CP) : snapshot.cursor_cp]
    at = above.rfind(block.header)
    decorators = re.search(r"(?:^[ \t]*[@\[#][^\n]*\n)*[ \t]*\Z", above[: max(0, at)], re.MULTILINE)
    marks = [*block.headers, decorators[0] if decorators else ""]
    return not any(_ABSTRACT.search(mark) for mark in marks) and not _leaves_bodies_empty(snapshot)


def _leaves_bodies_empty(snapshot: Snapshot) -> bool:
    """Whether the other functions of the file are placeholders for the most part."""
    start = max(0, snapshot.cursor_cp - _SEARCHED_CP // 2)
    lines = [line.strip() for line in snapshot.text[start : start + _SEARCHED_CP].split("\n")]
    n_functions = sum(line.endswith(("{", ":")) and is_function(line) for line in lines) - 1
    n_empty = sum(is_placeholder(line) and not line.startswith(("#", "//", "return")) for line in lines)
    return n_empty > 0 and n_empty >= _EVERYWHERE * n_functions
