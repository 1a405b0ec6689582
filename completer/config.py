"""Settings: one frozen dataclass, and a rule for each field: who may set it, why, and between which values.

`docs/reference/settings.md` lists every field with its rule; a test holds the page and this file together.
`completer.server.layers` enforces who may set what; see SECURITY.md.
"""

from __future__ import annotations

import difflib
import reprlib
import types
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import Any, Literal, NamedTuple, TypeVar, get_args, get_origin, get_type_hints

from completer.errors import ConfigError

T = TypeVar("T")


class Origin(StrEnum):
    """Who may set a setting. The values are those of the table in docs/reference/settings.md."""

    USER = "user"
    """Command line, user settings file, or what our own extension or plugin marks as the user's."""
    MODEL = "user; a model id also from the workspace"
    """As USER; an id of the manifest, whose sources are part of the program, is taken from a workspace, too."""
    WORKSPACE = "workspace"
    """Anything the editor sends, which the repository's author may have written."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Who may set a setting, why, and between which values. low, high: both included; only numbers have them."""

    origin: Origin
    reason: str
    low: float | None = None
    high: float | None = None

    @property
    def range(self) -> str:
        """Return the allowed range as the documentation and the messages write it; "" without one."""
        return "" if self.low is None or self.high is None else f"{self.low:g} to {self.high:.10g}"

    def allows(self, value: Any) -> bool:
        """Return whether a number lies in the range; NaN never does. Anything else is allowed."""
        return self.low is None or self.high is None or self.low <= value <= self.high


def _set_by(origin: Origin, default: T, reason: str, low: float | None = None, high: float | None = None) -> T:
    made: T = field(default=default, metadata={"rule": Rule(origin, reason, low, high)})
    return made


def _user(default: T, reason: str, low: float | None = None, high: float | None = None) -> T:
    return _set_by(Origin.USER, default, reason, low, high)


def _model(default: T, reason: str) -> T:
    return _set_by(Origin.MODEL, default, reason)


def _workspace(default: T, reason: str, low: float | None = None, high: float | None = None) -> T:
    return _set_by(Origin.WORKSPACE, default, reason, low, high)


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings with their defaults. Units are in the names."""

    model: str = _model("auto", "a path names a file, and model files are hostile until proven otherwise")
    """Manifest id, path of a GGUF file or of a Hugging Face folder, or "auto"."""
    engine: str = _user("auto", "decides which program runs the model, and whether code leaves the machine")
    """Engine name (see `completer doctor`), or "auto"."""
    draft_model: str = _model("", "a path names a file, as for `model`")
    """Id or path of a smaller model of the same family that drafts for `model`; "": none."""
    weights: Literal["auto", "int8", "int4", "bf16"] = _user("auto", "decides how much memory the model takes")
    """Weight format of the engine "torch"; "auto": int8. The other engines have one format each."""
    threads: int = _user(0, "can take every core of the machine", 0, 1024)
    """Threads of the CPU engines; 0: one for each performance core the process may use."""
    budget_ms: int = _workspace(80, "a project with large files may need more; it only delays answers", 1, 60_000)
    """Time in which the server answers with what is ready."""
    explicit_budget_ms: int = _workspace(3000, "as for `budget_ms`; the next key cancels the request", 1, 60_000)
    """The same for an explicit request, which waits for the whole line; the next key cancels it."""
    max_tokens: int = _workspace(48, "how much to suggest is a matter of the project's style", 1, 1024)
    """Longest suggestion, in tokens."""
    multiline: Literal["auto", "never", "always"] = _workspace("auto", "a matter of the project's style")
    """Whether suggestions may span lines; "auto" decides from the syntax at the cursor."""
    block_after_ms: int = _workspace(400, "changes when something is shown, not what is run or sent", -1, 60_000)
    """Rest after which a block is suggested at a place where one belongs; 0: at once, -1: never."""
    confidence: float = _workspace(0.3, "changes what is shown, not what is run or sent", 0, 1)
    """A suggestion ends before the first word with which the probability that all of it is right falls below this; 0: never."""
    context: Literal["auto", "off"] = _workspace("auto", "opens files of the workspace, never decides where they are sent")
    """What other files may tell the model: definitions of imported files ("auto"), or nothing ("off")."""
    memory: bool = _workspace(True, "reads files of the workspace, never decides where they are sent")
    """Whether other places of the workspace are evidence of how the cursor's line goes on."""
    next_edit: bool = _workspace(True, "shows changes that the user may make, never makes one")
    """Whether the change that follows from the last ones is offered."""
    kv_memory_mb: int = _user(256, "can take all memory of the machine", 0, 1_048_576)
    """Memory for KV slots."""
    kv_bits: Literal["16", "8", "6", "4"] = _user("16", "belongs to the engine, as `kv_memory_mb`")
    """Bits of a number in the KV slots of exllamav2, exllamav3 and lmdeploy (16, 8, 4): fewer keep more documents warm."""
    endpoints: tuple[str, ...] = _user((), "source code and the bearer token are sent there")
    """Base URLs of the servers of the engine "remote", the preferred one first."""
    dialect: str = _user("auto", "belongs to the endpoints: decides what is sent to them")
    """What they speak: "auto" asks the server; behind a router "openai"."""
    token_env: str = _user("", "names an environment variable, whose value is sent to the endpoints")
    """Environment variable that holds the bearer token."""
    token_command: tuple[str, ...] = _user((), "names a program that is run")
    """Program and arguments that print the bearer token."""
    tls_ca: str = _user("", "names a file, and decides which servers are trusted")
    """File of certificate authorities to trust besides the system's."""
    session_header: str = _user("X-Session-Id", "names a header of requests to the endpoints")
    """Header with which a router keeps a document's requests on one server; "": none."""
    llama_server: str = _user("", "names a program that is run")
    """The llama-server that the engine "llama.cpp" runs; "": the package xllamacpp, or without it the one on the PATH."""
    worker_python: str = _user("", "names a program that is run")
    """Interpreter that runs the engine process, with completer installed; "": the language server's own."""
    worker_unload_min: int = _user(15, "decides how long the model stays in memory", 1, 10_080)
    """Minutes without a request after which the engine process unloads the model."""
    worker_end_min: int = _user(60, "as for `worker_unload_min`", 1, 10_080)
    """Minutes without a request after which the engine process ends."""
    history: bool = _user(False, "decides whether a record of your work is kept on disk")
    """Whether is counted, on this disk and without any text, what was suggested and accepted; see `completer stats`."""
    disabled_languages: tuple[str, ...] = _workspace((), "a project may switch suggestions off for a language")
    """LSP language ids in which nothing is suggested automatically."""
    disabled_files: tuple[str, ...] = _workspace((), "a project may switch suggestions off for files; never reads one")
    """Patterns of a `.gitignore`, relative to the workspace folder, of files in which nothing is suggested automatically."""
    generated_files: Literal["off", "on"] = _workspace("off", "changes where something is shown, not what is run or sent")
    """Whether there are automatic suggestions in files that a program writes: by their name, or by their first lines."""
    ignored_files: Literal["on", "off"] = _workspace("on", "as for `generated_files`")
    """Whether there are automatic suggestions in files that git or a `.completerignore` ignores."""
    disabled_scopes: tuple[Literal["comment", "string"], ...] = _workspace((), "as for `generated_files`")
    """Kinds of places in which nothing is suggested automatically."""
    mode: Literal["always", "on_request"] = _workspace("always", "as for `generated_files`")
    """Whether suggestions come while typing, or only when they are requested."""
    after_deletion: Literal["on", "off"] = _workspace("on", "as for `generated_files`")
    """Whether something is suggested automatically when the last change only deleted text."""


class Checked(NamedTuple):
    """Settings that can be applied, and one sentence about each of the others."""

    values: dict[str, Any]
    problems: list[str]


RULES: Mapping[str, Rule] = types.MappingProxyType({f.name: f.metadata["rule"] for f in fields(Settings)})
_HINTS = get_type_hints(Settings)


MAX_NAME_CP = 60
MAX_PROBLEMS = 20
MAX_NUMBER = 10**15
"""Limits for what a repository may have an editor relay."""


def check(changes: Mapping[str, Any]) -> Checked:
    """Return which of `changes` are settings with a value of the right type and range. Mutates: nothing.

    changes: field name -> value of the field's type (a list is taken for a tuple, an integer for a float).
    A problem names the setting and what is allowed; for an unknown key the nearest known one.
    """
    values: dict[str, Any] = {}
    problems: list[str] = []
    for key, value in changes.items():
        try:
            values[key] = _checked(key, value)
        except ConfigError as error:
            problems.append(str(error))
            if len(problems) == MAX_PROBLEMS:  # of thousands of wrong names, only some are reported
                problems.append("there are more problems of this kind")
                break
    return Checked(values, problems)


def update(settings: Settings, changes: Mapping[str, Any]) -> Settings:
    """Return `settings` with `changes` applied, as `check` takes them. Raises: ConfigError when one of them is wrong."""
    values, problems = check(changes)
    if problems:
        raise ConfigError("; ".join(problems))
    return replace(settings, **values)


def may_come_from_workspace(name: str, value: Any, model_ids: Collection[str]) -> bool:
    """Return whether a setting may be taken from an editor that relays what a repository sets.

    name: of a setting.  value: checked.  model_ids: those of the manifest.
    """
    origin = RULES[name].origin
    return origin is Origin.WORKSPACE or (origin is Origin.MODEL and value in model_ids)


def _checked(key: str, value: Any) -> Any:
    if key not in RULES:
        near = difflib.get_close_matches(key[:MAX_NAME_CP], RULES, n=1, cutoff=0.0)
        raise ConfigError(f"unknown setting {key[:MAX_NAME_CP]!r}: did you mean {near[0]!r}?")
    if key == "context" and isinstance(value, list | tuple):
        raise ConfigError(f"setting {key!r}: the parts were removed; write auto or off")
    typed = _of_type(key, value, _HINTS[key])
    if not RULES[key].allows(typed):
        raise ConfigError(f"setting {key!r} must be from {RULES[key].range}; got {typed!r}")
    return typed


def _of_type(key: str, value: Any, hint: Any) -> Any:
    origin = get_origin(hint)
    if origin is Literal:
        if value not in get_args(hint):
            raise ConfigError(f"setting {key!r} must be one of {', '.join(get_args(hint))}; got {reprlib.repr(value)}")
        return value
    if origin is tuple:
        if not isinstance(value, list | tuple) or not all(isinstance(v, str) for v in value):
            raise ConfigError(f"setting {key!r} must be a list of strings; got {reprlib.repr(value)}")
        return tuple(_of_type(key, item, get_args(hint)[0]) for item in value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        if abs(value) > MAX_NUMBER:
            raise ConfigError(f"setting {key!r} must be a number; got one of {len(str(value)[:5_000])} digits")
        return float(value)
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        raise ConfigError(f"setting {key!r} must be of type {hint.__name__}; got {reprlib.repr(value)}")
    return value
