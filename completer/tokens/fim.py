"""Fill-in-the-middle prompt formats of the model families, as data.

PSM puts the prefix first, SPM the suffix first. Sources: 2207.14255 and the model cards of the families.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from completer.types import PromptForm, RestOfBlock


@dataclass(frozen=True, slots=True)
class Forms:
    """The form of the prompt by what follows the cursor of its block (`RestOfBlock`), as it was measured for a family.

    A family that was not measured is asked to fill in the middle everywhere. Measured: docs/decisions/022-prompt-forms.md.
    """

    inside: PromptForm = "middle"
    nested: PromptForm = "middle"
    body: PromptForm = "middle"
    end: PromptForm = "middle"
    file: PromptForm = "middle"
    opening: PromptForm = "middle"

    def at(self, rest: RestOfBlock) -> PromptForm:
        """Return the form at a place."""
        form: PromptForm = getattr(self, rest)
        return form


@dataclass(frozen=True, slots=True)
class FimFormat:
    """The special tokens around prefix, suffix and middle; names are vocabulary entries.

    order: "psm": prefix P suffix S middle; "spm": suffix S prefix P middle (an empty `middle` token is left out).
    end: tokens that end the middle, besides the format's own tokens.
    repo_name, file_sep: the family's repository format, "" where it has none.
    path_line: what names a file, after file_sep where there is one; {comment} begins a comment in the file's language.
    context_in_prefix: the context block follows `prefix`, because the family saw nothing but files as a whole.
    forms: where the prompt is not fill-in-the-middle with all that follows.
    """

    name: str
    order: Literal["psm", "spm"]
    prefix: str
    suffix: str
    middle: str
    end: tuple[str, ...]
    repo_name: str = ""
    file_sep: str = ""
    bos: str = ""
    path_line: str = "{path}\n"
    context_in_prefix: bool = False
    forms: Forms = Forms()


QWEN = FimFormat(
    name="qwen",
    order="psm",
    prefix="<|fim_prefix|>",
    suffix="<|fim_suffix|>",
    middle="<|fim_middle|>",
    end=("<|endoftext|>", "<|im_end|>", "<|fim_pad|>", "<|repo_name|>", "<|file_sep|>"),
    repo_name="<|repo_name|>",
    file_sep="<|file_sep|>",
    forms=Forms(nested="left", body="left", end="left", file="left"),
)

FORMATS: dict[str, FimFormat] = {
    format_.name: format_
    for format_ in (
        QWEN,
        FimFormat(
            name="codegemma",
            order="psm",
            prefix="<|fim_prefix|>",
            suffix="<|fim_suffix|>",
            middle="<|fim_middle|>",
            end=("<eos>", "<|file_separator|>"),
            file_sep="<|file_separator|>",
            bos="<bos>",
        ),
        FimFormat(
            name="starcoder",
            order="psm",
            prefix="<fim_prefix>",
            suffix="<fim_suffix>",
            middle="<fim_middle>",
            end=("<|endoftext|>", "<file_sep>", "<repo_name>", "<fim_pad>"),
            repo_name="<repo_name>",
            file_sep="<file_sep>",
        ),
        FimFormat(
            name="deepseek",
            order="psm",
            prefix="<｜fim▁begin｜>",
            suffix="<｜fim▁hole｜>",
            middle="<｜fim▁end｜>",
            end=("<｜end▁of▁sentence｜>", "<|EOT|>"),
            bos="<｜begin▁of▁sentence｜>",
            path_line="#{path}\n",
            context_in_prefix=True,
        ),
        FimFormat(
            name="codellama",
            order="psm",
            prefix="▁<PRE>",
            suffix="▁<SUF>",
            middle="▁<MID>",
            end=("</s>", "▁<EOT>"),
            bos="<s>",
            path_line="{comment} {path}\n",
            context_in_prefix=True,
        ),
        FimFormat(
            name="codestral",
            order="spm",
            prefix="[PREFIX]",
            suffix="[SUFFIX]",
            middle="",
            end=("</s>",),
            bos="<s>",
            path_line="+++++ {path}\n",
        ),
        FimFormat(
            name="mellum",
            order="spm",
            prefix="<fim_prefix>",
            suffix="<fim_suffix>",
            middle="<fim_middle>",
            end=("<|endoftext|>", "<filename>"),
            file_sep="<filename>",
        ),
        FimFormat(
            name="seed",
            order="spm",
            prefix="<[fim-prefix]>",
            suffix="<[fim-suffix]>",
            middle="<[fim-middle]>",
            end=("<[end▁of▁sentence]>",),
            bos="<[begin▁of▁sentence]>",
            path_line="{comment} {path}\n",
        ),
    )
}


def detect(vocabulary: set[str] | dict[str, int]) -> FimFormat | None:
    """Return the first format all of whose prompt tokens are in the vocabulary, or None."""
    for format_ in FORMATS.values():
        needed = (format_.prefix, format_.suffix, format_.middle, format_.file_sep, format_.bos)
        if all(token in vocabulary for token in needed if token):
            return format_
    return None
