"""`python -m bench`: replay, peers, report, gate, load, soak; and, from inside the process, engines, weights and prompts."""

from __future__ import annotations

from bench.blocks.command import blocks
from bench.bodies.command import bodies
from bench.capacity import capacity
from bench.commands import app
from bench.crossfile import context
from bench.cut_record import cut_record
from bench.cut_rules import cut_rules
from bench.draft import draft
from bench.endurance import endurance
from bench.engine import engine
from bench.fuzz.command import fuzz
from bench.invariants import invariants
from bench.large import large
from bench.logits import logits
from bench.memory.command import memory
from bench.next_edit.command import next_edit
from bench.places.command import places
from bench.quality import quality
from bench.shortcut import shortcut
from bench.weights import weights
from bench.worker import worker

measured = (
    engine,
    weights,
    capacity,
    shortcut,
    draft,
    logits,
    context,
    large,
    cut_record,
    cut_rules,
    quality,
    places,
    memory,
    blocks,
    bodies,
    invariants,
    next_edit,
    worker,
    fuzz,
    endurance,
)
for command in measured:
    app.command()(command)

if __name__ == "__main__":
    app(prog_name="python -m bench")
