"""`python -m completer` is the command line."""

from completer.cli.main import main

main()
