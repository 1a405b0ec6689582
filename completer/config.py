"""Settings: one frozen dataclass. An unknown key is an error that names the nearest known one.

`docs/reference/settings.md` lists every field; a test fails when it does not. Editors send the same keys in
`initializationOptions` and `workspace/didChangeConfiguration` (section `completer`).
"""

from __future__ import annotations

import difflib
import types
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from completer.errors import ConfigError

ContextPart = Literal["imports", "outline", "edits", "similar"]
CONTEXT_PARTS: tuple[ContextPart, ...] = get_args(ContextPart)
CONTEXT_AUTO: tuple[ContextPart, ...] = ("imports",)
"""The parts that "auto" means: those that showed a gain, see docs/decisions/013-context-imports.md."""


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings with their defaults. Units are in the names."""

    model: str = "auto"
    """Manifest id, path of a GGUF file or of a Hugging Face folder, or "auto"."""
    engine: str = "auto"
    """Engine name (see `completer doctor`), or "auto"."""
    draft_model: str = ""
    """Id or path of a smaller model of the same family that drafts for `model`; "": none."""
    weights: Literal["auto", "int8", "int4", "bf16"] = "auto"
    """Weight format of the engine "torch"; "auto": int8. The other engines have one format each."""
    threads: int = 0
    """Threads of the CPU engines; 0: the number of physical cores."""
    budget_ms: int = 80
    """Time in which the server answers with what is ready."""
    explicit_budget_ms: int = 3000
    """The same for an explicit request, which waits for the whole line; the next key cancels it."""
    max_tokens: int = 48
    """Longest suggestion, in tokens."""
    multiline: Literal["auto", "never", "always"] = "auto"
    """Whether suggestions may span lines; "auto" decides from the syntax at the cursor."""
    confidence: float = 0.3
    """A suggestion ends before the first word with which the probability that all of it is right falls below this; 0: never."""
    context: Literal["auto", "off"] | tuple[ContextPart, ...] = "auto"
    """What other files may tell the model: "auto", "off", or some of the parts."""
    kv_memory_mb: int = 256
    """Memory for KV slots."""
    kv_bits: Literal["16", "8", "6", "4"] = "16"
    """Bits of a number in the KV slots of exllamav2, exllamav3 and lmdeploy (16, 8, 4): fewer keep more documents warm."""
    endpoints: tuple[str, ...] = ()
    """Base URLs of the servers of the engine "remote", the preferred one first."""
    dialect: str = "auto"
    """What they speak: "auto" asks the server; behind a router "openai"."""
    token_env: str = ""
    """Environment variable that holds the bearer token."""
    token_command: tuple[str, ...] = ()
    """Program and arguments that print the bearer token."""
    tls_ca: str = ""
    """File of certificate authorities to trust besides the system's."""
    session_header: str = "X-Session-Id"
    """Header with which a router keeps a document's requests on one server; "": none."""
    disabled_languages: tuple[str, ...] = ()
    """LSP language ids in which nothing is suggested automatically."""


def context_parts(settings: Settings) -> tuple[ContextPart, ...]:
    """Return the parts of the context block that the settings ask for."""
    if settings.context == "auto":
        return CONTEXT_AUTO
    return () if settings.context == "off" else settings.context


def update(settings: Settings, changes: Mapping[str, Any]) -> Settings:
    """Return `settings` with `changes` applied.

    changes: field name -> value of the field's type (a list is taken for a tuple).
    Raises: ConfigError for an unknown key, naming the nearest known one, and for a value of the wrong type.
    """
    hints = get_type_hints(Settings)
    known = {f.name for f in fields(Settings)}
    checked: dict[str, Any] = {}
    for key, value in changes.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.0)
            raise ConfigError(f"unknown setting {key!r}: did you mean {near[0]!r}?")
        checked[key] = _checked(key, value, hints[key])
    return replace(settings, **checked)


def _checked(key: str, value: Any, hint: Any) -> Any:
    origin = get_origin(hint)
    if origin is Literal:
        if value not in get_args(hint):
            raise ConfigError(f"setting {key!r} must be one of {', '.join(get_args(hint))}; got {value!r}")
        return value
    if origin is tuple:
        if not isinstance(value, list | tuple) or not all(isinstance(v, str) for v in value):
            raise ConfigError(f"setting {key!r} must be a list of strings; got {value!r}")
        return tuple(_checked(key, item, get_args(hint)[0]) for item in value)
    if origin in (Union, types.UnionType):
        refused: list[str] = []
        for arm in get_args(hint):
            try:
                return None if arm is type(None) and value is None else _checked(key, value, arm)
            except ConfigError as error:
                refused.append(str(error))
        raise ConfigError("; or: ".join(refused))
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        raise ConfigError(f"setting {key!r} must be of type {hint.__name__}; got {value!r}")
    return value
