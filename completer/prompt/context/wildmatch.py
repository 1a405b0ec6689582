"""Git's wildmatch in linear time: how the patterns of a `.gitignore` match names and paths. Pure; works on bytes.

A pattern becomes an automaton whose states are the bits of one integer, so a name costs one step for each of its
bytes, whatever the pattern is. A backtracking matcher, such as a regular expression, takes minutes for `*a*a*a*b`.
Source: gitignore(5), and git's wildmatch.c for what the page leaves open.

    a*b/**/c    states  0 -a-> 1* -b-> 2 -/-> 3 ~> 4* -any-> 4, -/-> 5 -c-> 6        * loops; ~> costs nothing, also 3 ~> 5
"""

from __future__ import annotations

from collections.abc import Callable

_SLASH = ord("/")
_ALL = (1 << 256) - 1
_SPECIAL = frozenset(b"*?[\\")


def _set_of(members: Callable[[int], bool]) -> int:
    """Return a set of bytes as an integer with one bit for each; ASCII only, like git's character tables."""
    return sum(1 << byte for byte in range(128) if members(byte))


_CLASSES = {
    b"alnum": _set_of(lambda c: chr(c).isalnum()),
    b"alpha": _set_of(lambda c: chr(c).isalpha()),
    b"blank": _set_of(lambda c: c in b" \t"),
    b"cntrl": _set_of(lambda c: c < 32 or c == 127),
    b"digit": _set_of(lambda c: chr(c).isdigit()),
    b"graph": _set_of(lambda c: 33 <= c < 127),
    b"lower": _set_of(lambda c: chr(c).islower()),
    b"print": _set_of(lambda c: 32 <= c < 127),
    b"punct": _set_of(lambda c: 33 <= c < 127 and not chr(c).isalnum()),
    b"space": _set_of(lambda c: c in b" \t\n\v\f\r"),
    b"upper": _set_of(lambda c: chr(c).isupper()),
    b"xdigit": _set_of(lambda c: c in b"0123456789abcdefABCDEF"),
}


class Unmatchable(Exception):
    """A pattern that matches nothing: it has an open bracket, an unknown class, or a backslash at its end."""


def literal_length(pattern: bytes) -> int:
    """Return how many bytes at the start of a pattern match only themselves."""
    return next((i for i, byte in enumerate(pattern) if byte in _SPECIAL), len(pattern))


class Wildmatch:
    """One pattern, ready to match.

    paths: whether `*`, `?` and brackets stop at a slash.  fold: ASCII case is ignored.
    """

    def __init__(self, pattern: bytes, *, paths: bool, fold: bool = False) -> None:
        self._paths, self._fold = paths, fold
        # byte -> the states that it leads one state further; for those in `_most`, that it does not
        self._table = [0] * 256
        self._most = self._loops = self._loops_in_name = self._gates = 0  # states
        self._n = 0  # states so far, the last one not counted
        try:
            self._compile(pattern)
        except Unmatchable:
            self._table, self._most, self._loops, self._loops_in_name, self._gates, self._n = [0] * 256, 0, 0, 0, 0, 1

    def matches(self, text: bytes) -> bool:
        """Return whether the pattern matches the whole text. Costs one step for each byte."""
        table, most, loops, gates = self._table, self._most, self._loops, self._gates
        loops_in_name = loops | self._loops_in_name
        states = self._through_gates(1)
        for byte in text.lower() if self._fold else text:
            states = ((states & (table[byte] ^ most)) << 1) | (states & (loops if byte == _SLASH else loops_in_name))
            if not states:
                return False
            if states & gates:
                states = self._through_gates(states)
        return bool(states >> self._n & 1)

    def _through_gates(self, states: int) -> int:
        """A `**/` may match nothing: a state before it is also in it, and after it."""
        at = states & self._gates
        return states | at << 1 | at << 2

    def _compile(self, pattern: bytes) -> None:
        """Mutates: the automaton.  Raises: Unmatchable."""
        i = 0
        while i < len(pattern):
            byte = pattern[i]
            if byte == ord("*"):
                i = self._stars(pattern, i)
            elif byte == ord("?"):
                self._consume(_ALL & ~(1 << _SLASH) if self._paths else _ALL)
                i += 1
            elif byte == ord("["):
                accepted, i = bracket(pattern, i + 1, self._fold)
                self._consume(accepted & ~(1 << _SLASH) if self._paths else accepted)
            else:
                i += byte == ord("\\")
                if i == len(pattern):
                    raise Unmatchable
                literal = pattern[i : i + 1].lower() if self._fold else pattern[i : i + 1]
                self._consume(1 << literal[0])
                i += 1

    def _stars(self, pattern: bytes, start: int) -> int:
        """Take a run of stars; return where the pattern goes on. Mutates: the automaton."""
        end = start
        while pattern[end : end + 1] == b"*":
            end += 1
        state, whole_name = 1 << self._n, start == 0 or pattern[start - 1] == _SLASH
        if self._paths and end - start > 1 and whole_name and pattern[end : end + 1] == b"/":
            if not self._gates << 2 & state:  # a second `**/` in a row adds nothing
                self._gates |= state
                self._n += 1
                self._loops |= 1 << self._n
                self._consume(1 << _SLASH)
            return end + 1
        across = end - start > 1 and whole_name and pattern[end : end + 2] in (b"", b"\\/")
        if across or not self._paths:
            self._loops |= state
        else:
            self._loops_in_name |= state
        return end

    def _consume(self, accepted: int) -> None:
        state = 1 << self._n
        if accepted.bit_count() > 128:
            self._most |= state
            accepted = _ALL & ~accepted
        while accepted:
            lowest = accepted & -accepted
            self._table[lowest.bit_length() - 1] |= state
            accepted ^= lowest
        self._n += 1


def bracket(pattern: bytes, at: int, fold: bool) -> tuple[int, int]:
    """Return the bytes that a bracket expression accepts, as bits, and where the pattern goes on.

    at: after the opening bracket.  Raises: Unmatchable.
    """
    negated = pattern[at : at + 1] in (b"!", b"^")
    at += negated
    accepted, previous, first = 0, 0, True
    while first or pattern[at : at + 1] != b"]":
        first = False
        byte = _byte(pattern, at)
        if byte == ord("\\"):
            at += 1
            byte = _byte(pattern, at)
            accepted |= 1 << byte
        elif byte == ord("-") and previous and pattern[at + 1 : at + 2] not in (b"", b"]"):
            at += 1 + (pattern[at + 1] == ord("\\"))
            accepted |= _range(previous, _byte(pattern, at), fold)
            byte = 0
        elif pattern[at : at + 2] == b"[:":
            end = pattern.find(b"]", at + 2)
            if end < 0:
                raise Unmatchable
            if end > at + 2 and pattern[end - 1] == ord(":"):
                accepted |= _class(pattern[at + 2 : end - 1], fold)
                at, byte = end, 0
            else:
                accepted |= 1 << byte
        else:
            accepted |= 1 << byte
        previous = byte
        at += 1
    return (_ALL & ~accepted if negated else accepted), at + 1


def _byte(pattern: bytes, at: int) -> int:
    if at >= len(pattern):
        raise Unmatchable
    return pattern[at]


def _range(low: int, high: int, fold: bool) -> int:
    found = sum(1 << byte for byte in range(low, high + 1))
    if fold:  # names come in lower case here, and one is in the range if its upper case is
        found |= sum(1 << byte + 32 for byte in range(max(low, ord("A")), min(high, ord("Z")) + 1))
    return found


def _class(name: bytes, fold: bool) -> int:
    if name not in _CLASSES:
        raise Unmatchable
    return _CLASSES[b"alpha" if fold and name == b"upper" else name]
