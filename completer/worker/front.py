"""From settings to the completer of one client whose model the worker holds. Imports no inference library."""

from __future__ import annotations

import ctypes
import gc
import platform
import threading
from pathlib import Path
from weakref import WeakValueDictionary

from completer.complete.api import Report
from completer.complete.pipeline import Pipeline
from completer.complete.state import Model
from completer.config import Settings
from completer.errors import CompleterError, ModelError
from completer.tokens.tokenizer import Tokenizer
from completer.tokens.vocabulary import checksum
from completer.worker import start
from completer.worker.generator import WorkerGenerator
from completer.worker.wire import Vocabulary

_lock = threading.Lock()
_tokenizers: WeakValueDictionary[Vocabulary, Tokenizer] = WeakValueDictionary()


def make_completer(place: start.Place, settings: Settings, report: Report) -> Pipeline:
    """Return the completer of one client. Blocks while the worker starts, and pulls, converts or loads the model.

    Raises: WorkerLost, and then it may be tried again; other CompleterErrors of loading.
    """
    generator = WorkerGenerator(lambda: start.attach(place), settings, lambda: start.last_words(place))
    ready = generator.begin(report)
    try:
        tokenizer = tokenizer_of(ready.vocabulary)
    except BaseException:
        generator.close()
        raise
    model = Model(generator, tokenizer, lambda: generator.costs, ready.max_len, name=ready.name, engine=ready.engine)
    return Pipeline(model, settings, on_close=generator.close)


def tokenizer_of(vocabulary: Vocabulary) -> Tokenizer:
    """Return the tokenizer that the worker uses, too; the clients of one process share it.

    Raises: ModelError when its file has changed meanwhile, or cannot be read.
    """
    with _lock:
        tokenizer = _tokenizers.get(vocabulary)
        if tokenizer is None:
            tokenizer = _tokenizers[vocabulary] = _load(vocabulary)
            gc.collect()
            gc.freeze()  # a million objects that live for ever: the collector need not walk them at some key
            _return_freed_memory()
    return tokenizer


def _load(vocabulary: Vocabulary) -> Tokenizer:
    load = Tokenizer.load_quickly if vocabulary.keeps else Tokenizer.load
    try:
        tokenizer = load(Path(vocabulary.path), vocabulary.fim)
    except CompleterError:
        raise
    except Exception as error:  # the tokenizers library raises plain Exception
        raise ModelError(f"{vocabulary.path} cannot be read ({error}): {start.MEND}") from error
    if checksum(tokenizer.token_bytes) != vocabulary.checksum:
        raise ModelError(f"{vocabulary.path} has changed since the model was loaded: {start.MEND}")
    return tokenizer


def _return_freed_memory() -> None:
    """Give back to the system what parsing the vocabulary took: 80 MB that the C library would keep."""
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)
