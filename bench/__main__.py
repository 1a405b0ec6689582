"""`python -m bench`: replay a trace, compare with peers, report, gate, load."""

from __future__ import annotations

from bench.commands import app

if __name__ == "__main__":
    app(prog_name="python -m bench")
