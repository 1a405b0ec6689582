"""A language server that is another one with a tape recorder: `python recording_server.py TAPE COMMAND…`.

Every message, in both directions, becomes a line of JSON in TAPE: `{"time_ms": …, "from": "client" | "server", "message": {…}}`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import BinaryIO, TextIO, cast


def main() -> int:
    tape_path, *command = sys.argv[1:]
    with Path(tape_path).open("a", encoding="utf-8", buffering=1) as tape:
        server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        ends = (sys.stdin.buffer, cast("BinaryIO", server.stdin), cast("BinaryIO", server.stdout), sys.stdout.buffer)
        threading.Thread(target=_pass_on, args=(*ends[:2], tape, "client"), daemon=True).start()
        _pass_on(*ends[2:], tape, "server")
        return server.wait()


def _pass_on(source: BinaryIO, sink: BinaryIO, tape: TextIO, sender: str) -> None:
    """Copy whole messages from one end to the other until the source ends."""
    n_bytes = 0
    while header := source.readline():
        if header.lower().startswith(b"content-length:"):
            n_bytes = int(header.split(b":")[1])
        elif not header.strip():
            body = source.read(n_bytes)
            now_ms = time.time() * 1000
            try:
                sink.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
                sink.flush()
            except OSError:
                return  # the other side has left
            tape.write(json.dumps({"time_ms": now_ms, "from": sender, "message": json.loads(body)}) + "\n")
    sink.close()


if __name__ == "__main__":
    sys.exit(main())
