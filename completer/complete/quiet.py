"""Why a request is not passed on to the model: one rule, in a form for programs and in a sentence for users."""

from __future__ import annotations

from typing import Literal, NamedTuple

OfPlace = Literal["secret", "word", "scope", "deletion"]
OfDocument = Literal["client", "document", "snoozed", "mode", "language", "file", "generated", "ignored"]
Rule = Literal[OfPlace, OfDocument]

_REASONS: dict[Rule, tuple[str, str]] = {
    "secret": ("off: secret", "the document seems to hold a secret, and the engine is a server: ask for nothing there"),
    "word": ("off: inside a word", "the cursor is inside a word: request a suggestion explicitly"),
    "scope": ("off: {}", "suggestions while typing are off in a {} (setting disabled_scopes)"),
    "deletion": ("off: after a deletion", "the last change only deleted text (setting after_deletion)"),
    "client": ("off: switched off", "suggestions while typing are switched off in this editor"),
    "document": ("off: switched off for this file", "suggestions while typing are switched off for this file"),
    "snoozed": ("snoozed until {}", "suggestions while typing are snoozed until {}"),
    "mode": ("off: on request only", "suggestions come on request only (setting mode)"),
    "language": ("off: language {}", "suggestions while typing are off for the language {} (setting disabled_languages)"),
    "file": ("off: file pattern {}", "the file matches the pattern {} (setting disabled_files)"),
    "generated": ("off: generated file {}", "the file seems to be generated: it has {} (setting generated_files)"),
    "ignored": ("off: ignored file", "git or a .completerignore ignores the file (setting ignored_files)"),
}
_PLAIN = frozenset(("scope", "snoozed"))
"""Rules whose detail is a word of ours; any other detail may come from a workspace, and is quoted."""
_MAX_DETAIL_CP = 80


class Quiet(NamedTuple):
    """The rule that keeps a place quiet. detail: the pattern, language, kind of place or time that it names, or ""."""

    rule: Rule
    detail: str = ""

    @property
    def reason(self) -> str:
        """The rule for programs and status lines: `off: file pattern '*.lock'`. Printable, and short."""
        return self._say(0)

    @property
    def why(self) -> str:
        """The rule as a sentence, which names the setting."""
        return self._say(1)

    def _say(self, form: int) -> str:
        shown = self.detail if self.rule in _PLAIN else repr(self.detail[:_MAX_DETAIL_CP])
        return _REASONS[self.rule][form].format(shown)
