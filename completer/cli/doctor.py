"""`completer doctor`: what is installed, what can run here, and what this machine's speed means for the budget."""

from __future__ import annotations

import asyncio
import platform
from dataclasses import replace
from importlib.util import find_spec

import psutil
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from completer import __version__
from completer.assemble import automatic_model, machine_limits, model_files
from completer.cli.progress import progress_bar
from completer.config import Settings
from completer.engines.base import CostCurve
from completer.engines.cpu.load import physical_threads
from completer.engines.factory import Loaded, load, load_llama_cpp, resolve
from completer.engines.registry import ENGINES, availability
from completer.errors import CompleterError
from completer.models.store import cache_dir


def run(settings: Settings) -> None:
    """Print the report. Never pulls a model; measures the one that is here. Raises: CompleterError for a wrong setting."""
    console = Console()
    console.print(f"completer {__version__}, Python {platform.python_version()} on {platform.system()} {platform.machine()}")
    memory_gb = psutil.virtual_memory().total / 1e9
    console.print(f"{physical_threads(settings)} threads, {memory_gb:.0f} GB of memory, cache in {cache_dir()}")
    console.print(engine_table(settings))
    if settings.engine == "remote":
        _report_remote(console, settings)
    else:
        _report_local(console, settings)


def _report_local(console: Console, settings: Settings) -> None:
    try:
        if find_spec("torch") is not None:
            limits = machine_limits(settings, again=True)
            console.print(f"memory read {limits.memory_gb_s:.1f} GB/s, bf16 product {limits.product_gflop_s:.0f} GFLOP/s")
        choice = automatic_model(settings)
        console.print(f"model 'auto' is {choice.model}: {choice.why}")
        files = model_files(settings, lambda *_: None, may_pull=False)
    except CompleterError as error:
        console.print(f"[yellow]{error}[/yellow]")
        return
    console.print(f"{files.name} lies in {files.path}")
    name, _ = resolve(settings)
    if name == "lmdeploy":  # its costs are an estimate, and loading it would take the card's memory
        return
    with progress_bar() as report:

        def progress(label: str, done: int, total: int) -> None:
            report(label, done / total if total else None)

        loaded = load_llama_cpp(files, settings, progress) if name == "llama.cpp" else load(files, settings, progress, True)
    _print_costs(console, loaded.engine.costs, settings)
    console.print(f"{_resident_bytes() / 1e6:.0f} MB resident")
    if isinstance(loaded, Loaded):
        loaded.engine.close()
    else:
        asyncio.run(loaded.engine.close())


def _resident_bytes() -> int:
    """Return the memory of this process and of those that it started."""
    here = psutil.Process()
    return sum(int(one.memory_info().rss) for one in (here, *here.children(recursive=True)))


def _report_remote(console: Console, settings: Settings) -> None:
    """Ask each endpoint by itself, so that one that is down shows beside one that takes over for it."""
    from completer.engines.remote.load import connect

    for url in settings.endpoints:
        try:
            found = connect(replace(settings, endpoints=(url,))).engine
        except CompleterError as error:
            console.print(f"[red]{escape(url)}[/red]: {escape(str(error))}")
            continue
        prompts = "token ids" if found.sends_ids else "text"
        console.print(f"[green]{url}[/green]: {found.dialect.name}, model {found.model}, {found.max_len} tokens, takes {prompts}")
        _print_costs(console, found.costs, settings)
    if not settings.endpoints:
        console.print("no endpoint is set: completer doctor --engine remote --set 'endpoints=[\"http://127.0.0.1:8080\"]'")


def engine_table(settings: Settings) -> Table:
    table = Table("engine", "state", "version", "device", "reason")
    for name in ENGINES:
        state = availability(name, llama_server=settings.llama_server)
        ready = "[green]ready[/green]" if state.available else "[red]no[/red]"
        table.add_row(name, ready, *(escape(text) for text in (state.version, state.device, state.reason)))
    return table


def _print_costs(console: Console, costs: CostCurve, settings: Settings) -> None:
    forwards = ", ".join(f"{n}: {ms:.0f}" for n, ms in sorted(costs.forward_ms.items()))
    console.print(f"forward, ms by tokens: {forwards}; prefill {costs.prefill_ms_per_token:.2f} ms per token")
    step_ms, first_ms = costs.cost(1), costs.cost(2)
    n_tokens = max(0, int((settings.budget_ms - first_ms) / step_ms)) + 1
    console.print(
        f"within {settings.budget_ms} ms a warm keystroke shows {n_tokens} tokens (about {n_tokens * 3} characters), "
        f"the first after {first_ms:.0f} ms; a new place of 100 tokens takes {100 * costs.prefill_ms_per_token + first_ms:.0f} ms"
    )
    if n_tokens < 2:
        console.print("[yellow]that is too slow to be useful: choose a smaller model, or more threads[/yellow]")
