"""How many people one card serves, from what a request costs: a model with few assumptions, all of them parameters.

A card reads the weights once for each decode step of all requests together, and each prompt token costs two products
with every weight. With n people a card gets `rate` requests per second, each feeds `fed` tokens and decodes `decoded`:

    prefill share   p = rate · fed · 2 · parameters / (products per second)
    decode step     t = (weights + in_flight · kv) / (bytes per second) / (1 − p),    in_flight = rate · decoded · t
                      = w / (1 − p − rate · decoded · k)       w, k: seconds to read the weights, one prompt's KV
    an answer       round trip + fed tokens / (1 − p) + shown · t

It holds while the answer fits the budget, and while the prompts of all people fit the memory beside the weights: what
is thrown out of the prefix cache must be fed anew, and the hit rate below is no longer true. Batched servers only; one that
works on one request after another (`serial`) waits as a queue with constant service times does (Pollaczek–Khinchine).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

MOST_TYPISTS = 100_000


@dataclass(frozen=True, slots=True)
class Card:
    """A processor by its published limits, and the shares of them that servers reach."""

    name: str
    memory_gb: float
    read_gb_s: float
    product_tflop_s: float
    read_share: float = 0.6
    product_share: float = 0.4


@dataclass(frozen=True, slots=True)
class Served:
    """A model: parameters in billions, bytes of one, bytes of keys and values of one token."""

    name: str
    parameters_g: float
    bytes_per_parameter: float
    kv_bytes: float


@dataclass(frozen=True, slots=True)
class Typing:
    """What one person asks for while typing without a pause.

    keys_s: keys per second.  asked: share of the keys that need a request, the rest is typed through.
    ahead: requests made ahead of need for each of these.  hit: share of a prompt found in the prefix cache.
    prompt, decoded, shown: tokens of a prompt, of an answer, of what is shown first.
    prompts: different prompts of one person worth keeping.
    """

    keys_s: float = 3.0
    asked: float = 0.2
    ahead: float = 1.0
    hit: float = 0.97
    prompt: int = 1000
    decoded: int = 12
    shown: int = 4
    prompts: int = 3


USUAL = Typing()


@dataclass(frozen=True, slots=True)
class Load:
    """What n people make of a card: requests per second, busy share, milliseconds of an answer and of a decode step."""

    typists: int
    requests_s: float
    busy: float
    answer_ms: float
    step_ms: float
    fits_memory: bool


CARDS = {
    card.name: card
    for card in (
        Card("L4", 24, 300, 121),
        Card("RTX 4090", 24, 1008, 165),
        Card("L40S", 48, 864, 362),
        Card("A100 80GB", 80, 2039, 312),
        Card("H100 SXM", 80, 3350, 989),
    )
}
MODELS = {
    model.name: model
    for model in (
        Served("Qwen2.5-Coder 1.5B bf16", 1.54, 2.0, 2 * 28 * 2 * 128 * 2),
        Served("Qwen2.5-Coder 7B bf16", 7.62, 2.0, 2 * 28 * 4 * 128 * 2),
        Served("Qwen2.5-Coder 7B 4 bit", 7.62, 0.56, 2 * 28 * 4 * 128 * 2),
    )
}


def load_of(n: int, card: Card, model: Served, typing: Typing, round_trip_ms: float) -> Load:
    """Return what `n` people make of the card; answer_ms is infinite where it cannot keep up. Source: the module's docstring."""
    rate = n * typing.keys_s * typing.asked * (1 + typing.ahead)
    fed = typing.prompt * (1 - typing.hit)
    read_s = card.read_gb_s * card.read_share * 1e9
    token_s = 2 * model.parameters_g * 1e9 / (card.product_tflop_s * card.product_share * 1e12)
    weights_bytes = model.parameters_g * 1e9 * model.bytes_per_parameter
    w, k = weights_bytes / read_s, typing.prompt * model.kv_bytes / read_s
    prefill = rate * fed * token_s
    left = 1 - prefill - rate * typing.decoded * k
    room_bytes = 0.9 * card.memory_gb * 1e9 - weights_bytes
    fits = n * typing.prompts * typing.prompt * model.kv_bytes <= room_bytes
    if left <= 0:
        return Load(n, rate, 1.0, float("inf"), float("inf"), fits)
    step_s = w / left
    answer_s = fed * token_s / (1 - prefill) + typing.shown * step_s
    return Load(n, rate, 1 - left, round_trip_ms + answer_s * 1e3, step_s * 1e3, fits)


def most_typists(card: Card, model: Served, typing: Typing, budget_ms: float, round_trip_ms: float) -> Load:
    """Return the largest load whose answers fit the budget and whose prompts fit the memory; typists 0: not even one."""

    def good(n: int) -> bool:
        load = load_of(n, card, model, typing, round_trip_ms)
        return load.answer_ms <= budget_ms and load.fits_memory

    low, high = 0, MOST_TYPISTS
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if good(middle) else (low, middle - 1)
    return load_of(low, card, model, typing, round_trip_ms)


def serial_answer_ms(n: int, service_ms: float, shown_ms: float, typing: Typing) -> float:
    """Return the mean answer of a server that works on one request after another; infinite where it cannot keep up.

    service_ms: of a whole request.  shown_ms: until the first piece is shown.  Keys go before what is made ahead of need,
    which waits and is broken off, so only keys queue.  Source: Pollaczek–Khinchine for constant service times.
    """
    busy = n * typing.keys_s * typing.asked * service_ms / 1e3
    return float("inf") if busy >= 1 else shown_ms + service_ms * busy / (2 * (1 - busy))


def capacity(
    keys_s: Annotated[float, typer.Option(help="Keys per second of one person while typing.")] = USUAL.keys_s,
    asked: Annotated[float, typer.Option(help="Share of the keys that need a request.")] = USUAL.asked,
    hit: Annotated[float, typer.Option(help="Share of a prompt found in the prefix cache.")] = USUAL.hit,
    budget_ms: Annotated[float, typer.Option(help="What an answer may take, its way included.")] = 80.0,
    round_trip_ms: Annotated[float, typer.Option(help="Of the network, with TLS and a router.")] = 10.0,
    active: Annotated[float, typer.Option(help="Share of the people who type at the same moment.")] = 0.1,
) -> None:
    """Print how many typists a card serves by the model of this module; nothing is measured."""
    typing = replace(USUAL, keys_s=keys_s, asked=asked, hit=hit)
    table = Table("model", "card", "typing at once", "people", "requests/s", "busy", "step ms", "answer ms", "bound by")
    for model in MODELS.values():
        for card in CARDS.values():
            load = most_typists(card, model, typing, budget_ms, round_trip_ms)
            more = load_of(load.typists + 1, card, model, typing, round_trip_ms)
            bound = "latency" if more.answer_ms > budget_ms else "memory"
            figures = (f"{load.requests_s:.0f}", f"{load.busy:.0%}", f"{load.step_ms:.1f}", f"{load.answer_ms:.0f}")
            table.add_row(model.name, card.name, str(load.typists), f"{load.typists / active:.0f}", *figures, bound)
    Console().print(table)
