"""How probable it is that the user wants a rule applied at a place, and how probable it must be. Pure functions.

The figures were set on real histories and one half of the public scenarios: docs/decisions/024-next-edit.md.
"""

from __future__ import annotations

from completer.next_edit.places import Place
from completer.next_edit.rules import Insertion, Rule, Substitution
from completer.next_edit.scope import Role

SHOWN = 0.4
"""What is less probable stays silent."""
MAX_AGE = 2
"""Edits since a rule's newest example, above which the user has gone on to something else."""
MANY_PLACES = 20

_RENAMED: dict[Role, float] = {"definition": 0.85, "binding": 0.8, "member": 0.6, "use": 0.5}
_ELSEWHERE = 0.8
"""What is left of a rename's probability in another document."""
_MIN_WIDE_NAME = 3
"""A shorter name is no reason to look at other functions, let alone documents."""


_IN_PROSE = 0.5
"""What is left of a probability if the change was made in a string or a comment."""
_PART = 0.6
"""What is left if more than the rule changed in each of its lines: then it is a part of the change at best."""


def weight(rule: Rule, *, in_code: bool) -> float:
    """Return what the probabilities of a rule are multiplied by. in_code: whether it was made in code."""
    if isinstance(rule, Insertion):
        return 1.0
    part = 1.0 if any(example.alone for example in rule.examples) else _PART
    return part * (1.0 if in_code or len(rule.examples) > 2 else _IN_PROSE)


def is_recent(rule: Rule, age: int) -> bool:
    """Whether the user may still be at it. age: of the newest example; of inserted lines it does not matter."""
    return isinstance(rule, Insertion) or age <= MAX_AGE


def p_rename(role: Role, name: str, *, same_document: bool, wide: bool) -> float:
    """Return the probability that a name which became a new one is to be replaced at a place in its scope."""
    if wide and len(name) < _MIN_WIDE_NAME:
        return 0.0
    return _RENAMED[role] * (1.0 if same_document else _ELSEWHERE)


def p_repeat(rule: Substitution, place: Place, n_places: int) -> float:
    """Return the probability that a change is to be repeated at a place whose surroundings agree with its examples."""
    n, context = len(rule.examples), place.left + place.right
    if not rule.new and n < 2:
        return 0.0  # a deletion once is a mistake that was mended
    p = 0.1
    if place.same_shape and place.exact >= 0.6:
        p = 0.55 + 0.15 * (place.exact == 1.0)
    elif place.call:
        p = 0.5
    elif n >= 2 and place.left and place.right and context >= 3:
        p = 0.55
    if n >= 2:
        p += 0.1
    elif n_places > MANY_PLACES:
        p -= 0.2
    return min(p, 0.95)


def p_insert(rule: Insertion, place: Place) -> float:
    """Return the probability that lines which were put above others are to be put above a line, too."""
    return 0.7 if len(rule.anchors) >= 2 and place.exact >= 0.5 else 0.1
