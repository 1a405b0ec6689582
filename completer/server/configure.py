"""The beginning of a connection, and settings: from the client's options, its notifications, or asked from it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lsprotocol import types as lsp

from completer.document.documents import Documents
from completer.document.position import ENCODINGS
from completer.document.uri import path_of
from completer.server import next_edit, status
from completer.server.complete import register_fallback
from completer.server.convert import announces, speaks_copilot
from completer.server.layers import KEY, MARKED
from completer.server.loading import needs_reload, start_loading
from completer.server.project import read_again, watch
from completer.server.session import CompleterServer

logger = logging.getLogger(__name__)

SECTION = "completer"
_ANSWER_TIMEOUT_S = 3.0


def initialize(ls: CompleterServer, params: lsp.InitializeParams) -> None:
    """Agree on the position encoding and on what is offered; take the first settings."""
    capabilities = params.capabilities
    offered = (capabilities.general and capabilities.general.position_encodings) or ()
    ls.documents = Documents(next((known for one in offered for known in ENCODINGS if one == known), "utf-16"))
    ls.wants_next_edits = announces(capabilities, next_edit.CAPABILITY)
    ls.speaks_copilot = speaks_copilot(params.initialization_options)
    text_document = capabilities.text_document
    if not ls.speaks_copilot and (text_document is None or text_document.inline_completion is None):
        register_fallback(ls)
    ls.folders = _folders([folder.uri for folder in params.workspace_folders or ()] or filter(None, [params.root_uri]))
    ls.control.set_folders(ls.folders)
    _take(ls, _section(params.initialization_options))


async def initialized(ls: CompleterServer, _params: lsp.InitializedParams) -> None:
    """Tell how the server is, from now on; learn the settings, then load what they name."""
    ls.watched = ls.watched or status.watched(ls)
    workspace = ls.client_capabilities.workspace
    if workspace and workspace.did_change_configuration and workspace.did_change_configuration.dynamic_registration:
        options = lsp.DidChangeConfigurationRegistrationOptions(section=SECTION)
        registration = lsp.Registration("completer-configuration", lsp.WORKSPACE_DID_CHANGE_CONFIGURATION, options)
        ls.client_register_capability(lsp.RegistrationParams([registration]))
    watch(ls)
    read_again(ls)
    if workspace and workspace.configuration:
        await _pull(ls)
    start_loading(ls)


async def did_change_configuration(ls: CompleterServer, params: lsp.DidChangeConfigurationParams) -> None:
    """Take the settings in the notification; where it brings none, ask for them."""
    changes = _section(params.settings)
    workspace = ls.client_capabilities.workspace
    if not changes and workspace and workspace.configuration:
        await _pull(ls)
    else:
        _take(ls, changes)


def did_change_workspace_folders(ls: CompleterServer, params: lsp.DidChangeWorkspaceFoldersParams) -> None:
    """Files below the folders, and no others, may serve as context. Mutates: folders."""
    removed = _folders([folder.uri for folder in params.event.removed])
    added = _folders([folder.uri for folder in params.event.added])
    ls.folders = tuple(dict.fromkeys((*(folder for folder in ls.folders if folder not in removed), *added)))
    ls.control.set_folders(ls.folders)
    read_again(ls)
    if ls.completer is not None:
        ls.completer.set_folders(ls.folders)


def _folders(uris: Iterable[str]) -> tuple[Path, ...]:
    paths = {uri: path_of(uri) for uri in uris}
    for uri in (uri for uri, path in paths.items() if path is None):
        logger.warning("a workspace folder is ignored, it is no file: %s", uri)
    return tuple(path for path in paths.values() if path is not None)


async def _pull(ls: CompleterServer) -> None:
    items = [lsp.ConfigurationItem(section=SECTION)]
    try:
        answer = await asyncio.wait_for(ls.workspace_configuration_async(lsp.ConfigurationParams(items)), _ANSWER_TIMEOUT_S)
    except TimeoutError:
        logger.warning("the client did not answer workspace/configuration within %s s", _ANSWER_TIMEOUT_S)
    except Exception as error:  # an error response: the client has no such settings
        logger.warning("the client refused workspace/configuration: %s", error)
    else:
        _take(ls, _section(answer[0] if answer else None))


def _section(value: Any) -> Mapping[str, Any]:
    """Return our settings out of what a client sent: under our name, or alone.

    A mapping without our name that holds nothing but mappings is other programs' settings, unless one of them is ours.
    """
    if not isinstance(value, Mapping):
        return {}
    ours = value.get(SECTION, {} if speaks_copilot(value) else value)
    if not isinstance(ours, Mapping):
        return {}
    if ours is value and not {MARKED, KEY} & value.keys() and all(isinstance(part, Mapping) for part in value.values()):
        return {}
    return ours


def _take(ls: CompleterServer, changes: Mapping[str, Any]) -> None:
    """Apply settings; null means that the client sets nothing. Refused ones are told to the user. Mutates: settings."""
    old = ls.settings
    ls.apply(ls.layers.take(changes))
    if needs_reload(old, ls.settings) and (ls.completer is not None or ls.state == "error"):
        start_loading(ls)
    elif ls.completer is not None and ls.settings != old:
        ls.completer.set_settings(ls.settings)


def register(ls: CompleterServer) -> None:
    """Mutates: the server's table of handlers."""
    ls.feature(lsp.INITIALIZE)(initialize)
    ls.feature(lsp.INITIALIZED)(initialized)
    ls.feature(lsp.WORKSPACE_DID_CHANGE_CONFIGURATION)(did_change_configuration)
    ls.feature(lsp.WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS)(did_change_workspace_folders)
