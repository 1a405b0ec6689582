"""Every error that completer raises on purpose. One tree, one file.

    CompleterError
    ├── ConfigError            a setting is unknown or has a wrong value
    ├── CacheError             the cache folder is not named absolutely, or cannot be written where it must be
    ├── HistoryError           the history of suggestions cannot be read or written
    ├── ModelError
    │   ├── UnknownModel       no such id in the manifest
    │   ├── ModelNotPulled     known, but not on this disk yet
    │   ├── DownloadError      network, disk space, or an interrupted transfer
    │   │   ├── DownloadCancelled  the user or the server stopped it
    │   │   └── DiskFull       no room for what is pulled or converted
    │   ├── HashMismatch       the bytes are not the ones that the manifest names
    │   └── UnsupportedModel   architecture or weight layout that no engine here can run
    ├── EngineError
    │   ├── EngineUnavailable  a package, device or driver is missing
    │   ├── OutOfMemory        not enough memory to load the model
    │   ├── ContextOverflow    more tokens than the slot holds
    │   ├── ServerError        a server refused a request, or failed in it
    │   │   ├── ServerUnreachable  no endpoint takes requests
    │   │   ├── AccessDenied   the bearer token is missing or wrong
    │   │   └── DeadlineOver   no answer in time
    │   ├── WorkerLost         the engine process cannot be started, has ended, or does not answer
    │   └── EngineClosed       the engine was shut down
    └── BadPosition            a line or column outside the document

Each message states in one line what is wrong and how to fix it: the command line prints it as it is.
"""

import errno

_NO_MEMORY = ("allocate memory", "bad allocation", "bad_alloc", "out of memory")


class CompleterError(Exception):
    """Base of all errors that completer raises on purpose; str(error) is one line for the user."""


class ConfigError(CompleterError):
    """A setting is unknown or has a value that it cannot have."""


class CacheError(CompleterError):
    """The cache folder has no absolute path, or cannot be written where that is needed."""


class HistoryError(CompleterError):
    """The file with the history of suggestions cannot be read or written."""


class ModelError(CompleterError):
    """Something about a model file."""


class UnknownModel(ModelError):
    """The id is not in the manifest and is not a path."""


class ModelNotPulled(ModelError):
    """The model is known but its files are not on this disk."""


class DownloadError(ModelError):
    """A transfer failed: no network, no space, or broken off."""


class DownloadCancelled(DownloadError):
    """The transfer was stopped on purpose; what was fetched is kept for the next one."""


class DiskFull(DownloadError):
    """The disk has no room for what is pulled or converted. It may work later, when some was freed."""


class HashMismatch(ModelError):
    """A file's SHA-256 is not the one in the manifest; the file is not used."""


class UnsupportedModel(ModelError):
    """No engine here can run this architecture or weight layout."""


class EngineError(CompleterError):
    """Something about an inference engine."""


class EngineUnavailable(EngineError):
    """A package, device or driver that the engine needs is missing."""


class OutOfMemory(EngineError):
    """There is not enough memory to load the model. It may work later, when other programs have ended."""


class ContextOverflow(EngineError):
    """A forward would write past the end of the slot; the slot is unchanged."""


class ServerError(EngineError):
    """A server refused a request, or failed in it."""


class ServerUnreachable(ServerError):
    """No endpoint takes requests: down, overloaded, or a wrong address."""


class AccessDenied(ServerError):
    """The server wants a bearer token, or another one."""


class DeadlineOver(ServerError):
    """The answer did not come, or not to its end, in time."""


class WorkerLost(EngineError):
    """The engine process cannot be started, has ended, or does not answer."""


class EngineClosed(EngineError):
    """The engine was shut down; nothing can be run on it any more."""


class BadPosition(CompleterError):
    """A line or column that lies outside the document."""


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether memory ran out. numpy and Python raise MemoryError; torch and onnxruntime only say so."""
    full = isinstance(error, OSError) and error.errno == errno.ENOMEM
    return full or isinstance(error, MemoryError) or any(words in str(error).lower() for words in _NO_MEMORY)


def in_words(error: BaseException) -> str:
    """Return an error in one line for the user, also one that a library raised."""
    if isinstance(error, CompleterError):
        return str(error)
    if is_out_of_memory(error):
        return "out of memory: close other programs, choose a smaller model, or lower the setting 'kv_memory_mb'"
    return f"{type(error).__name__}: {error}"
