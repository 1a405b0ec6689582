"""The settings file of a workspace folder, `.completer.toml`. Anybody may have written it, so it may set style only."""

from __future__ import annotations

import tomllib
from pathlib import Path

from completer.config import RULES, Checked, Origin, check
from completer.prompt.context.read_file import TooLarge, read_regular

FILE_NAME = ".completer.toml"
MAX_BYTES = 16_000


def read_project_settings(folder: Path) -> Checked:
    """Return the settings of a workspace folder's file, none if there is no such file. Reads that file alone.

    A link is not followed. A file that is too large or no TOML gives one problem and no settings; a wrong setting, or one
    that is the user's to set, only its own problem. Each problem begins with the path.
    """
    path = folder / FILE_NAME
    try:
        data = read_regular(path, MAX_BYTES)
        found = tomllib.loads(data.decode("utf-8-sig")) if data is not None else {}
    except TooLarge:
        return Checked({}, [f"{path} is ignored: it is larger than {MAX_BYTES} bytes"])
    except (ValueError, RecursionError) as error:  # what tomllib and the decoder raise, also for deep nesting
        return Checked({}, [f"{path} is ignored: {str(error) or 'it is nested too deeply'}"])
    values, problems = check(found)
    of_project = {name: value for name, value in values.items() if RULES[name].origin is Origin.WORKSPACE}
    problems += [_refusal(name) for name in values if name not in of_project]
    return Checked(of_project, [f"{path}: {problem}" for problem in problems])


def _refusal(name: str) -> str:
    return f"the setting {name!r} was not applied: a project may not set it ({RULES[name].reason})"
