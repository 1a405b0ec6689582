"""Where a suggestion should end: the rule that a request carries, and the end of a block that is being generated.

The latter is called a few times per suggestion while it grows; pure apart from one incremental parse for statements.
"""

from __future__ import annotations

import re

from completer.config import Settings
from completer.suggest.confidence import DECODED_ON
from completer.syntax.columns import columns
from completer.syntax.cursor import CursorContext, lines_below
from completer.syntax.lexer import CLOSER, OPENER, tokens
from completer.syntax.tree import SyntaxTree
from completer.types import Snapshot, StopRule

MULTILINE_TOKENS = 2.0
"""A block may be so many times longer than a line."""
BLOCK_TOKENS = 128 / 48
"""The same for a block that the user asked for, or rests to see."""

_BELOW_CP = 16_000
"""Characters below the cursor's line in which the line that ends a block is looked for."""


def stop_rule(
    settings: Settings, end_ids: frozenset[int], cursor: CursorContext, snapshot: Snapshot, asked_for: bool = False
) -> StopRule:
    """Return when decoding ends at a place.

    asked_for: by the user, with a key or by resting. Then the block that belongs there is decoded, sure or not.
    """
    wanted = settings.multiline
    multiline = wanted == "always" or (wanted == "auto" and (cursor.multiline or (asked_for and cursor.takes_block)))
    lines = (BLOCK_TOKENS if asked_for else MULTILINE_TOKENS) if multiline else 1
    below = (line.strip() for line in snapshot.text[snapshot.line_end_cp :][:_BELOW_CP].splitlines()[1:40])
    return StopRule(
        max_tokens=int(settings.max_tokens * lines),
        single_line=not multiline,
        confidence=0.0 if asked_for else settings.confidence * DECODED_ON,
        end_ids=end_ids,
        block_indent=cursor.block_indent if multiline else None,
        suffix_line=next((line for line in below if len(line) > 2), ""),
    )


def ends_block(snapshot: Snapshot, cursor: CursorContext) -> bool:
    """Whether nothing of the cursor's block follows it, so that a block there may have several statements."""
    below = lines_below(snapshot, 1)
    return not below or (cursor.block_indent is not None and columns(below[0]) < cursor.block_indent)


def sibling_stop(snapshot: Snapshot, cursor: CursorContext, generated: str, tree: SyntaxTree | None = None) -> int | None:
    """Return the offset in `generated` at which a block should end, or None while it may go on.

    The block ends where its own bracket closes, where a line is indented less than it, or, for a statement, where the
    tree shows the next new sibling. Costs a lexing of `generated`, and for statements one incremental parse.
    """
    ends = [_bracket_stop(snapshot, cursor, generated), _indent_stop(cursor, generated)]
    if cursor.kind == "statement" and tree is not None:
        ends.append(_tree_stop(snapshot, tree, generated))
    return min((end for end in ends if end is not None), default=None)


def _bracket_stop(snapshot: Snapshot, cursor: CursorContext, generated: str) -> int | None:
    head = snapshot.text[cursor.lex_start_cp : snapshot.cursor_cp]
    stack, floor = list(cursor.stack), None
    owed = list(cursor.owed)
    for token in tokens(head + generated, cursor.language):
        if floor is None and token.start >= len(head):
            floor = len(stack)
        if token.kind != "bracket":
            continue
        if token.text in CLOSER:
            stack.append(token.text)
            continue
        if floor is not None and len(stack) <= floor:
            at = token.start - len(head)
            if stack and OPENER[token.text] in owed:
                line = re.compile(r"[^\r\n]*").match(generated, at)
                return line.end() if line else at
            return len(generated[:at].rstrip())
        if stack:
            stack.pop()
    return None


def _indent_stop(cursor: CursorContext, generated: str) -> int | None:
    if cursor.block_indent is None:
        return None
    enders = cursor.language.enders
    for line in list(re.finditer(r"[^\r\n]+", generated)):
        on_first_line = "\n" not in generated[: line.start()]
        if on_first_line or not line[0].strip() or columns(line[0]) >= cursor.block_indent + bool(enders):
            continue
        if enders and line[0].strip().startswith(enders):
            return line.end()
        if columns(line[0]) < cursor.block_indent or enders:
            return len(generated[: line.start()].rstrip())
    return None


def _tree_stop(snapshot: Snapshot, tree: SyntaxTree, generated: str) -> int | None:
    parsed = tree.with_insertion(snapshot.cursor_cp, generated)
    if parsed is None:
        return None
    root, cursor = parsed
    data = generated.encode("utf-8", "replace")
    first = cursor + len(data) - len(data.lstrip())
    node = root.descendant_for_byte_range(first, first + 1)
    while node is not None and node.parent is not None and node.parent.parent and node.parent.start_byte >= first:
        node = node.parent
    if node is None or node.is_error or node.start_byte < first:
        return None
    following = node.next_named_sibling
    if following is None or following.start_byte >= cursor + len(data):
        return None
    if following.start_point[0] == node.end_point[0]:
        return None
    return len(data[: node.end_byte - cursor].decode(errors="ignore").rstrip())
