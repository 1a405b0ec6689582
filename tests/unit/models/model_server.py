"""A real HTTP server on the loopback that plays a model hub and a package index, with byte ranges and faults."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import threading
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class ModelServer:
    """files: path -> body.  break_once: path -> byte at which one answer is cut.  status: path -> error to answer.

    Mutated by the server's threads: `requests`, `ranges` and `headers` tell what was asked; `break_once` is used up.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    break_once: dict[str, int] = field(default_factory=dict)
    status: dict[str, int] = field(default_factory=dict)
    ignores_ranges: bool = False
    requests: Counter[str] = field(default_factory=Counter)
    ranges: list[tuple[str, str | None]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    url: str = ""

    def add_wheel(self, package: str, version: str, member: str, data: bytes) -> str:
        """Serve a wheel that holds `data`, and its page of the index; return the wheel's path."""
        name = package.replace("-", "_")
        info = f"{name}-{version}.dist-info"
        members = {
            f"{name}/__init__.py": b"raise SystemExit('nobody may run this')",
            member: data,
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n".encode(),
            f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        rows = [f"{path},sha256={_urlsafe(body)},{len(body)}\n" for path, body in members.items()]
        members[f"{info}/RECORD"] = f"{''.join(rows)}{info}/RECORD,,\n".encode()
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for path, body in members.items():
                archive.writestr(path, body)
        wheel = f"{name}-{version}-py3-none-any.whl"
        path, body = f"/wheels/{wheel}", packed.getvalue()
        self.files[path] = body
        digest = hashlib.sha256(body).hexdigest()
        self.files[f"/simple/{package}/"] = f'<!DOCTYPE html><a href="{path}#sha256={digest}">{wheel}</a>'.encode()
        return path

    def add_hub_file(self, repo: str, revision: str, name: str, data: bytes) -> str:
        path = f"/{repo}/resolve/{revision}/{name}"
        self.files[path] = data
        return path

    def add_hub_folder(self, repo: str, revision: str, commit: str, files: dict[str, bytes]) -> None:
        """Serve a repository: safetensors as large files with a SHA-256, all else as git blobs."""
        listing: list[dict[str, object]] = [{"type": "directory", "path": "original", "oid": "0", "size": 0}]
        for name, data in files.items():
            self.add_hub_file(repo, commit, name, data)
            item: dict[str, object] = {"type": "file", "path": name, "size": len(data)}
            item["oid"] = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
            if name.endswith(".safetensors"):
                item["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data)}
            listing.append(item)
        self.files[f"/api/models/{repo}/revision/{revision}"] = json.dumps({"sha": commit}).encode()
        self.files[f"/api/models/{repo}/tree/{commit}"] = json.dumps(listing).encode()


def _urlsafe(body: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(body).digest()).rstrip(b"=").decode()


@contextmanager
def serve() -> Iterator[ModelServer]:
    """Yield a running server; it is gone afterwards."""
    model_server = ModelServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            _answer(self, model_server)

        def log_message(self, *_: object) -> None:
            return

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    model_server.url = f"http://127.0.0.1:{http.server_address[1]}"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield model_server
    finally:
        http.shutdown()
        thread.join()
        http.server_close()


def _answer(handler: BaseHTTPRequestHandler, server: ModelServer) -> None:
    path, wanted = handler.path, handler.headers.get("Range")
    server.requests[path] += 1
    server.ranges.append((path, wanted))
    server.headers.append(dict(handler.headers))
    body = server.files.get(path)
    status = server.status.get(path, 200 if body is not None else 404)
    if body is None or status != 200:
        handler.send_response(status)
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        return
    start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and not server.ignores_ranges else 0
    handler.send_response(206 if start else 200)
    handler.send_header("Content-Type", "text/html" if path.startswith("/simple") else "application/octet-stream")
    handler.send_header("Content-Length", str(len(body) - start))
    handler.end_headers()
    # A cut answer announces all bytes and closes the connection before they are through.
    handler.wfile.write(body[start : server.break_once.pop(path, len(body))])
