"""How long a key takes to visible ghost text in Neovim, and what of it is not the server's own time."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.editors.nvim import ROOT, Nvim, running
from tests.editors.picture import animate, draw
from tests.editors.real_server import setup, traces, wait_until_ready

pytestmark = [pytest.mark.editor, pytest.mark.model]

OUT = ROOT / "out/editors"
CLIENT_SHARE_P50_MS = 25.0

MODULE = '''"""Orders of a shop."""

from dataclasses import dataclass, field


@dataclass
class Item:
    name: str
    price: float
    quantity: int = 1


@dataclass
class Order:
    customer: str
    items: list[Item] = field(default_factory=list)

    def add(self, item: Item) -> None:
        self.items.append(item)

'''
TYPED = [
    "    def total(self) -> float:",
    "        return sum(item.price * item.quantity for item in self.items)",
    "",
    "    def find(self, name: str) -> Item | None:",
    "        for item in self.items:",
    "            if item.name == name:",
    "                return item",
    "        return None",
]


@dataclass(frozen=True, slots=True)
class Timing:
    """One key after which ghost text was visible. server_ms: 0 where it was typed through, before any answer."""

    ghost_ms: float
    server_ms: float

    @property
    def client_ms(self) -> float:
        return self.ghost_ms - self.server_ms


def type_and_time(nvim: Nvim, name: str) -> list[Timing]:
    """Type TYPED key by key, each when the one before was answered; return the keys with ghost text."""
    timings = []
    nvim.keys("o<C-u>")
    nvim.wait_for_answer()
    for line in TYPED:
        for n_typed, char in enumerate(line, 1):
            before = nvim.lua("return require('completer').visible()") or ""
            nvim.keys(char.replace("<", "<lt>"))
            nvim.wait_for_answer()
            if not nvim.lua("return require('completer').visible()"):
                continue
            typed = line[:n_typed].rstrip()
            seen = nvim.wait(lambda frame, typed=typed: bool(frame.ghost) and frame.shows(typed))
            server_ms = traces(nvim, name)[-1]["total_ms"]
            typed_through = len(before) > 1 and before.startswith(char)
            timings.append(Timing(seen.after_key_ms, 0.0 if typed_through else server_ms))
        nvim.keys("<CR>")
    return timings


def percentiles(values: list[float]) -> str:
    return f"p50 {np.percentile(values, 50):5.1f}  p95 {np.percentile(values, 95):5.1f} ms" if values else "none"


def test_key_to_ghost_text_and_the_clients_share(nvim_program: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    version = nvim_program.parent.name
    with running(nvim_program, setup(), tmp_path / "nvim") as nvim:
        nvim.command("autocmd FileType python setlocal noautoindent indentexpr=")
        nvim.open("orders.py", MODULE)
        wait_until_ready(nvim)
        timings = type_and_time(nvim, "orders.py")
    asked = [timing for timing in timings if timing.server_ms]
    through = [timing.ghost_ms for timing in timings if not timing.server_ms]
    with capsys.disabled():
        print(f"\n{version}: {len(timings)} of {sum(map(len, TYPED))} keys with ghost text")
        print(f"  key to ghost text, all                {percentiles([timing.ghost_ms for timing in timings])}")
        print(f"  typed through in the editor ({len(through):3d})     {percentiles(through)}")
        print(f"  answered by the server ({len(asked):3d})          {percentiles([timing.ghost_ms for timing in asked])}")
        print(f"    of this the client's share          {percentiles([timing.client_ms for timing in asked])}")
    OUT.mkdir(parents=True, exist_ok=True)
    report = json.dumps([asdict(timing) for timing in timings])
    (OUT / f"{version}-latency.json").write_text(report, encoding="utf-8")
    assert len(asked) >= 5
    assert np.percentile([timing.client_ms for timing in asked], 50) <= CLIENT_SHARE_P50_MS


def test_picture_of_ghost_text(nvim_program: Path, tmp_path: Path) -> None:
    if not nvim_program.parent.name.endswith("0.12"):
        pytest.skip("one picture is enough")
    with running(nvim_program, setup(budget_ms=3000), tmp_path / "nvim") as nvim:
        nvim.command("set cursorline number laststatus=0 noruler noshowcmd")
        nvim.command("autocmd FileType python setlocal noautoindent indentexpr=")
        nvim.open("orders.py", MODULE)
        wait_until_ready(nvim)
        nvim.keys("o<C-u>" + TYPED[0] + "<CR>")
        nvim.keys(TYPED[1][:15])
        nvim.wait(lambda frame: len(frame.ghost) > 8, "ghost text")
        OUT.mkdir(parents=True, exist_ok=True)
        draw(nvim.screen, "orders.py — Neovim", 24).save(OUT / "neovim.png")


def test_animation_of_typing_and_accepting(nvim_program: Path, tmp_path: Path) -> None:
    """Two lines, each begun by hand and taken by Tab: what README begins with."""
    if not nvim_program.parent.name.endswith("0.12"):
        pytest.skip("one picture is enough")
    frames = []
    with running(nvim_program, setup(budget_ms=3000), tmp_path / "nvim") as nvim:
        nvim.command("set cursorline number laststatus=0 noruler noshowcmd")
        nvim.command("autocmd FileType python setlocal noautoindent indentexpr=")
        nvim.open("orders.py", MODULE)
        wait_until_ready(nvim)
        nvim.keys("o<C-u>")

        def take(ms: int) -> None:
            frames.append((draw(nvim.screen, "orders.py — Neovim", 24), ms))

        for line, n_typed in ((TYPED[0], len(TYPED[0]) - 6), (TYPED[1], 15)):
            for key in line[:n_typed]:
                nvim.type(key)
                nvim.wait_for_answer()
                take(110)
            nvim.wait(lambda frame: bool(frame.ghost), "ghost text")
            take(900)
            nvim.keys("<Tab>")
            nvim.wait_for_answer()
            take(900)
            nvim.keys("<CR>")
        take(1500)
    OUT.mkdir(parents=True, exist_ok=True)
    animate(frames, OUT / "neovim.gif")
    assert len({image.tobytes() for image, _ in frames}) > 20
