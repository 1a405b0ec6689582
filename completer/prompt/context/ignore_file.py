"""The rules of one ignore file, read as git reads a `.gitignore`. Pure."""

from __future__ import annotations

import re
import sys

from completer.prompt.context.wildmatch import Wildmatch, literal_length

MAX_RULES = 5_000
"""A file of more rules is not applied rule by rule: it ignores everything."""
MAX_WORK = 2_000_000
"""Steps that one question may cost: rules looked at, and bytes matched."""
FOLD = sys.platform in ("darwin", "win32")
"""Whether names that differ in case are one, as git assumes where the file system does."""

_TRAILING_SPACES = re.compile(rb"(?:\\.|[^\\ ]| +(?=[^ ]))*", re.DOTALL)


class TooMuchWork(Exception):
    """A question cost more than MAX_WORK steps."""


class Work:
    """What a question may still cost."""

    def __init__(self, steps: int = MAX_WORK) -> None:
        self._left = steps

    def spend(self, steps: int) -> None:
        """Raises: TooMuchWork.  Mutates: what is left."""
        self._left -= steps
        if self._left < 0:
            raise TooMuchWork


class IgnoreRule:
    """One line of an ignore file.

    takes_back: a `!` line.  only_folders: it ended with a slash.
    """

    __slots__ = ("_end", "_fold", "_head", "_in_path", "_matcher", "_pattern", "only_folders", "takes_back")

    @property
    def written(self) -> str:
        """The pattern, without `!` and the slashes at its ends."""
        return self._pattern.decode(errors="replace")

    def __init__(self, pattern: bytes, *, in_path: bool, takes_back: bool, only_folders: bool, fold: bool) -> None:
        """pattern: without `!` and the slashes at its ends.  in_path: it counts from the file's folder."""
        self.takes_back, self.only_folders = takes_back, only_folders
        self._pattern, self._in_path, self._fold = pattern, in_path, fold
        n_literal, folded = literal_length(pattern), pattern.lower() if fold else pattern
        self._head = folded[:n_literal]
        only_star = not in_path and pattern.startswith(b"*") and literal_length(pattern[1:]) == len(pattern) - 1
        self._end = folded[1:] if only_star else None  # what a name must end with
        self._matcher: Wildmatch | None = None

    def matches(self, path: bytes, name: bytes, work: Work) -> bool:
        """Return whether the rule matches.

        path: below the file's folder.  name: its last part.  Both in lower case if case is ignored.
        Raises: TooMuchWork.
        """
        text = path if self._in_path else name
        if len(self._head) == len(self._pattern):
            return text == self._head
        if self._end is not None:
            return text.endswith(self._end)
        if not text.startswith(self._head):
            return False
        # In a path git compares the literal head by itself, and matches the rest as if that were the whole pattern.
        n_done = len(self._head) if self._in_path else 0
        width = 1 + len(self._pattern) // 1_000  # integers of more bits take longer
        if self._matcher is None:
            work.spend(10 * len(self._pattern) * width)
            self._matcher = Wildmatch(self._pattern[n_done:], paths=self._in_path, fold=self._fold)
        work.spend(len(text) * width)
        return self._matcher.matches(text[n_done:])


class IgnoreFile:
    """The rules of one file. all: the file could not be applied, so it ignores everything."""

    def __init__(self, data: bytes, *, fold: bool, everything: bool = False) -> None:
        """data: the file's content, which may be anything."""
        self._fold, self.everything, self.rules = fold, everything, list[IgnoreRule]()
        for line in data.removeprefix(b"\xef\xbb\xbf").split(b"\n"):
            if line.startswith(b"#") or not line:
                continue
            if (rule := rule_of(line.removesuffix(b"\r"), fold)) is not None:
                self.rules.append(rule)
            if len(self.rules) > MAX_RULES:
                self.everything, self.rules = True, []
                return

    def ignores(self, path: bytes, is_folder: bool, work: Work) -> bool | None:
        """Return the verdict of the last rule that matches; None if none does. path: below the file's folder.

        Raises: TooMuchWork.
        """
        if self.everything:
            return True
        rule = self.rule_for(path, is_folder, work)
        return None if rule is None else not rule.takes_back

    def rule_for(self, path: bytes, is_folder: bool, work: Work) -> IgnoreRule | None:
        """Return the last rule that matches; None if none does. path: below the file's folder.  Raises: TooMuchWork."""
        path = path.lower() if self._fold else path
        name = path[path.rfind(b"/") + 1 :]
        work.spend(len(self.rules))
        for rule in reversed(self.rules):
            if (is_folder or not rule.only_folders) and rule.matches(path, name, work):
                return rule
        return None


def rule_of(line: bytes, fold: bool) -> IgnoreRule | None:
    """Return the rule of a line that is no comment; None where it can match nothing."""
    line = line.split(b"\0", 1)[0]
    if (found := _TRAILING_SPACES.match(line)) and not line[found.end() :].strip(b" "):
        line = line[: found.end()]
    takes_back = line.startswith(b"!")
    line = line[takes_back:]
    only_folders = line.endswith(b"/")
    line = line[: len(line) - only_folders]
    in_path = b"/" in line
    line = line[line.startswith(b"/") :]
    return IgnoreRule(line, in_path=in_path, takes_back=takes_back, only_folders=only_folders, fold=fold) if line else None
