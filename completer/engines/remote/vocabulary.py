"""A vocabulary for text prompts, where the model's own tokenizer is not at hand.

Prompts then travel as text, and the server cuts them into tokens itself. Here tokens only measure windows and tell how
far to go back for healing, so any vocabulary with code-like pieces will do: this one is made at load, in a tenth of a
second, from texts that every installation has.
"""

from __future__ import annotations

import json

import tokenizers
from tokenizers import decoders, models, pre_tokenizers, trainers

from completer.models.calibration import calibration_texts
from completer.tokens.fim import FORMATS, FimFormat
from completer.tokens.tokenizer import Tokenizer

SIZE = 4096


def stand_in(fim: str) -> Tokenizer:
    """Return a byte-level BPE vocabulary with the special tokens of the FIM format `fim`."""
    backend = tokenizers.Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=SIZE, initial_alphabet=alphabet, show_progress=False, special_tokens=[])
    backend.train_from_iterator(calibration_texts(), trainer)
    spec = json.loads(backend.to_str())
    n_ordinary = len(spec["model"]["vocab"])
    spec["added_tokens"] = [{"content": name, "id": n_ordinary + n} for n, name in enumerate(special_names(FORMATS[fim]))]
    return Tokenizer.of_spec(spec, fim)


def special_names(format_: FimFormat) -> list[str]:
    """Return the names of all special tokens of a format, each once."""
    names = (format_.prefix, format_.suffix, format_.middle, format_.bos, format_.repo_name, format_.file_sep, *format_.end)
    return list(dict.fromkeys(name for name in names if name))
