"""The language server. Only this package imports pygls; one file per group of methods.

transport.py   bytes in and out, stdio and TCP           sync.py       documents and notebooks
protocol.py    one answer for each request, always       complete.py   inlineCompletion, completion
session.py     all that is known of one client           configure.py  initialize, settings
messages.py    our own methods' fields                   loading.py    the model, with progress
convert.py     between the protocol's types and ours     feedback.py   shown, accepted, metrics, status
layers.py      settings by where they came from
"""

from completer.server.layers import layers_of_process
from completer.server.transport import run_stdio, run_tcp

__all__ = ["layers_of_process", "run_stdio", "run_tcp"]
