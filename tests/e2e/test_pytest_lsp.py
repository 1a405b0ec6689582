"""A client that checks every message against the specification's types."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest_lsp
from lsprotocol import types as lsp
from pytest_lsp import ClientServerConfig, LanguageClient

URI = "file:///project/example.py"
_COMMAND = [sys.executable, str(Path(__file__).parent / "fake_server.py")]
_ROOT = str(Path(__file__).parents[2])


@pytest_lsp.fixture(config=ClientServerConfig(server_command=_COMMAND, server_env={"PYTHONPATH": _ROOT}))  # type: ignore[untyped-decorator]
async def client(lsp_client: LanguageClient):  # type: ignore[no-untyped-def]
    await lsp_client.initialize_session(lsp.InitializeParams(capabilities=lsp.ClientCapabilities()))
    yield
    await lsp_client.shutdown_session()


async def test_client_with_the_specifications_types_gets_both_kinds_of_completion(client: LanguageClient) -> None:
    while (await client.protocol.send_request_async("completer/status")).state != "ready":  # type: ignore[no-untyped-call]
        await asyncio.sleep(0.01)
    client.text_document_did_open(
        lsp.DidOpenTextDocumentParams(lsp.TextDocumentItem(URI, lsp.LanguageKind.Python, 1, "x = '😀'\r\nabc"))
    )
    document, position = lsp.TextDocumentIdentifier(URI), lsp.Position(1, 3)
    context = lsp.InlineCompletionContext(lsp.InlineCompletionTriggerKind.Automatic)
    inline = await client.text_document_inline_completion_async(lsp.InlineCompletionParams(context, document, position))
    assert isinstance(inline, lsp.InlineCompletionList)
    assert (inline.items[0].insert_text, inline.items[0].range) == ("cba", lsp.Range(position, position))
    listed = await client.text_document_completion_async(lsp.CompletionParams(document, position))
    assert isinstance(listed, lsp.CompletionList)
    assert listed.items[0].label == "abccba"
