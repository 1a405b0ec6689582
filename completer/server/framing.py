"""The base protocol of LSP on a byte stream: a header, an empty line, a body. The size of each part is bounded."""

from __future__ import annotations

import asyncio
import re

MAX_HEADER_BYTES = 1024
"""Of one message. Stream readers must be made with it as their `limit`."""
MAX_BODY_BYTES = 512 << 20
"""A document of 100 MB fits even if JSON escapes most of its characters."""

_START = b"content-"
_LENGTH = re.compile(rb"content-length:[ \t]*([0-9]{1,15})[ \t]*", re.IGNORECASE)
_TYPE = re.compile(rb"content-type:[ \t\x21-\x7e]*", re.IGNORECASE)
_HTTP = (b"get ", b"post ", b"put ", b"head ", b"options ", b"delete ", b"patch ", b"connect ", b"trace ", b"pri ")


class BadFrame(Exception):
    """The stream breaks the base protocol: nothing that follows on it can be read. str(error) quotes none of it."""


async def read_body(reader: asyncio.StreamReader, max_bytes: int = MAX_BODY_BYTES) -> bytes | None:
    """Return the body of the next message, or None at the end of the stream, also in the middle of a message.

    reader: its `limit` is MAX_HEADER_BYTES.  Raises: BadFrame; ConnectionError.
    """
    try:
        start = await reader.readexactly(len(_START))
        if start.lower() != _START:  # decided on the first bytes: TLS, for one, sends no line end to wait for
            raise BadFrame(f"{_guess(start)} instead of a Content-Length header")
        header = start + await reader.readuntil(b"\r\n\r\n")
        n_bytes = _content_length(header)
        if n_bytes > max_bytes:
            raise BadFrame(f"a message of {n_bytes} bytes, more than {max_bytes}")
        return await reader.readexactly(n_bytes)
    except asyncio.IncompleteReadError:
        return None
    except asyncio.LimitOverrunError as error:
        raise BadFrame(f"a header of more than {MAX_HEADER_BYTES} bytes") from error


def _content_length(header: bytes) -> int:
    """Return the length that a header announces; both fields of the protocol are known, any other is an error."""
    lengths: list[int] = []
    for line in header.removesuffix(b"\r\n\r\n").split(b"\r\n"):
        if found := _LENGTH.fullmatch(line):
            lengths.append(int(found[1]))
        elif not _TYPE.fullmatch(line):
            raise BadFrame("a header line that is neither Content-Length with a number nor Content-Type")
    if len(lengths) != 1:
        raise BadFrame(f"{len(lengths)} Content-Length headers for one message")
    return lengths[0]


def _guess(start: bytes) -> str:
    """Name what the first 8 bytes of a stream look like."""
    if start.lower().startswith(_HTTP):
        return "HTTP"
    if start.startswith(b"\x16\x03"):
        return "TLS"
    return "SSH" if start.startswith(b"SSH-") else "unknown bytes"
