"""`python -m completer` is the command line."""

from completer.cli import main

main()
