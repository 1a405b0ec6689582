"""The language server. Only this package imports pygls; one file per group of methods.

transport.py   one client's messages in order, stdio     sync.py       documents and notebooks
listening.py   many clients: TCP and Unix sockets        complete.py   inlineCompletion, completion
admission.py   who may connect                           configure.py  initialize, settings
private.py     token file, socket file, their folder     loading.py    the model, with progress
framing.py     from bytes to bodies                      feedback.py   shown, accepted, metrics, status
envelope.py    from bodies to JSON-RPC messages          session.py    all that is known of one client
protocol.py    one answer for each request, always       messages.py   our own methods' fields
convert.py     between the protocol's types and ours
"""

from completer.server.listening import run_socket, run_tcp
from completer.server.transport import run_stdio

__all__ = ["run_socket", "run_stdio", "run_tcp"]
