"""Whatever a document says, a key in it is answered: the whole flow, the context of the workspace included."""

import time
from pathlib import Path

import pytest

from completer.config import Settings
from completer.tokens.tokenizer import Tokenizer
from completer.types import Edit, Snapshot
from tests.by_heart import ByHeart, pipeline

MOST_S = 1.0
SETTINGS = Settings(budget_ms=60, confidence=0.0)
TEXTS = {
    "a long name": ("python", "class " + "a" * 60_000),
    "a long gap": ("python", "x = " + " " * 60_000 + "y"),
    "a keyword again and again": ("lua", "function " * 2_000),
    "comments that nothing ends": ("go", "/* " * 20_000),
    "types in types": ("csharp", "<a " * 10_000),
    "open brackets": ("cpp", "(" * 100_000),
    "quotes": ("python", '"' * 100_000),
    "empty lines": ("ruby", "\n" * 1_000_000),
    "deep JSON": ("json", '{"a":[' * 20_000),
    "a line of 20 MB": ("javascript", "a = " + "ab c(" * 4_000_000),
}
SLOW = {"a keyword again and again", "comments that nothing ends", "open brackets", "a line of 20 MB"}


@pytest.mark.parametrize("case", [pytest.param(case, marks=pytest.mark.slow) if case in SLOW else case for case in TEXTS])
async def test_a_key_is_answered_in_time(tokenizer: Tokenizer, tmp_path: Path, case: str) -> None:
    language_id, text = TEXTS[case]
    (tmp_path / ".gitignore").write_text("*a" * 30 + "*b\n")
    uri = (tmp_path / "a.py").as_uri()
    async with pipeline(ByHeart(tokenizer), tokenizer, SETTINGS) as made:
        made.set_folders([tmp_path])
        made.did_open(Snapshot(uri, 0, language_id, text, 0))
        took = []
        for version in range(1, 4):
            text += "r"
            snapshot = Snapshot(uri, version, language_id, text, len(text))
            started = time.process_time()
            made.did_change(snapshot, [Edit(len(text) - 1, len(text) - 1, "r")])
            await made.complete(snapshot, explicit=False)
            took.append(time.process_time() - started)
            await made.settled(0.3)
    print(f"{case}: {', '.join(f'{one * 1e3:.0f}' for one in took)} ms")
    assert max(took) < MOST_S
