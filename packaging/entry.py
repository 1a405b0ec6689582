"""Where the standalone binary begins: the command line, and pip for `completer models pull`."""

from __future__ import annotations

import sys


def run() -> None:
    """`completer -m pip …` is the bundled pip, which `completer.models.index` starts; everything else is the command line."""
    if sys.argv[1:3] == ["-m", "pip"]:
        from pip._internal.cli.main import main as pip

        sys.exit(pip(sys.argv[3:]))
    from completer.__main__ import main

    main()


if __name__ == "__main__":
    run()
