"""The offers that follow from the last edits, the best first and then in the order of the text. Pure functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from completer.next_edit.gate import SHOWN, is_recent, p_insert, p_rename, p_repeat, weight
from completer.next_edit.history import PastEdit
from completer.next_edit.places import Place, is_code, places
from completer.next_edit.rules import Insertion, Rule, Substitution, rules_of
from completer.next_edit.scope import Scope, scope_of
from completer.next_edit.words import occurrences
from completer.syntax.languages import language
from completer.types import Snapshot

MAX_OFFERS = 50


@dataclass(frozen=True, slots=True)
class NextEdit:
    """`text[start_cp:end_cp]` of the document at `version` becomes `new_text`.

    reason: one short sentence for the user.  rule: what edits of a kind have in common; the same for all like this one.
    n_examples: how often the user had made the change.
    """

    uri: str
    version: int
    start_cp: int
    end_cp: int
    new_text: str
    reason: str
    probability: float
    rule: str
    n_examples: int


class Moment(NamedTuple):
    """What offers are made from: the edits, oldest first; the documents that may be changed; where the cursor is."""

    edits: Sequence[PastEdit]
    documents: Mapping[str, Snapshot]
    uri: str
    cursor_cp: int


def offers(moment: Moment, refused: Callable[[str, int], bool] = lambda _rule, _n: False) -> tuple[NextEdit, ...]:
    """Return what the user probably changes next, first the nearest after the cursor; () if nothing is sure enough.

    refused: whether a rule was dismissed or undone when it had as many examples.
    All are of one rule: the newest that applies anywhere.
    """
    for rule in rules_of(moment.edits, moment.documents):
        if not is_recent(rule, _age(rule)) or refused(name_of(rule), _n_examples(rule)):
            continue
        found = [edit for edit in _of_rule(rule, moment) if edit.probability >= SHOWN]
        if found:
            return tuple(sorted(_apart(found), key=lambda edit: _order(edit, moment))[:MAX_OFFERS])
    return ()


def name_of(rule: Rule) -> str:
    """Return what tells a rule from others."""
    if isinstance(rule, Insertion):
        return "+" + "\n".join(rule.lines)
    return f"{' '.join(rule.old)}\n{' '.join(rule.new)}"


def _n_examples(rule: Rule) -> int:
    return len(rule.anchors if isinstance(rule, Insertion) else rule.examples)


def _age(rule: Rule) -> int:
    return 0 if isinstance(rule, Insertion) else rule.examples[0].age


def _order(edit: NextEdit, moment: Moment) -> tuple[bool, str, bool, int]:
    here = edit.uri == moment.uri
    return not here, edit.uri, here and edit.start_cp < moment.cursor_cp, edit.start_cp


def _apart(edits: Sequence[NextEdit]) -> list[NextEdit]:
    """Return edits of which no two overlap, the more probable of each pair."""
    kept: list[NextEdit] = []
    for edit in sorted(edits, key=lambda one: -one.probability):
        if all(edit.uri != k.uri or edit.end_cp < k.start_cp or edit.start_cp > k.end_cp for k in kept):
            kept.append(edit)
    return kept


def _of_rule(rule: Rule, moment: Moment) -> list[NextEdit]:
    if isinstance(rule, Insertion):
        homes = {uri for uri, _ in rule.places}
    else:
        homes = {example.uri for example in rule.examples}
    lang = language(moment.documents[next(iter(homes))].language_id)
    in_code = isinstance(rule, Insertion) or is_code(moment.documents[rule.examples[0].uri], rule.examples[0].at_cp)
    renamed = isinstance(rule, Substitution) and rule.is_rename and _is_novel(rule, moment)
    found: list[NextEdit] = []
    for snapshot in moment.documents.values():
        if language(snapshot.language_id) is not lang:
            continue
        candidates = [
            place
            for place in places(rule, snapshot)
            if (not in_code or is_code(snapshot, place.start_cp)) and not _just_edited(place, snapshot.uri, moment.edits)
        ]
        for place in candidates:
            p = _probability(rule, place, snapshot, moment, renamed, len(candidates))
            p *= weight(rule, in_code=in_code)
            reason = _reason(rule, renamed=renamed)
            span = place.start_cp, place.end_cp, place.new_text
            found.append(NextEdit(snapshot.uri, snapshot.version, *span, reason, p, name_of(rule), _n_examples(rule)))
    return found


def _probability(rule: Rule, place: Place, snapshot: Snapshot, moment: Moment, renamed: bool, n_places: int) -> float:
    if isinstance(rule, Insertion):
        return p_insert(rule, place)
    by_context = p_repeat(rule, place, n_places)
    if not renamed:
        return by_context
    return max(by_context, *(_p_of_scope(rule, index, place, snapshot, moment) for index in range(min(3, len(rule.examples)))))


def _p_of_scope(rule: Substitution, index: int, place: Place, snapshot: Snapshot, moment: Moment) -> float:
    """Return the probability of a rename as one example tells it: its scope may hold the place."""
    example = rule.examples[index]
    home = moment.documents[example.uri]
    scope: Scope | None = scope_of(example, home)
    if scope is None:
        return 0.0
    here = snapshot.uri == example.uri
    holds = scope.holds if here else scope.fits
    if not (here or scope.wide) or not holds(snapshot, place.start_cp, place.end_cp):
        return 0.0
    same_owner = scope.role != "member" or place.left >= 2
    return p_rename(scope.role, rule.old[0], same_document=here, wide=scope.wide) if same_owner else 0.0


def _is_novel(rule: Substitution, moment: Moment) -> bool:
    """Whether the new name is only where the user replaced the old one: else a use was changed, not a name."""
    replaced = {(example.uri, example.at_cp) for example in rule.examples}
    for snapshot in moment.documents.values():
        accepted = [past for past in moment.edits if past.uri == snapshot.uri and past.kind == "accepted"]
        for at in occurrences(snapshot.text, rule.new[0]):
            end = at + len(rule.new[0])
            ours = any(past.start_cp <= end and at <= past.end_cp for past in accepted)
            if not ours and (snapshot.uri, at) not in replaced:
                return False
    return True


def _just_edited(place: Place, uri: str, edits: Sequence[PastEdit]) -> bool:
    """Whether a place is one of the user's own changes, or of those that were accepted."""
    return any(past.uri == uri and past.start_cp <= place.end_cp and place.start_cp <= past.end_cp for past in edits)


def _reason(rule: Rule, *, renamed: bool) -> str:
    if isinstance(rule, Insertion):
        return "the same lines as above similar ones"
    if renamed:
        return f"{rule.old[0]} was renamed to {rule.new[0]}"
    n = len(rule.examples)
    return "the same change as in a similar line" if n == 1 else f"the same change as in {n} similar lines"
