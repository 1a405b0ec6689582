"""completer: a language server that completes code on every keystroke with a local model."""

__version__ = "0.1.0"
