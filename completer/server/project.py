"""The settings files of the workspace folders: read in another thread, and again when one may have changed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from lsprotocol import types as lsp

from completer.complete.project_settings import FILE_NAME, read_project_settings
from completer.config import Checked
from completer.server.session import CompleterServer


def can_watch(ls: CompleterServer) -> bool:
    """Whether the client tells of changed files; otherwise they are read again when a document is opened."""
    workspace = ls.client_capabilities.workspace
    return bool(workspace and workspace.did_change_watched_files and workspace.did_change_watched_files.dynamic_registration)


def watch(ls: CompleterServer) -> None:
    """Ask the client to tell of changes of the files, if it can."""
    if can_watch(ls):
        options = lsp.DidChangeWatchedFilesRegistrationOptions([lsp.FileSystemWatcher(f"**/{FILE_NAME}")])
        registration = lsp.Registration("completer-project", lsp.WORKSPACE_DID_CHANGE_WATCHED_FILES, options)
        ls.client_register_capability(lsp.RegistrationParams([registration]))


def read_again(ls: CompleterServer) -> None:
    """Read the files of all workspace folders, without waiting. Mutates, later: projects, control, the completer."""
    ls.n_project_reads += 1
    ls.spawn(_read(ls, ls.n_project_reads))


def did_change_watched_files(ls: CompleterServer, params: lsp.DidChangeWatchedFilesParams) -> None:
    if any(change.uri.endswith(f"/{FILE_NAME}") for change in params.changes):
        read_again(ls)


async def _read(ls: CompleterServer, n: int) -> None:
    folders = ls.folders
    found = await asyncio.to_thread(_read_all, folders)
    if n != ls.n_project_reads:  # a later reading is under way, and knows more
        return
    for one in found:
        for problem in one.problems:
            ls.say_once(f"completer: {problem}; the other settings hold", lsp.MessageType.Warning)
    projects = {folder: one.values for folder, one in zip(folders, found, strict=True) if one.values}
    if projects != ls.projects:
        ls.projects = projects
        ls.settings_changed()


def _read_all(folders: Sequence[Path]) -> list[Checked]:
    return [read_project_settings(folder) for folder in folders]


def register(ls: CompleterServer) -> None:
    """Mutates: the server's table of handlers."""
    ls.feature(lsp.WORKSPACE_DID_CHANGE_WATCHED_FILES)(did_change_watched_files)
