"""JSON-RPC as we want it over pygls: every request gets exactly one answer, and documents are ours.

pygls drops a request whose params do not fit its types, and one that comes too early or too late: the client waits for
ever. It also keeps a second copy of each document, which it splits into lines at every change. Both are replaced here.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from cattrs import transform_error
from lsprotocol import types as lsp
from pygls.protocol import LanguageServerProtocol, lsp_method

from completer.server.messages import MESSAGE_TYPES

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Malformed:
    """A message whose fields do not fit its method. id: None for a notification."""

    id: str | int | None
    method: str
    reason: str


class CompleterProtocol(LanguageServerProtocol):
    """One connection. `exit_code` is None until the client said `exit`."""

    exit_code: int | None = None
    _initialized = False

    def get_message_type(self, method: str) -> type[Any] | None:  # type: ignore[override]
        return MESSAGE_TYPES.get(method) or super().get_message_type(method)

    def structure_message(self, data: dict[str, Any]) -> Any:
        """Return the typed message, or `Malformed`; an object that is no message comes back as it is."""
        if "jsonrpc" not in data or "method" not in data:
            return super().structure_message(data)
        try:
            message_type = self.get_message_type(data["method"])
            if message_type is None:
                return super().structure_message({"params": None, **data})
            return self._converter.structure(data, message_type)
        except Exception as error:  # whatever a converter may raise, the client must hear of it
            reason = "; ".join(transform_error(error, path="message"))
            return Malformed(data.get("id"), str(data["method"]), reason)

    def handle_message(self, message: Any) -> None:
        """Run the handler of a message, or answer why not. Mutates: whatever the handler mutates."""
        refusal = self._refusal(message)
        if refusal is None:
            super().handle_message(message)
        elif (message_id := getattr(message, "id", None)) is not None:
            self._send_response(message_id, error=refusal)
        else:
            logger.warning("ignored notification %s: %s", message.method, refusal.message)

    def refuse(self, message_id: str | int | None, code: lsp.ErrorCodes, reason: str) -> None:
        """Send an error response; message_id None: the message could not be read far enough to know it."""
        error = {"code": int(code), "message": reason}
        self._send_data({"jsonrpc": "2.0", "id": message_id, "error": error})  # lsprotocol would leave out a null id

    def _refusal(self, message: Any) -> lsp.ResponseError | None:
        method = getattr(message, "method", None)
        if isinstance(message, Malformed):
            return lsp.ResponseError(lsp.ErrorCodes.InvalidParams, f"{method}: {message.reason}")
        if method is None or method == lsp.EXIT:
            return None
        if self._shutdown:
            return lsp.ResponseError(lsp.ErrorCodes.InvalidRequest, f"{method}: the server was shut down")
        if method == lsp.INITIALIZE:
            if self._initialized:
                return lsp.ResponseError(lsp.ErrorCodes.InvalidRequest, "the server is initialized already")
            self._initialized = True
        elif not self._initialized:
            return lsp.ResponseError(lsp.ErrorCodes.ServerNotInitialized, f"{method}: send initialize first")
        return None

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
