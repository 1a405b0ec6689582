"""What belongs to one open document: its last answer, what runs for it, and the texts in which drafts are looked up."""

from __future__ import annotations

from dataclasses import replace

import pytest

from completer.complete.open_document import MAX_CORPORA, LastAnswer, OpenDocument, draft_corpora
from completer.complete.question import Question
from completer.complete.site import Site
from completer.complete.trace import Trace
from completer.config import Settings
from completer.document.secrets import SecretScan
from completer.prompt.anchors import Anchors
from completer.prompt.prompt import Window, build_prompt, set_anchor
from completer.suggest.entries import Entry, Hit
from completer.suggest.visible import suggestion_of
from completer.syntax.cursor import cursor_context
from completer.syntax.tree import SyntaxTree
from completer.tokens.tokenizer import Tokenizer
from completer.types import FinishReason, Replacement, Snapshot, Suggestion
from tests.by_hand import COSTS, snap

HERE = snap("total = 1\nx = ‸\n")


def document(tokenizer: Tokenizer, snapshot: Snapshot = HERE, text_ids: tuple[int, ...] = ()) -> OpenDocument:
    anchors = Anchors(tokenizer, COSTS, lambda _: 0, 4096)
    return OpenDocument(anchors, SyntaxTree(snapshot.language_id, snapshot.text), snapshot, text_ids=text_ids)


def suggestion(text: str) -> Suggestion:
    return suggestion_of(Replacement(text, HERE.cursor_cp, HERE.cursor_cp), HERE, "cold")


def answered(tokenizer: Tokenizer, text: str, given: str | None) -> LastAnswer:
    """Return an answer whose generation is at `text` by now, of which `given` was shown."""
    cursor = cursor_context(HERE)
    anchor = set_anchor(HERE, Window(100, 100, full=True), tokenizer)
    site = Site(HERE, cursor, None, anchor, "x = ", build_prompt(anchor, "x = ", tokenizer))
    question = Question(HERE, cursor, Settings(confidence=0.0), Trace(1, HERE.uri, HERE.version))
    hit = Hit(Entry(anchor.number, "x = ", 1, text=text, reason="end"), 0)
    return LastAnswer(question, site, hit, suggestion(given) if given is not None else None)


@pytest.mark.parametrize(
    ("text", "given", "more"),
    [
        ("total + 1", "total", "total + 1"),
        ("total + 1", None, "total + 1"),
        ("total + 1", "tonal", None),  # it would flicker
        ("", "total", None),
    ],
)
def test_more_is_what_goes_on_with_the_answer(tokenizer: Tokenizer, text: str, given: str | None, more: str | None) -> None:
    shown = answered(tokenizer, text, given).more()
    assert (shown.text if shown else None) == more


def test_what_was_given_counts_at_its_own_place_and_version_only(tokenizer: Tokenizer) -> None:
    doc = document(tokenizer)
    assert doc.given is None
    doc.answer = answered(tokenizer, "total", "total")
    assert doc.given == suggestion("total")
    for elsewhere in (replace(HERE, version=2), replace(HERE, cursor_cp=3)):
        doc.snapshot = elsewhere
        assert doc.given is None


def test_a_document_is_secret_only_if_it_may_leave_the_machine_and_holds_one(tokenizer: Tokenizer) -> None:
    doc = document(tokenizer)
    assert not doc.is_secret
    doc.secrets = SecretScan(HERE)
    assert not doc.is_secret
    doc.secrets = SecretScan(replace(HERE, text=f'token = "ghp_{"a1B2" * 10}"\n', cursor_cp=0))
    assert doc.is_secret


@pytest.mark.parametrize(("reason", "unfinished"), [(None, 3), ("end", 0), ("cancelled", 0)])
def test_the_generations_without_a_reason_are_unfinished(
    tokenizer: Tokenizer, reason: FinishReason | None, unfinished: int
) -> None:
    doc = document(tokenizer)
    assert doc.unfinished == []
    doc.running, doc.prefetch, doc.redo = (Entry(1, "", n, reason=reason) for n in range(3))
    assert len(doc.unfinished) == unfinished


def test_drafts_are_looked_up_in_the_document_itself_then_in_others_of_its_language(tokenizer: Tokenizer) -> None:
    mine = document(tokenizer, text_ids=(1, 2))
    other, unread = document(tokenizer, text_ids=(3,)), document(tokenizer)
    foreign = document(tokenizer, snap("‸", "rust"), text_ids=(4,))
    assert draft_corpora(mine, [other, unread, foreign, mine]) == ((1, 2), (3,))


def test_drafts_are_looked_up_in_a_few_documents_only(tokenizer: Tokenizer) -> None:
    docs = [document(tokenizer, text_ids=(n,)) for n in range(10)]
    assert draft_corpora(docs[7], docs) == ((7,), *((n,) for n in range(MAX_CORPORA - 1)))
