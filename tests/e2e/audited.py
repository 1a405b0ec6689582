"""The command line in a process that notes its use of sockets and name servers: `python audited.py lsp …`.

One line of JSON for each event that Python's audit hooks report, in the file that AUDIT_FILE names: process, event, arguments.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from typing import Any


def watch() -> None:
    """Note what follows, if AUDIT_FILE is set."""
    if not (path := os.environ.get("AUDIT_FILE")):
        return
    file = open(path, "a", encoding="utf-8", buffering=1)  # noqa: SIM115  # for the life of the process

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event.startswith(("socket.", "urllib.", "http.", "ftplib.")):
            told = [argument.family.name if isinstance(argument, socket.socket) else str(argument) for argument in arguments]
            print(json.dumps([os.getpid(), event, told]), file=file)

    sys.addaudithook(hook)


if __name__ == "__main__":
    watch()
    from completer.__main__ import main

    main()
