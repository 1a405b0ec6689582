"""Which form the prompt has at a place: data of the model family, chosen by what follows the cursor of its block."""

from __future__ import annotations

from completer.prompt.prompt import Shape
from completer.syntax.block import Block
from completer.syntax.cursor import CursorContext
from completer.tokens.fim import Forms


def shape_at(cursor: CursorContext, block: Block, forms: Forms) -> Shape:
    """Return the shape of the prompt at a place. Inside a literal the model must see where that ends."""
    form = forms.at(block.rest) if cursor.inside in ("code", "line_comment") else "middle"
    return Shape(form, block.end_cp if form == "block" else 0)
