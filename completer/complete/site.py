"""Where a question is asked: everything that is derived once per key and then only read."""

from __future__ import annotations

from dataclasses import dataclass

from completer.prompt.prompt import Anchor
from completer.syntax.cursor import CursorContext
from completer.syntax.tree import SyntaxTree
from completer.types import Evidence, Prompt, Snapshot


@dataclass(frozen=True, slots=True)
class Site:
    """A cursor in one version of a document, with its surroundings and the prompt that serves it.

    cursor: what the syntax tells about the cursor.  tree: the document's tree; it moves on with the next edit.
    typed: the text between anchor and cursor, lines ended by line feeds.  prompt: the anchor's head and `typed`, as tokens.
    wants_body: it is the empty body of a function, in which a placeholder is no answer.
    evidence: how the line goes on elsewhere in the workspace; looked up only where a generation begins.
    """

    snapshot: Snapshot
    cursor: CursorContext
    tree: SyntaxTree | None
    anchor: Anchor
    typed: str
    prompt: Prompt
    wants_body: bool = False
    evidence: Evidence | None = None
