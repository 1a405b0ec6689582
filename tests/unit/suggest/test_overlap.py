"""What the text repeats of the lines behind it, where it takes the place of the rest of the line."""

from __future__ import annotations

from completer.suggest.overlap import duplicates_suffix
from completer.types import Snapshot

LICENCE = " * Unless required by applicable law or agreed to in writing, software"


def test_a_line_that_comes_below_is_not_said_in_place_of_the_rest_of_the_line() -> None:
    text = f"/**\n *\n{LICENCE}\n * distributed under the License\n */\n"
    snapshot = Snapshot("", 0, "typescript", text, 4)
    assert duplicates_suffix(LICENCE, snapshot, end_cp=6)
    assert not duplicates_suffix(" * Something else that is long enough to be compared", snapshot, end_cp=6)
