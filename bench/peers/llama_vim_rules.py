"""The decisions of llama.vim as pure functions: context, result cache, what is shown. No clock, no network.

Source: ggml-org/llama.vim, autoload/llama.vim (`s:fim_ctx_local`, `s:cache_*`, `s:fim_try_hint`, `s:fim_render`).
Lines and columns count from zero here; columns are code points.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

N_PREFIX = 256
N_SUFFIX = 64
LOOK_BACK = 128
CACHE_KEYS = 250
MAX_LINE_SUFFIX = 8


@dataclass(frozen=True, slots=True)
class Context:
    """What a request is made of: lines before, the cursor's line up to the cursor, and all behind it."""

    prefix: str
    middle: str
    suffix: str
    indent: int
    line_suffix: str

    @property
    def key(self) -> tuple[str, str]:
        return (self.prefix + self.middle, self.suffix)


def local_context(lines: Sequence[str], row: int, column: int, shown: Sequence[str] = (), last_indent: int = 0) -> Context:
    """Return the context at the cursor; with `shown` as if that suggestion (lines) had been accepted already."""
    line = lines[row]
    before = list(lines[max(0, row - N_PREFIX) : row])
    after = lines[row + 1 : row + 1 + N_SUFFIX]
    if not shown:
        middle, rest, indent = line[:column], line[column:], len(line) - len(line.lstrip(" \t"))
        if not line.strip():  # a line of white space is completed from its beginning
            middle, rest, indent = "", "", 0
    else:
        before = list(lines[max(0, row - N_PREFIX + len(shown) - 1) : row])
        rest, indent = "", last_indent
        if len(shown) == 1:
            middle = line + shown[0]
        else:
            middle = shown[-1]
            before += [line + shown[0], *shown[1:-1]]
    suffix = rest + "\n" + "\n".join(after) + "\n"
    return Context("\n".join(before) + "\n", middle, suffix, indent, rest)


def cache_keys(context: Context) -> list[tuple[str, str]]:
    """Return the keys under which an answer is kept: the context, and it without its first one to three lines."""
    keys, prefix = [context.key], context.prefix
    for _ in range(3):
        prefix = prefix.partition("\n")[2]
        if not prefix:
            break
        keys.append((prefix + context.middle, context.suffix))
    return keys


@dataclass(slots=True)
class ResultCache:
    """Finished answers by context, least recently used out first."""

    limit: int = CACHE_KEYS
    entries: OrderedDict[tuple[str, str], str] = field(default_factory=OrderedDict)

    def insert(self, key: tuple[str, str], content: str) -> None:
        if len(self.entries) > self.limit - 1:
            self.entries.popitem(last=False)
        self.entries[key] = content
        self.entries.move_to_end(key)

    def get(self, key: tuple[str, str]) -> str | None:
        if (content := self.entries.get(key)) is not None:
            self.entries.move_to_end(key)
        return content

    def lookup(self, context: Context) -> str | None:
        """Return what is known for this place: an answer for it, or the rest of one from up to 128 characters back."""
        if (content := self.get(context.key)) is not None:
            return content
        before, suffix = context.key
        found: str | None = None
        longest = 0
        for back in range(1, min(LOOK_BACK, len(before)) + 1):
            content = self.get((before[:-back], suffix))
            if not content or content[:back] != before[-back:]:
                continue
            rest = content[back:]
            if rest and (found is None or len(rest) > longest):
                longest = 0 if found is None else len(rest)
                found = rest
        return found


@dataclass(frozen=True, slots=True)
class Hint:
    """What llama.vim draws. ghost: text that would be new; lines: with the rest of the cursor's line at the end."""

    ghost: str
    lines: tuple[str, ...]
    can_accept: bool


def render(content: str, lines: Sequence[str], row: int, column: int) -> Hint:
    """Return the hint for `content` at the cursor, after llama.vim has dropped what repeats the text below."""
    parts = content.split("\n")
    while parts and not parts[-1]:
        parts.pop()
    can_accept = bool(parts)
    parts = parts or [""]
    line = lines[row]
    if not line.strip():
        lead = min(len(parts[0]) - len(parts[0].lstrip()), len(line))
        line, parts[0] = parts[0][:lead], parts[0][lead:]
    head, tail = line[:column], line[column:]
    if _repeats(parts, head, tail, lines, row):
        parts = [""]
    shown = [*parts[:-1], parts[-1] + tail]
    can_accept = can_accept and any(part.strip() for part in shown)
    return Hint("\n".join(parts), tuple(shown), can_accept)


def _repeats(parts: list[str], head: str, tail: str, lines: Sequence[str], row: int) -> bool:
    def below(first: int, n: int) -> list[str]:
        return list(lines[first : first + n])

    if len(parts) > 1 and parts[0] == "" and parts[1:] == below(row + 1, len(parts) - 1):
        return True
    if len(parts) == 1 and parts[0] == tail:
        return True
    next_row = row + 1
    while next_row < len(lines) - 1 and not lines[next_row].strip():
        next_row += 1
    if next_row >= len(lines) or head + parts[0] != lines[next_row]:
        return False
    if len(parts) == 1:
        return True
    if len(parts) == 2:
        return next_row + 1 < len(lines) and lines[next_row + 1].startswith(parts[1])
    return parts[1:] == below(next_row + 1, len(parts) - 1)
