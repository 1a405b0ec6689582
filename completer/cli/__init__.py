"""What the commands do; `completer.cli.main.main` parses their arguments and imports them when they are called."""
