"""Where models lie on this disk. Knows files and folders, never the network.

    <cache>/models/<id>/pulled.json     what was pulled, from where, with size and SHA-256 of each file
    <cache>/models/<id>/files/          the GGUF file, or the files of a Hugging Face folder
    <cache>/models/<id>/converted/      an engine's own form of the weights, made from `files`
    <cache>/models/.partial/<id>/       a pull that is under way or broke off
    <cache>/models/.locks/<id>.lock     held while it is pulled or removed

`<cache>` is the environment variable COMPLETER_CACHE, or the user's cache folder. `models/<id>` appears by one
rename after every hash was right, so what is there is whole.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout
from platformdirs import user_cache_path

from completer.errors import CacheError, DownloadError, HashMismatch, ModelNotPulled, UnknownModel, UnsupportedModel
from completer.models.manifest import ModelEntry, find, load_manifest
from completer.models.transfer import Transfer, sha256_of
from completer.system.cachefile import require_writable
from completer.system.replace import remove_folder, replace_folder
from completer.types import Progress

Format = Literal["gguf", "hf"]

_N_PIECES = 64
_PIECE_BYTES = 16 * 1024
"""The first piece holds a safetensors header of usual size, the last one ends the file."""


@dataclass(frozen=True, slots=True)
class FileRecord:
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was pulled. source: "hub" or "index".  revision: commit or version.  files: name -> size and hash."""

    source: str
    revision: str
    files: Mapping[str, FileRecord]


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """A model on this disk.

    name: manifest id, or the stem of a local path.  path: the GGUF file ("gguf") or folder ("hf").
    entry: None for a local path.  converted: folder, perhaps not there yet, for an engine's own form of the weights.
    """

    name: str
    path: Path
    format: Format
    entry: ModelEntry | None
    converted: Path

    @property
    def fim(self) -> str:
        """Name of the prompt format, "" to find it out from the vocabulary."""
        return self.entry.prompt if self.entry else ""


def cache_dir() -> Path:
    """Return the folder of everything that completer can fetch or make again.

    Raises: CacheError for a path that depends on the working folder, which is what remains without a home folder: a
    workspace must not bring models and measurements along.
    """
    override = os.environ.get("COMPLETER_CACHE")
    try:
        folder = Path(os.path.expanduser(override)) if override else user_cache_path("completer", appauthor=False)
    except RuntimeError as error:  # newer platformdirs, without a home folder
        raise CacheError(
            f"there is no folder for the cache ({error}): set HOME, or COMPLETER_CACHE to an absolute path"
        ) from error
    if not folder.is_absolute():
        raise CacheError(
            f"the cache folder {str(folder)!r} is no absolute path: set HOME, or COMPLETER_CACHE to an absolute path"
        )
    return folder


def models_dir() -> Path:
    return cache_dir() / "models"


def model_dir(model_id: str) -> Path:
    return models_dir() / model_id


def partial_dir(model_id: str) -> Path:
    return models_dir() / ".partial" / model_id


def lock_of(model_id: str) -> FileLock:
    """Return the lock of one model, not yet acquired; it works between processes and between threads."""
    path = models_dir() / ".locks" / f"{model_id}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(path, thread_local=False)


def locate(id_or_path: str) -> ModelFiles:
    """Return where a model lies, by manifest id or by the path of a GGUF file or Hugging Face folder.

    Raises: ModelNotPulled, UnknownModel (neither an id nor a path), UnsupportedModel (a path of something else).
    """
    if all(entry.id != id_or_path for entry in load_manifest()):
        path = Path(id_or_path).expanduser()
        if path.exists():
            return _local(path.resolve())
        if path.suffix == ".gguf" or path.is_absolute() or id_or_path.startswith("."):
            raise UnknownModel(f"no such file or folder: {id_or_path}")
    entry = find(id_or_path)
    if not is_pulled(entry.id):
        raise ModelNotPulled(f"model {entry.id} is not on this disk: run 'completer models pull {entry.id}'")
    folder = model_dir(entry.id)
    path = folder / "files" / entry.file.name if entry.file else folder / "files"
    return ModelFiles(entry.id, path, "gguf" if entry.file else "hf", entry, folder / "converted")


def is_pulled(model_id: str) -> bool:
    """Return whether all files are there with the right sizes; `verify` also reads them."""
    receipt = read_receipt(model_id)
    if receipt is None:
        return False
    files = model_dir(model_id) / "files"
    return all(_size(files / name) == record.bytes for name, record in receipt.files.items())


def verify(model_id: str, progress: Progress | None = None) -> None:
    """Read every file of a pulled model and compare its SHA-256.

    Raises: UnknownModel, ModelNotPulled, HashMismatch.
    Mutates: after a HashMismatch the model counts as not pulled, so that it is pulled again when it is next needed.
    """
    entry, receipt = find(model_id), read_receipt(model_id)
    if receipt is None:
        raise ModelNotPulled(f"model {model_id} is not on this disk: run 'completer models pull {model_id}'")
    files = model_dir(model_id) / "files"
    transfer = Transfer(f"verifying {model_id}", sum(r.bytes for r in receipt.files.values()), progress)
    for name, record in receipt.files.items():
        wanted = entry.file.sha256 if entry.file else record.sha256
        if not _is_right(files / name, record.bytes, wanted, transfer):
            with contextlib.suppress(OSError):
                _receipt_path(model_id).unlink()
            raise HashMismatch(
                f"{files / name} is missing or damaged: the next start pulls {model_id} again, "
                f"as does 'completer models pull {model_id}'"
            )


def remove(model_id: str) -> int:
    """Delete a model, what was converted from it and what is left of a broken pull; return the bytes set free.

    Raises: UnknownModel, DownloadError when it is being pulled at this moment, CacheError, also for files that another
    program has open (Windows); the model counts as not pulled then.
    """
    find(model_id)
    require_writable(models_dir())
    lock = lock_of(model_id)
    try:
        with lock.acquire(timeout=0):
            freed = disk_usage_bytes(model_id)
            # The receipt goes first: a removal that breaks off leaves a model that counts as not pulled.
            _receipt_path(model_id).unlink(missing_ok=True)
            remove_folder(model_dir(model_id))
            shutil.rmtree(partial_dir(model_id), ignore_errors=True)
            return freed
    except Timeout:
        raise DownloadError(f"model {model_id} is being pulled by another process: stop that one first") from None


def disk_usage_bytes(model_id: str) -> int:
    """Return the bytes of a model on this disk: files, converted forms, and an unfinished pull."""
    return folder_bytes(model_dir(model_id)) + folder_bytes(partial_dir(model_id))


def folder_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def read_receipt(model_id: str) -> Receipt | None:
    """Return what is written down about a pulled model; None when it is not there or unreadable."""
    try:
        raw = json.loads(_receipt_path(model_id).read_text("utf-8"))
        files = {name: FileRecord(**record) for name, record in raw["files"].items()}
        return Receipt(raw["source"], raw["revision"], files)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def place(model_id: str, files: Path, receipt: Receipt) -> None:
    """Make a pulled model visible, all at once. The caller holds the lock and has checked the hashes.

    Raises: CacheError when another program has the old files open (Windows); OSError.
    files: folder inside `partial_dir`; it is moved.  Mutates: replaces `model_dir`, deletes `partial_dir`.
    """
    ready = partial_dir(model_id) / "ready"
    shutil.rmtree(ready, ignore_errors=True)
    ready.mkdir()
    replace_folder(files, ready / "files")
    (ready / "pulled.json").write_text(json.dumps(asdict(receipt), indent=1), "utf-8")
    replace_folder(ready, model_dir(model_id))
    shutil.rmtree(partial_dir(model_id), ignore_errors=True)


def converted_dir() -> Path:
    """Return the folder of what was converted from local paths."""
    return cache_dir() / "converted"


def _local(path: Path) -> ModelFiles:
    form: Format
    if path.is_dir() and (path / "config.json").is_file():
        sources, form = (
            sorted(file for file in path.iterdir() if file.suffix in (".json", ".safetensors") and file.is_file()),
            "hf",
        )
    elif path.is_file() and _starts_with_magic(path):
        sources, form = [path], "gguf"
    else:
        raise UnsupportedModel(f"{path} is neither a GGUF file nor a folder with a config.json")
    # Other weights under the same name must not meet the conversion of the old ones.
    key = hashlib.sha256(str(path).encode())
    for source in sources:
        key.update(_fingerprint(source))
    return ModelFiles(path.stem, path, form, None, converted_dir() / f"{path.stem}-{key.hexdigest()[:12]}")


def _fingerprint(path: Path) -> bytes:
    """Return what tells a file from others of its name: size, time of change, pieces of its bytes. A megabyte is read at most."""
    with path.open("rb", buffering=0) as file:
        status = os.fstat(file.fileno())
        digest = hashlib.sha256(f"{path.name}\0{status.st_size}\0{status.st_mtime_ns}".encode())
        for i in range(_N_PIECES):
            file.seek(i * max(status.st_size - _PIECE_BYTES, 0) // (_N_PIECES - 1))
            digest.update(file.read(_PIECE_BYTES))
    return digest.digest()


def _starts_with_magic(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"GGUF"


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else -1


def _is_right(path: Path, n_bytes: int, sha256: str, transfer: Transfer) -> bool:
    try:
        return _size(path) == n_bytes and sha256_of(path, transfer) == sha256
    except OSError:  # a disk that fails, no permission
        return False


def _receipt_path(model_id: str) -> Path:
    return model_dir(model_id) / "pulled.json"
