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
from completer.engines.llama_cpp import find
from completer.errors import EngineUnavailable

RunsOn = Literal["cpu", "any", "own", "cuda", "server"]


@dataclass(frozen=True, slots=True)
class Requirements:
    """What an engine needs. packages: names on the index, the same as the modules; the first gives the engine its version.

    device: "cpu", "cuda" and "server" name the only one that it runs on; with "any" it takes CUDA where torch has it, with
        "own" whatever its library finds.
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
    "llama.cpp": Requirements((find.PACKAGE, "gguf"), "llama-cpp", "own", streams=True),
    "lmdeploy": Requirements(("lmdeploy", "torch"), "lmdeploy", "cuda", streams=True),
    "remote": Requirements(("httpx", "httpx_sse"), "", "server", streams=True),
}


def leaves_machine(name: str) -> bool:
    """Return whether the engine `name` sends prompts to a server; True for one without a row, of which nothing is known."""
    return name not in ENGINES or ENGINES[name].device == "server"


def availability(name: str, try_import: bool = True, llama_server: str = "") -> Availability:
    """Return whether the engine `name` can run here, and why not. Imports what it needs, which may take seconds.

    try_import: False only looks whether the packages of a CPU engine are there; what imports it hears of a broken one.
    llama_server: the setting of that name.
    Never raises for a broken installation: whatever an import throws is the reason.
    """
    needs = ENGINES[name]
    if needs.device == "own":
        return _availability_of_llama_cpp(name, needs, try_import, llama_server)
    missing = [package for package in needs.packages if find_spec(package) is None]
    versions = _versions(needs.packages)
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
    try:
        for package in needs.packages:
            importlib.import_module(package)
    except _BROKEN as error:
        return Availability(name, False, _import_fails(error), versions, device)
    return Availability(name, True, "", versions, device)


def _availability_of_llama_cpp(name: str, needs: Requirements, try_import: bool, setting: str) -> Availability:
    """As `availability`: a program of the user's takes the place of the package."""
    reader = needs.packages[1]
    if find_spec(reader) is None:
        return Availability(name, False, f"not installed: {reader} ({_mend(needs.extra)})")
    try:
        program = find.find_server(setting)
    except EngineUnavailable as error:
        mend = "" if setting else f" ({_mend(needs.extra)})"
        return Availability(name, False, f"{error}{mend}", _versions(needs.packages))
    if program:
        return Availability(name, True, "", program, "what that program finds")
    if not try_import:
        return Availability(name, True, "", _versions(needs.packages), "cpu")
    try:
        return Availability(name, True, "", _versions(needs.packages), find.devices())
    except _BROKEN as error:
        return Availability(name, False, _import_fails(error), _versions(needs.packages))


_BROKEN = (ImportError, OSError, RuntimeError)
"""What importing a broken library throws; exllamav2 and exllamav3 compile an extension when they are imported."""


def _import_fails(error: Exception) -> str:
    first_line = str(error).strip().partition("\n")[0]
    return f"import fails: {first_line or type(error).__name__}"


def _versions(packages: tuple[str, ...]) -> str:
    """Return those packages that are installed, with their versions."""
    return ", ".join(f"{package} {_version(package)}" for package in packages if find_spec(package) is not None)


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
