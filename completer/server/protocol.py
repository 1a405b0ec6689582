"""JSON-RPC as we want it over pygls: every request gets exactly one answer, and documents are ours.

pygls drops a request whose params do not fit its types, and one that comes too early or too late: the client waits for
ever. It also keeps a second copy of each document, which it splits into lines at every change. Both are replaced here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

import attrs
from cattrs import transform_error
from lsprotocol import types as lsp
from pygls.protocol import LanguageServerProtocol, lsp_method

from completer.document.uri import path_of
from completer.server.admission import error_response
from completer.server.convert import speaks_copilot
from completer.server.messages import MESSAGE_TYPES

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Malformed:
    """A message whose fields do not fit its method. id: None for a notification.  code: of the error to answer with."""

    id: str | int | None
    method: str
    reason: str
    params: Any = None
    code: lsp.ErrorCodes = lsp.ErrorCodes.InvalidParams


class CompleterProtocol(LanguageServerProtocol):
    """One connection. `exit_code` is None until the client sent `exit`."""

    exit_code: int | None = None
    on_malformed: Callable[[Malformed], None] | None = None
    """Hears of each notification that could not be understood, and so was not followed."""
    _initialized = False

    def get_message_type(self, method: str) -> type[Any] | None:  # type: ignore[override]
        return MESSAGE_TYPES.get(method) or super().get_message_type(method)

    def structure_message(self, data: dict[str, Any]) -> Any:
        """Return the typed message, or `Malformed`; an object that is no message comes back as it is."""
        if "jsonrpc" not in data or "method" not in data:
            return super().structure_message(data)
        method, message_id = data["method"], data.get("id")
        try:
            message_type = self.get_message_type(method)
            if message_type is None:
                return super().structure_message({"params": None, **data})
            message = self._converter.structure(data, message_type)
        except Exception as error:  # whatever a converter may raise, the client must hear of it
            reason = "; ".join(transform_error(error, path="message"))
            return Malformed(message_id, method, reason, data.get("params"))
        if message_id is not None and not hasattr(message, "id"):  # as a notification it would get no answer
            return Malformed(
                message_id, method, "this is a notification, send it without an id", code=lsp.ErrorCodes.InvalidRequest
            )
        return message

    def handle_message(self, message: Any) -> None:
        """Run the handler of a message, or answer why not. Mutates: whatever the handler mutates."""
        refusal = self._refusal(message)
        if refusal is None:
            super().handle_message(message)
        elif (message_id := getattr(message, "id", None)) is not None:
            self._send_response(message_id, error=refusal)
        else:
            logger.warning("ignored notification %s: %s", message.method, refusal.message)
            if isinstance(message, Malformed) and self.on_malformed is not None:
                self.on_malformed(message)

    def refuse(self, message_id: str | int | None, code: lsp.ErrorCodes, reason: str) -> None:
        """Send an error response; message_id None: the message could not be read far enough to know it."""
        self._send_data(error_response(message_id, code, reason))  # lsprotocol would leave out a null id

    def _refusal(self, message: Any) -> lsp.ResponseError | None:
        method = getattr(message, "method", None)
        if isinstance(message, Malformed):
            return lsp.ResponseError(message.code, f"{method}: {message.reason}")
        if method is None or method == lsp.EXIT:
            return None
        if self._shutdown:
            return lsp.ResponseError(lsp.ErrorCodes.InvalidRequest, f"{method}: the server was shut down")
        if method == lsp.INITIALIZE and self._initialized:
            return lsp.ResponseError(lsp.ErrorCodes.InvalidRequest, "the server is initialized already")
        if method != lsp.INITIALIZE and not self._initialized:
            return lsp.ResponseError(lsp.ErrorCodes.ServerNotInitialized, f"{method}: send initialize first")
        return None

    @lsp_method(lsp.INITIALIZE)
    def lsp_initialize(self, params: lsp.InitializeParams) -> Generator[Any, Any, lsp.InitializeResult]:
        """Initialize the connection, if nothing is raised. pygls raises where a root is no path; only it reads `root_path`."""
        root = params.root_uri if params.root_uri and path_of(params.root_uri) else None
        if params.root_uri and root is None:
            logger.warning("the root is ignored, it is no file: %s", params.root_uri)
        params = attrs.evolve(params, root_uri=root, root_path=None)
        if (general := params.capabilities.general) and speaks_copilot(params.initialization_options):
            # Copilot's server knows nothing but utf-16, and some of its clients count in that whatever we answer.
            general = attrs.evolve(general, position_encodings=None)
            params = attrs.evolve(params, capabilities=attrs.evolve(params.capabilities, general=general))
        result = yield from super().lsp_initialize(params)
        self._initialized = True
        return result

    @lsp_method(lsp.EXIT)
    def lsp_exit(self, *_: Any) -> None:  # type: ignore[override]
        """End this connection, not the process: others may be connected."""
        self.exit_code = 0 if self._shutdown else 1

    # The built-in handlers of documents keep a copy that nobody reads; without their mark only ours are called.
    def lsp_text_document__did_open(self, params: Any) -> None: ...
    def lsp_text_document__did_change(self, params: Any) -> None: ...
    def lsp_text_document__did_close(self, params: Any) -> None: ...
    def lsp_notebook_document__did_open(self, params: Any) -> None: ...
    def lsp_notebook_document__did_change(self, params: Any) -> None: ...
    def lsp_notebook_document__did_close(self, params: Any) -> None: ...
