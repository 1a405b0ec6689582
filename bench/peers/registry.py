"""The peers by name. One more peer is one more adapter and one more line here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bench.drive import Tool
from bench.peers.http import LlamaServer
from bench.peers.llama_vim import LlamaVim
from bench.peers.own_prompt import OwnPrompt

Make = Callable[[LlamaServer, bool], Tool]
"""From a server, and whether the loop is closed."""

PEERS: dict[str, Make] = {
    "llama.vim": lambda server, closed: LlamaVim(server, lean=closed),
    "llama.cpp-psm": lambda server, closed: OwnPrompt(server, "psm", name="llama.cpp-psm"),
    "llama.cpp-anchored": lambda server, closed: OwnPrompt(server, "anchored", name="llama.cpp-anchored"),
}


def make_peer(name: str, *, model: Path | None, url: str, threads: int, closed: bool) -> Tool:
    """Return the peer `name` with a server of its own. Raises: KeyError for an unknown name."""
    return PEERS[name](LlamaServer(url=url, model=model, threads=threads), closed)
