"""Where the command line begins: `python -P -m completer` and the console script `completer`."""

from completer.system.import_path import leave_out_working_folder


def main() -> None:
    """Run the command line, with nothing imported from the working folder."""
    leave_out_working_folder()
    from completer.cli.main import main as run

    run()


if __name__ == "__main__":
    main()
