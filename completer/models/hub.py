"""Fetch a model from the hub: one pinned GGUF file, or the files of a Hugging Face folder. Resumes by byte range."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from completer.errors import ConfigError, DownloadError, HashMismatch
from completer.models.manifest import ModelEntry
from completer.models.store import FileRecord, Receipt, folder_bytes
from completer.models.transfer import Transfer, ensure_space, sha256_of
from completer.system.proxies import is_loopback, proxy_for

# Where the hub is blocked the next source should get its turn quickly; a slow hub that answers is waited for.
_TIMEOUT = httpx.Timeout(15.0, connect=3.0)
_TRIES = 5
_BACKOFF_S = 0.5
_RETRY_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
# Weights in other formats, code, and pictures stay on the hub; Mistral's "consolidated" repeats the weights.
_WANTED_SUFFIXES = (".safetensors", ".json", ".txt", ".model", ".jinja")
_UNWANTED_PREFIXES = ("consolidated", "adapter_")


@dataclass(frozen=True, slots=True)
class HubFile:
    """One file to fetch. Exactly one of the hashes is known: `git_sha1` for small files that git itself keeps."""

    name: str
    bytes: int
    sha256: str | None = None
    git_sha1: str | None = None


def fetch(entry: ModelEntry, transfer: Transfer, folder: Path) -> Receipt:
    """Bring all files of `entry` into `folder`, each with the right hash.

    folder: exists; what a broken fetch left there is continued.  Raises: DownloadError, HashMismatch.
    """
    if os.environ.get("HF_HUB_OFFLINE", "0").lower() not in {"", "0", "false", "no"}:
        raise DownloadError("HF_HUB_OFFLINE is set")
    with _client() as client:
        revision, files = _plan(client, entry)
        total_bytes = sum(file.bytes for file in files)
        ensure_space(folder, total_bytes - folder_bytes(folder))
        loading = transfer.next(f"pulling {entry.id} (hub)", total_bytes)
        for file in files:
            url = f"{_endpoint()}/{entry.hub.repo}/resolve/{revision}/{file.name}"
            _download(client, url, folder / file.name, file.bytes, loading)
    checking = transfer.next(f"verifying {entry.id}", total_bytes)
    return Receipt("hub", revision, {file.name: _checked(folder / file.name, file, checking) for file in files})


def _client() -> httpx.Client:
    """Return the connections to the hub. Raises: DownloadError for a proxy that cannot be used."""
    headers = {"Authorization": f"Bearer {token}"} if (token := _token()) else {}
    outside = not is_loopback(urlsplit(_endpoint()).hostname or "")
    try:
        proxy_for(_endpoint())
        # From the environment come the certificates, and a proxy for each host that the hub redirects to.
        return httpx.Client(timeout=_TIMEOUT, follow_redirects=True, headers=headers, trust_env=outside)
    except (ConfigError, ImportError, ValueError) as error:
        raise DownloadError(_reason(error)) from error


def _plan(client: httpx.Client, entry: ModelEntry) -> tuple[str, list[HubFile]]:
    """Return the revision to fetch (a commit, where files are not pinned by the manifest) and the files."""
    repo, revision = entry.hub.repo, entry.hub.revision
    if entry.file:
        return revision, [HubFile(entry.file.name, entry.file.bytes, sha256=entry.file.sha256)]
    commit: str = _json(client, f"{_endpoint()}/api/models/{repo}/revision/{revision}", repo)["sha"]
    listing = _json(client, f"{_endpoint()}/api/models/{repo}/tree/{commit}", repo)
    files = [_hub_file(item) for item in listing if item["type"] == "file" and _is_wanted(item["path"])]
    if not any(file.name.endswith(".safetensors") for file in files):
        raise DownloadError(f"{repo} has no safetensors weights")
    return commit, files


def _hub_file(item: dict[str, Any]) -> HubFile:
    if lfs := item.get("lfs"):
        return HubFile(item["path"], lfs["size"], sha256=lfs["oid"])
    return HubFile(item["path"], item["size"], git_sha1=item["oid"])


def _is_wanted(path: str) -> bool:
    return "/" not in path and path.endswith(_WANTED_SUFFIXES) and not path.startswith(_UNWANTED_PREFIXES)


def _json(client: httpx.Client, url: str, repo: str) -> Any:
    try:
        response = client.get(url)
        _raise_for_status(response, repo)
        return response.json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise DownloadError(_reason(error)) from error


def _download(client: httpx.Client, url: str, path: Path, n_bytes: int, transfer: Transfer) -> None:
    """Append to `path` until it holds `n_bytes`; gives up after some tries in a row that brought nothing."""
    base_bytes, fruitless = transfer.done_bytes, 0
    while True:
        have_bytes = path.stat().st_size if path.exists() else 0
        if have_bytes > n_bytes:
            path.unlink()
            have_bytes = 0
        transfer.move_to(base_bytes + have_bytes)
        if have_bytes == n_bytes and path.exists():
            return
        try:
            _stream(client, url, path, have_bytes, n_bytes, transfer)
            continue
        except httpx.HTTPError as error:
            grew = path.exists() and path.stat().st_size > have_bytes
            fruitless = 0 if grew else fruitless + 1
            never_reached = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout) and transfer.done_bytes == 0
            if never_reached or fruitless == _TRIES:
                raise DownloadError(_reason(error)) from error
        transfer.pause(_BACKOFF_S * 2**fruitless)


def _stream(client: httpx.Client, url: str, path: Path, have_bytes: int, n_bytes: int, transfer: Transfer) -> None:
    base_bytes = transfer.done_bytes - have_bytes
    # Without "identity" a server may compress, and a byte range would count compressed bytes.
    headers = {"Range": f"bytes={have_bytes}-", "Accept-Encoding": "identity"}
    with client.stream("GET", url, headers=headers) as response:
        if response.status_code in _RETRY_STATUS:
            response.raise_for_status()
        _raise_for_status(response, url)
        resumed = response.status_code == httpx.codes.PARTIAL_CONTENT
        size_bytes = int(response.headers.get("Content-Length", -1)) + (have_bytes if resumed else 0)
        if "Content-Length" in response.headers and size_bytes != n_bytes:
            raise DownloadError(f"{url} has {size_bytes} bytes instead of {n_bytes}")
        transfer.move_to(base_bytes + (have_bytes if resumed else 0))
        with path.open("ab" if resumed else "wb") as file:
            # As it arrives: a chunk that were filled up first would be lost when the connection breaks.
            for chunk in response.iter_bytes():
                file.write(chunk)
                transfer.advance(len(chunk))
        if path.stat().st_size < n_bytes:
            raise httpx.RemoteProtocolError("the connection ended early")


def _raise_for_status(response: httpx.Response, what: str) -> None:
    if response.status_code in (401, 403):
        raise DownloadError(
            f"{what} may not be read (HTTP {response.status_code}): "
            "accept the model's licence on its page of the hub, then set HF_TOKEN to a read token"
        )
    if response.is_error:
        raise DownloadError(f"{what} answers HTTP {response.status_code}")


def _checked(path: Path, file: HubFile, transfer: Transfer) -> FileRecord:
    """Return the record of a file whose hash is right; delete it and raise HashMismatch otherwise."""
    sha256 = sha256_of(path, transfer)
    right = sha256 == file.sha256 if file.sha256 else _git_sha1(path) == file.git_sha1
    if not right:
        path.unlink()
        raise HashMismatch(f"the hub's {file.name} has the wrong hash ({sha256}); it was deleted")
    return FileRecord(file.bytes, sha256)


def _git_sha1(path: Path) -> str:
    """Return the id that git gives to a file; only small files are hashed by it.

    Source: Pro Git, section 10.2, "Object Storage".
    """
    data = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def _endpoint() -> str:
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")


def _token() -> str | None:
    if token := os.environ.get("HF_TOKEN"):
        return token
    path = Path(os.path.expanduser(os.environ.get("HF_HOME", "~/.cache/huggingface")), "token")
    return path.read_text("utf-8").strip() or None if path.is_file() else None


def _reason(error: Exception) -> str:
    return f"{error or type(error).__name__}".splitlines()[0]
