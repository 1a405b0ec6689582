"""The folder of a converted model: which files it holds, and whether they are what the conversion wrote.

spec.json            sizes of the model
tokenizer.json       vocabulary
embed.npy            [vocab, hidden] bfloat16 as raw 16 bits; only the rows that are looked up are ever read
prefill.safetensors  8-bit rows for the torch engine (prefill, and the whole model with engine "torch")
decode.onnx(.data)   4-bit groups (attention and head: 8 bits) for onnxruntime
files.json           written last: the format, and the size and SHA-256 of each file above

Made later, and made again when damaged: checked.json (when the hashes were last right, and each file's size and time of
change then), encoder.json, vocabulary.npz (see `completer.tokens.vocabulary`), costs.json.

Imports no inference library.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from filelock import FileLock, Timeout

from completer.system.replace import replace_file

log = logging.getLogger(__name__)

FORMAT = "8"
"""Changes whenever the converted files do: older ones are then made anew."""
MAX_LEN = 4096
"""Longest slot that the exported graph allows."""
FILES = ("spec.json", "tokenizer.json", "embed.npy", "prefill.safetensors", "decode.onnx", "decode.onnx.data")
BELIEVED_FOR_S = 24 * 3600.0
"""How long hashes that were right are believed while no file's size or time of change differs."""
_MANIFEST = "files.json"
_CHECKED = "checked.json"
_CHUNK_BYTES = 256 * 1024

HashProgress = Callable[[int, int], None]
"""Called after each chunk of at most 256 KiB: (bytes hashed, bytes in all). What it raises ends the check."""


class Damage(NamedTuple):
    """The first file found that is not what the conversion wrote. what: completes the sentence "FILE is …"."""

    file: Path
    what: str

    def __str__(self) -> str:
        return f"{self.file} is {self.what}"


class _Record(NamedTuple):
    bytes: int
    sha256: str


class _Stamp(NamedTuple):
    """What tells cheaply that a file was written to."""

    bytes: int
    changed_ns: int


def lock_of(folder: Path) -> FileLock:
    """Return the lock of one conversion, not yet acquired; it works between processes and between threads."""
    return FileLock(folder.with_name(folder.name + ".lock"), thread_local=False)


def is_converted(folder: Path) -> bool:
    """Return whether `folder` holds a whole, undamaged conversion of today's format, as far as `find_damage` can tell."""
    return find_damage(folder) is None


def seal(folder: Path) -> None:
    """Write the manifest of a folder that holds all FILES, after they have reached the disk. Raises: OSError."""
    for name in FILES:
        with (folder / name).open("rb+") as file:
            os.fsync(file.fileno())
    stamps = {name: _stamp(folder / name) for name in FILES}
    records = {name: _Record(stamps[name].bytes, _sha256(folder / name, lambda _: None)) for name in FILES}
    _write_checked(folder, stamps, time.time())
    described = {"format": FORMAT, "files": {name: record._asdict() for name, record in records.items()}}
    _write_whole(folder / _MANIFEST, json.dumps(described, indent=1))


def find_damage(folder: Path, every_hash: bool = False, progress: HashProgress = lambda *_: None) -> Damage | None:
    """Return the first damage in a converted folder, or None.

    Without `every_hash` sizes are compared, and the hashes only of files that were written to since they were last right:
    milliseconds where nothing happened. Else all hashes are compared: seconds.
    Mutates: checked.json.
    """
    records = _read_manifest(folder)
    if records is None:
        return Damage(folder / _MANIFEST, "missing, damaged or of another format")
    stamps: dict[str, _Stamp] = {}
    for name, record in records.items():
        try:
            stamps[name] = _stamp(folder / name)
        except OSError as error:
            return Damage(folder / name, f"missing or unreadable ({error.strerror})")
        if stamps[name].bytes != record.bytes:
            return Damage(folder / name, f"{stamps[name].bytes} bytes long instead of {record.bytes}")
    known, checked_at = _read_checked(folder)
    doubtful = [name for name, stamp in stamps.items() if every_hash or known.get(name) != stamp]
    if found := _wrong_hash(folder, {name: records[name] for name in doubtful}, progress):
        return found
    if doubtful:
        _write_checked(folder, stamps, time.time() if every_hash else checked_at)
    return None


def is_due(folder: Path) -> bool:
    """Return whether every hash should be compared again: a day has passed, or a file was written to or is gone."""
    known, checked_at = _read_checked(folder)
    try:
        stamps = {name: _stamp(folder / name) for name in FILES}
    except OSError:
        return True
    return stamps != known or not 0 <= time.time() - checked_at < BELIEVED_FOR_S


def withdraw(damage: Damage) -> bool:
    """Let the damaged folder no longer count as converted, so that the next load converts the model anew.

    Returns whether it does so; not where another process has replaced the folder, or is about to.
    Mutates: deletes the manifest.
    """
    folder = damage.file.parent
    try:
        with lock_of(folder).acquire(timeout=0):
            if (records := _read_manifest(folder)) is None:
                return True
            name = damage.file.name
            damaged = name not in records or _wrong_hash(folder, {name: records[name]}, lambda *_: None) is not None
            if damaged:
                (folder / _MANIFEST).unlink(missing_ok=True)
            return damaged
    except Timeout:
        return False
    except OSError as error:
        log.warning("%s could not be marked as damaged: %s", folder, error)
        return False


def _wrong_hash(folder: Path, records: dict[str, _Record], progress: HashProgress) -> Damage | None:
    total, done = sum(record.bytes for record in records.values()), 0

    def advance(n_bytes: int) -> None:
        nonlocal done
        done += n_bytes
        progress(done, total)

    for name, record in records.items():
        try:
            digest = _sha256(folder / name, advance)
        except OSError as error:
            return Damage(folder / name, f"missing or unreadable ({error.strerror})")
        if digest != record.sha256:
            return Damage(folder / name, "damaged: its SHA-256 is not that of the conversion")
    return None


def _sha256(path: Path, advance: Callable[[int], None]) -> str:
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
            advance(len(chunk))
    return digest.hexdigest()


def _stamp(path: Path) -> _Stamp:
    """Raises: OSError, also for a file that is there but cannot be read."""
    with path.open("rb", buffering=0) as file:
        file.read(1)
        status = os.fstat(file.fileno())
    return _Stamp(status.st_size, status.st_mtime_ns)


def _read_manifest(folder: Path) -> dict[str, _Record] | None:
    try:
        described = _read_object(folder / _MANIFEST)
        records = {
            name: _Record(int(described["files"][name]["bytes"]), str(described["files"][name]["sha256"])) for name in FILES
        }
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return records if described.get("format") == FORMAT else None


def _read_checked(folder: Path) -> tuple[dict[str, _Stamp], float]:
    """Return each file's stamp when its hash was last right, and when all hashes were: seconds since 1970."""
    try:
        kept = _read_object(folder / _CHECKED)
        return {name: _Stamp(*map(int, kept["stamps"][name])) for name in FILES}, float(kept["checked_at"])
    except (OSError, ValueError, KeyError, TypeError):
        return {}, 0.0


def _write_checked(folder: Path, stamps: dict[str, _Stamp], checked_at: float) -> None:
    try:
        _write_whole(folder / _CHECKED, json.dumps({"checked_at": checked_at, "stamps": stamps}))
    except OSError as error:  # a folder that cannot be written to is hashed again next time, nothing else
        log.info("%s: %s", folder, error)


def _write_whole(path: Path, text: str) -> None:
    """Write a file whole or not at all, also when the machine loses power. Raises: OSError."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    with fresh.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    replace_file(fresh, path)


def _read_object(path: Path) -> dict[str, Any]:
    """Raises: OSError; ValueError for anything but a JSON object."""
    value = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(value, dict):
        raise ValueError(f"{path} holds no JSON object")
    return value
