"""What the commands do; `completer.cli` parses their arguments and imports them when they are called."""
