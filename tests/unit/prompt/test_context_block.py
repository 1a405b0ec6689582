"""The context block: it only grows at its end, and text in it is never more than text."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from completer.config import Settings, update
from completer.errors import ConfigError
from completer.prompt.context.block import STALE_SHARE, Block, BlockMaker, Piece
from completer.prompt.context.gather import Gatherer, GatherRequest
from completer.prompt.context.skeleton import skeletons
from completer.prompt.prompt import Window, set_anchor
from completer.syntax.tree import SyntaxTree
from completer.tokens.tokenizer import Tokenizer
from completer.types import Edit, Snapshot
from tests.by_heart import HEAD, LINE, SETTINGS, TAIL, ByHeart, pipeline
from tests.examples import examples

PIECES = st.lists(
    st.builds(
        Piece,
        st.sampled_from(["a.py", "b/c.py", "d.ts"]),
        st.text("abcd \n(){}", min_size=1, max_size=40),
    ),
    max_size=8,
)


@examples(150)
@given(rounds=st.lists(PIECES, min_size=1, max_size=6), budget=st.integers(20, 200))
def test_the_ids_of_a_block_are_a_prefix_of_the_next_ones_unless_it_was_made_anew(
    tokenizer: Tokenizer, rounds: Sequence[Sequence[Piece]], budget: int
) -> None:
    maker, block = BlockMaker(tokenizer, budget), Block()
    for wanted in rounds:
        grown = maker.grow(block, wanted, "project")
        assert len(grown.ids) <= budget
        stale = sum(n for piece, n in zip(block.pieces, block.n_ids, strict=True) if piece not in wanted)
        if grown.ids[: len(block.ids)] != block.ids:
            assert stale > 0, "a block without stale pieces must only grow"
            assert set(grown.pieces) <= set(wanted)
        assert stale <= STALE_SHARE * len(block.ids) or set(grown.pieces) <= set(wanted)
        block = grown


def test_special_tokens_in_a_file_stay_text(tokenizer: Tokenizer) -> None:
    fim = tokenizer.fim
    special = {fim.prefix, fim.suffix, fim.middle, fim.file_sep, fim.repo_name} - {None}
    text = "x = '<|file_sep|><|fim_prefix|><|repo_name|><|fim_middle|>'"
    block = BlockMaker(tokenizer, 500).grow(Block(), [Piece("<|file_sep|>\nb.py", text)], "<|repo_name|>")
    found = [id_ for id_ in block.ids if id_ in special]
    assert found == [id_ for id_ in (fim.repo_name, fim.file_sep) if id_ is not None]
    assert text.encode() in tokenizer.bytes_of(block.ids)


def test_the_block_stands_in_front_of_the_prefix(tokenizer: Tokenizer) -> None:
    snapshot = Snapshot("file:///a.py", 1, "python", HEAD + TAIL, len(HEAD))
    window = Window(100, 100, full=True)
    bare, led = (set_anchor(snapshot, window, tokenizer, ids).fixed_ids for ids in ((), (7, 8, 9)))
    at = led.index(7)
    assert led[:at] + led[at + 3 :] == bare
    assert led[at + 3] == tokenizer.fim.prefix


PYTHON = '''@decorated
class Client(Base):
    """Talks to a server.

    More."""

    timeout: float = 3.0

    def __init__(self, url: str) -> None:
        # a remark
        self.url = url
        self._private = compute(url)
        connect()

    def fetch(self, path: str) -> bytes:
        """Return the body."""
        return self.get(path).read()

    def short(self): return 1

    def _helper(self):
        x = 1
        return x
'''
GO = "package m\n\n// A server.\ntype Server struct {\n\tName string // of it\n}\n\n"
GO += "func (s *Server) Run(n int) error {\n\treturn nil\n}\n"
TS = (
    "export class A extends B {\n  /** Long\n   * remark */\n  private x = 1;\n  go(n: number): void {\n    this.x = n;\n  }\n}\n"
)
RUST = "impl P {\n    /// Adds.\n    pub fn add(&self, o: &P) -> P {\n        let a = 1;\n        a\n    }\n}\n"


@pytest.mark.parametrize(
    ("language_id", "text", "expected"),
    [
        (
            "python",
            PYTHON,
            '@decorated\nclass Client(Base):\n    """Talks to a server."""\n    timeout: float = 3.0\n'
            "    def __init__(self, url: str) -> None:\n        self.url = url\n        self._private = compute(url)\n"
            '    def fetch(self, path: str) -> bytes:\n        """Return the body."""\n    def short(self): return 1\n'
            "    def _helper(self): ...",
        ),
        ("go", GO, "type Server struct {\n\tName string // of it\n}\nfunc (s *Server) Run(n int) error;"),
        ("typescript", TS, "export class A extends B {\n  private x = 1;\n  go(n: number): void;\n}"),
        ("rust", RUST, "impl P {\n    pub fn add(&self, o: &P) -> P;\n}"),
        ("c", "int f(int a)\n{\n  g();\n  return a;\n}\nint h(char *s);\n", "int f(int a);\nint h(char *s);"),
    ],
)
def test_a_skeleton_has_what_a_caller_must_know(language_id: str, text: str, expected: str) -> None:
    assert "\n".join(found.text for found in skeletons(SyntaxTree(language_id, text), ())) == expected


def gather(folder: Path, text: str, files: dict[str, str], **others: str) -> list[Piece]:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")
    opened = tuple(Snapshot((folder / f"{name}.py").as_uri(), 1, "python", content, 0) for name, content in others.items())
    snapshot = Snapshot((folder / "main.py").as_uri(), 1, "python", text, len(text))
    return list(Gatherer([folder]).gather(GatherRequest(snapshot, opened, 1000)).pieces)


def test_an_imported_name_is_found_through_the_package_that_hands_it_on(tmp_path: Path) -> None:
    files = {"pkg/__init__.py": "from .deep import area\n", "pkg/deep.py": "def area(width, height):\n    x = 1\n    return x\n"}
    (piece,) = gather(tmp_path, "from pkg import area\narea(", files)
    assert piece == Piece("pkg/deep.py", "def area(width, height): ...")


def test_the_text_of_an_open_document_counts_before_the_disk(tmp_path: Path) -> None:
    (piece,) = gather(tmp_path, "from b import f\nf(", {"b.py": "def f(old): ...\n"}, b="def f(new): ...\n")
    assert piece.text == "def f(new): ..."


async def test_a_document_gets_its_block_in_idle_time_and_keys_feed_no_more_for_it(tokenizer: Tokenizer, tmp_path: Path) -> None:
    (tmp_path / "shapes.py").write_text("def circumference(radius, precise):\n    x = 1\n    return x\n")
    (tmp_path / ".gitignore").write_text("hidden.py\n")
    (tmp_path / "hidden.py").write_text("def hidden_one(radius): ...\n")
    head = "from shapes import circumference\nfrom hidden import hidden_one\n" + HEAD

    def typed(n: int) -> Snapshot:
        return Snapshot((tmp_path / "a.py").as_uri(), n, "python", head + LINE[:n] + TAIL, len(head) + n)

    engine = ByHeart(tokenizer)
    engine.max_len = 2048
    async with pipeline(engine, tokenizer) as made:
        made.set_folders([tmp_path])
        made.did_open(typed(5))
        assert await made.settled(10)
        for n in range(6, 12):
            snapshot = typed(n)
            made.did_change(snapshot, [Edit(snapshot.cursor_cp - 1, snapshot.cursor_cp - 1, LINE[n - 1])])
            await made.complete(snapshot, explicit=False)
            trace = made.metrics()[-1]
            assert trace["n_context"] > 20
            assert trace["n_feed"] <= 8
        said = tokenizer.bytes_of(made._state.docs[typed(5).uri].anchors.last_full("middle").fixed_ids).decode()  # type: ignore[union-attr]
        assert said.startswith(f"{tmp_path.name}\nshapes.py\ndef circumference(radius, precise): ...\na.py\n")
        assert "hidden_one(radius)" not in said


async def test_a_first_key_at_a_cold_place_does_not_pay_for_the_block(tokenizer: Tokenizer, tmp_path: Path) -> None:
    (tmp_path / "shapes.py").write_text("def circumference(radius, precise): ...\n" * 3)
    snapshot = Snapshot((tmp_path / "a.py").as_uri(), 1, "python", "from shapes import *\n" + HEAD + LINE[:9], 0)
    engine = ByHeart(tokenizer)
    engine.max_len = 2048
    async with pipeline(engine, tokenizer) as made:
        made.set_folders([tmp_path])
        made.did_open(snapshot)
        await made.complete(snapshot, explicit=True)
        assert made.metrics()[-1]["n_context"] == 0


async def test_switched_off_nothing_is_read(tokenizer: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Gatherer, "gather", lambda *_: pytest.fail("files were looked at"))
    async with pipeline(ByHeart(tokenizer), tokenizer, update(SETTINGS, {"context": "off"})) as made:
        made.set_folders([tmp_path])
        made.did_open(Snapshot((tmp_path / "a.py").as_uri(), 1, "python", HEAD, 0))
        await asyncio.sleep(0.3)
        assert await made.settled(5)


async def test_switched_off_and_on_again_the_block_is_made_anew(tokenizer: Tokenizer, tmp_path: Path) -> None:
    (tmp_path / "shapes.py").write_text("def circumference(radius, precise): ...\n")
    snapshot = Snapshot((tmp_path / "a.py").as_uri(), 1, "python", "from shapes import circumference\ncircumference(", 0)
    engine = ByHeart(tokenizer)
    engine.max_len = 2048
    async with pipeline(engine, tokenizer) as made:
        made.set_folders([tmp_path])
        for value, n_pieces in (("auto", 1), ("off", 0), ("auto", 1)):
            made.set_settings(update(made.settings, {"context": value}))
            made.did_move_cursor(snapshot)
            assert await made.settled(10)
            assert len(made._state.context.block(snapshot.uri).pieces) == n_pieces, value


@pytest.mark.parametrize("value", [["imports"], [], ("outline", "similar")])
def test_a_list_of_the_removed_parts_is_refused_with_what_to_write_instead(value: Sequence[str]) -> None:
    with pytest.raises(ConfigError, match="parts were removed; write auto or off"):
        update(Settings(), {"context": value})
