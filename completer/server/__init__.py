"""The language server. Only this package imports pygls; one file per group of methods.

transport.py   one client's messages in order, stdio     sync.py       documents and notebooks
listening.py   many clients: TCP and Unix sockets        complete.py   inlineCompletion, completion
admission.py   who may connect                           configure.py  initialize, settings
framing.py     from bytes to bodies                      loading.py    the model, with progress
envelope.py    from bodies to JSON-RPC messages          feedback.py   shown, accepted, metrics, explain
protocol.py    one answer for each request, always       session.py    all that is known of one client
convert.py     between the protocol's types and ours     messages.py   our own methods' fields
next_edit.py   next edits, also as code actions          thinking.py   progress of a slow explicit request
layers.py      where settings come from                  recorder.py   the log of a session
control.py     snooze, on, off                           project.py    .completer.toml of the workspace folders
status.py      how the server is, asked and pushed       changes.py    when a new status is sent
copilot.py     names of Copilot's protocol
"""

from completer.server.layers import layers_of_process
from completer.server.listening import run_socket, run_tcp
from completer.server.transport import Sessions, run_stdio

__all__ = ["Sessions", "layers_of_process", "run_socket", "run_stdio", "run_tcp"]
