"""What a model writes beside the text: special tokens, and the fences with which it ends an answer."""

from __future__ import annotations

import re

from completer.syntax.cursor import CursorContext

_SPECIAL = re.compile(
    r"<\|[^|<>\s]{1,40}\|>|<｜[^｜\n]{1,40}｜>|<\[(?:fim-|end)[^\]\n]{0,30}\]>"
    r"|<(?:fim_(?:prefix|suffix|middle|pad)|file_sep|repo_name|endoftext|jupyter_\w+|reponame|filename)>"
    r"|▁?<(?:PRE|SUF|MID|EOT)>|\[(?:PREFIX|SUFFIX|MIDDLE)\]|<(?:/s|eos)>\s*\Z"
)
_SPECIAL_BEGUN = re.compile(r"<(?:\|(?:f|fi|fim|end|file|repo|im)?[a-z_]*\|?|｜[^｜\n]{0,40}|fim_?[a-z]*)\Z")
_FENCE = re.compile(r"^[ \t]*(?:```|~~~)", re.MULTILINE)


def cut_special(raw: str) -> str:
    """Return `raw` up to its first special token of any model family, or a beginning of one at its end."""
    found = _SPECIAL.search(raw) or _SPECIAL_BEGUN.search(raw)
    return raw[: found.start()] if found else raw


def cut_fence(text: str, cursor: CursorContext) -> str:
    """Return `text` up to a code fence: the model's way to end its answer. In prose and comments a fence is text."""
    found = None if cursor.inside != "code" or not cursor.language.brackets else _FENCE.search(text)
    return text if found is None else text[: found.start()].rstrip()
