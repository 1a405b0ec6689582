"""Which engines there are, and whether they can run here. Imports no inference library before its engine is asked for."""

from __future__ import annotations

import ctypes
import importlib
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Literal

from completer.engines.base import Availability

RunsOn = Literal["cpu", "any", "cuda", "server"]


@dataclass(frozen=True, slots=True)
class Requirements:
    """What an engine needs. packages: names on the index, the same as the modules; the first gives the engine its version.

    device: "cpu", "cuda" and "server" name the only one that it runs on; with "any" it takes CUDA where torch has it.
        "server": prompts leave this machine, so documents that appear to contain a secret are not sent.
    capability: the least compute capability of a card that it uses.  streams: it is a StreamEngine.
    """

    packages: tuple[str, ...]
    extra: str
    device: RunsOn = "cpu"
    capability: tuple[int, int] = (0, 0)
    streams: bool = False


AMPERE = (8, 0)
"""The first cards with bfloat16 and the 4-bit kernels of torch."""

ENGINES: dict[str, Requirements] = {
    "phased": Requirements(("onnxruntime", "torch"), "cpu"),
    "onnx": Requirements(("onnxruntime",), "cpu"),
    "torch": Requirements(("torch",), "cpu", "any", AMPERE),
    "hf": Requirements(("transformers", "torch"), "hf", "any"),
    "exllamav2": Requirements(("exllamav2", "torch"), "exllamav2", "cuda"),
    "exllamav3": Requirements(("exllamav3", "torch"), "exllamav3", "cuda"),
    "lmdeploy": Requirements(("lmdeploy", "torch"), "lmdeploy", "cuda", streams=True),
    "remote": Requirements(("httpx", "httpx_sse"), "", "server", streams=True),
}


def leaves_machine(name: str) -> bool:
    """Return whether the engine `name` sends prompts to a server; True for one without a row, of which nothing is known."""
    return name not in ENGINES or ENGINES[name].device == "server"


def availability(name: str, try_import: bool = True) -> Availability:
    """Return whether the engine `name` can run here, and why not. Imports what it needs, which may take seconds.

    try_import: False only looks whether the packages of a CPU engine are there; what imports it hears of a broken one.
    Never raises for a broken installation: whatever an import throws is the reason.
    """
    needs = ENGINES[name]
    missing = [package for package in needs.packages if find_spec(package) is None]
    versions = ", ".join(f"{p} {_version(p)}" for p in needs.packages if p not in missing)
    if missing:
        reason = f"not installed: {', '.join(missing)} ({_mend(needs.extra)})"
        return Availability(name, False, reason, versions)
    device = "servers of the setting 'endpoints'" if needs.device == "server" else "cpu"
    if needs.device in ("any", "cuda"):
        device = cuda_name(needs.capability) or "cpu"
    if needs.device == "cuda" and device == "cpu":
        reason = "torch sees no CUDA device: it needs an NVIDIA card, its driver, and a CUDA build of torch"
        return Availability(name, False, reason, versions)
    if needs.device == "cpu" and not try_import:
        return Availability(name, True, "", versions, device)
    # exllamav2 and exllamav3 compile an extension when they are imported, in which case all of these can be thrown.
    try:
        for package in needs.packages:
            importlib.import_module(package)
    except (ImportError, OSError, RuntimeError) as error:
        first_line = str(error).strip().partition("\n")[0]
        return Availability(name, False, f"import fails: {first_line or type(error).__name__}", versions, device)
    return Availability(name, True, "", versions, device)


def _mend(extra: str) -> str:
    if getattr(sys, "frozen", False):  # the standalone binary: nothing can be installed into it
        return "not in this binary: take the full one for the CPU engines, the package for others, or the engine 'remote'"
    return f"pip install 'completer[{extra}]'"


def cuda_name(capability: tuple[int, int] = (0, 0)) -> str:
    """Return the name of the first CUDA device, "" where torch is missing or has none of at least that compute capability."""
    if find_spec("torch") is None or ("torch" not in sys.modules and not _has_driver()):
        return ""
    import torch

    if not torch.cuda.is_available() or torch.cuda.get_device_capability() < capability:
        return ""
    return str(torch.cuda.get_device_name())


def has_cuda() -> bool:
    """Return whether the engine 'torch' can use a graphics card here."""
    return bool(cuda_name(AMPERE))


def _has_driver() -> bool:
    """Whether NVIDIA's driver is installed. Asked before torch, whose import takes most of a second."""
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # a module without metadata, such as one on the path by hand
        return "?"
