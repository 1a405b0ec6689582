"""The bearer token: from an environment variable, or printed by a command. Never from the settings themselves."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence

from completer.errors import AccessDenied, ConfigError
from completer.system.programs import NEUTRAL_FOLDER, find_program

COMMAND_S = 10.0


class Bearer:
    """Knows how to get a token, and remembers the last one until the server refuses it."""

    def __init__(self, env: str = "", command: Sequence[str] = (), token: str = "") -> None:
        """env: name of the variable.  command: program and arguments, run without a shell; its first line is the token.

        token: of a server of our own.

        The program is an absolute path or a name on the PATH, and its working folder is never the workspace.

        Raises: ConfigError when both are given.
        """
        if env and command:
            raise ConfigError("settings 'token_env' and 'token_command' exclude each other: name one")
        self._env = env
        self._command = tuple(command)
        self._token = token

    def __bool__(self) -> bool:
        return bool(self._env or self._command or self._token)

    @property
    def can_renew(self) -> bool:
        return bool(self._command)

    def forget(self) -> None:
        """Get a new token for the next request. Mutates: the token."""
        self._token = ""

    async def headers(self) -> dict[str, str]:
        """Return the request headers, {} without a token. Raises: ConfigError, AccessDenied when there is none to be had."""
        if self and not self._token:
            self._token = await self._run() if self._command else self._read()
        return {"Authorization": f"Bearer {self._token}"} if self._token else {}

    def _read(self) -> str:
        token = os.environ.get(self._env, "").strip()
        if not token:
            raise ConfigError(f"the environment variable {self._env}, which the setting 'token_env' names, is not set")
        return token

    async def _run(self) -> str:
        name, *arguments = self._command
        program = find_program(name)
        if program is None:
            raise ConfigError(
                f"the setting 'token_command' names {name!r}, which is not on the PATH: write its name there, or an absolute path"
            )
        try:
            process = await asyncio.create_subprocess_exec(
                program,
                *arguments,
                cwd=NEUTRAL_FOLDER,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
            )
        except OSError as error:
            raise ConfigError(f"the setting 'token_command' cannot be run: {error}") from error
        try:
            async with asyncio.timeout(COMMAND_S):
                printed, _ = await process.communicate()
        except TimeoutError:
            raise AccessDenied(f"the token command {name!r} printed no token within {COMMAND_S:.0f} s") from None
        finally:
            if process.returncode is None:
                process.kill()
        token = printed.decode(errors="replace").strip().partition("\n")[0].strip()
        if process.returncode or not token:
            raise AccessDenied(f"the token command {name!r} ended with status {process.returncode} and printed no token")
        return token
