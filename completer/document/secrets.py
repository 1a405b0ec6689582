"""What must not leave this machine: files that hold secrets by their name, and texts that look like one. Pure.

Own patterns instead of a scanner's: those found are made for repositories (git, baselines, dozens of plugins with
global state) and cost more per keystroke than a completion. The formats are those that the issuers document. Every
pattern lies within one line, so that after an edit only the lines that it touched must be read again.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePath
from urllib.parse import unquote, urlsplit

from completer.types import Edit, Snapshot

_NAMES = re.compile(
    r"\.env(?:rc|\..*)?|\.flaskenv|[._]netrc|\.pgpass|\.my\.cnf|\.npmrc|\.yarnrc\.yml|\.pypirc|\.git-credentials|\.htpasswd"
    r"|\.dockercfg|\.s3cfg|\.boto|\.vault-token|credentials|client_secret.*\.json|kubeconfig|id_(?:rsa|dsa|ecdsa|ed25519)(?:_sk)?"
    r"|(?:secrets?|credentials?|service[-_]?account.*)\.(?:json|ya?ml|toml|ini|properties|xml)"
)
_SUFFIXES = re.compile(r"\.(?:env|pem|key|p8|p12|pfx|pkcs12|jks|keystore|kdbx|ppk|gpg|ovpn|tfvars|tfstate)")
_FOLDERS = frozenset((".ssh", ".gnupg", ".aws", ".azure", ".gcloud", ".kube", ".docker"))
_TEMPLATES = frozenset((".example", ".sample", ".template", ".dist", ".pub", ".md"))
"""Endings of files that show the form of a secret file, without its values."""

_TOKENS: tuple[tuple[str, str, str], ...] = (  # kind, a literal that it contains, pattern
    ("private key", "PRIVATE KEY", r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----"),
    ("AWS access key", "AKIA", r"\bAKIA[A-Z2-7]{16}\b"),
    ("AWS access key", "ASIA", r"\bASIA[A-Z2-7]{16}\b"),
    ("GitHub token", "gh", r"\bgh[pousr]_[A-Za-z0-9]{36,}"),
    ("GitHub token", "github_pat_", r"\bgithub_pat_\w{60,}"),
    ("GitLab token", "gl", r"\bgl(?:pat|dt|rt|ptt|ft|soat)-[\w-]{20,}"),
    ("Slack token", "xox", r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}"),
    ("Slack token", "hooks.slack.com", r"hooks\.slack\.com/services/T\w+/B\w+/\w{16,}"),
    ("Google key", "AIza", r"\bAIza[\w-]{35}(?![\w-])"),
    ("Google key", "GOCSPX-", r"\bGOCSPX-[\w-]{28}"),
    ("Google key", "ya29.", r"\bya29\.[\w-]{30,}"),
    ("Stripe key", "k_live_", r"\b[sr]k_live_[A-Za-z0-9]{16,}"),
    ("model service key", "sk-", r"\bsk-(?:proj-|ant-|or-|svcacct-)?[\w-]{32,}"),
    ("model service key", "hf_", r"\bhf_[A-Za-z]{30,}"),
    ("model service key", "gsk_", r"\bgsk_[A-Za-z0-9]{40,}"),
    ("package registry token", "npm_", r"\bnpm_[A-Za-z0-9]{36}\b"),
    ("package registry token", "pypi-", r"\bpypi-[\w-]{50,}"),
    ("package registry token", "rubygems_", r"\brubygems_[a-f0-9]{48}\b"),
    ("package registry token", "dckr_pat_", r"\bdckr_pat_[\w-]{20,}"),
    ("SendGrid key", "SG.", r"\bSG\.[\w-]{16,}\.[\w-]{16,}"),
    ("Azure storage key", "AccountKey=", r"\bAccountKey=[A-Za-z0-9+/]{40,}={0,2}"),
    ("JSON web token", "eyJ", r"\beyJ(?:(?!\beyJ)[\w-]){10,}+\.eyJ[\w-]{10,}+\.[\w-]{10,}"),
    ("password in a URL", "://", r"[a-z][a-z0-9+.-]{1,20}://[^\s/:@'\"<>{}$%]{1,64}:(?!//)[^\s/@'\"<>{}$%]{3,}@[\w.-]+"),
)
_COMPILED = tuple((kind, literal, re.compile(pattern)) for kind, literal, pattern in _TOKENS)
_LITERAL = re.compile(r"[=:>] ?[\"'`]([A-Za-z0-9+/_.~!@#$%^&*-]{16,200}={0,2})[\"'`]")
_NAMED = re.compile(
    r"(?i)(?:passw(?:or)?d|passphrase|secret|token|api[_-]?key|(?:access|private)[_-]?key|credential)\w{0,20}[\"']?[ \t]*[:=]?\Z"
)
_KEY_BLOCK = re.compile(_TOKENS[0][2] + r"(?s:.*?)(?:-----END [^\n]*|\Z)")
_LONGEST_NAME = 60
_MAX_AROUND_CP = 10_000
"""How far from an edit a secret may reach that it completes; far more than any takes."""
_PLACEHOLDER = re.compile(
    r"(?i)example|sample|dummy|placeholder|change|your|test|fake|xxx|\*\*\*|\.\.\.|1234567|abcdef|process\.env"
)
_RANDOM_BITS = 3.5
"""Bits of entropy per character from which on a literal counts as random: words lie below, base64 of 20 bytes above."""


def is_secret_file(path: str | PurePath) -> bool:
    """Return whether a file holds secrets by its name: `.env` files, keys, credential stores. Never reads it.

    path: absolute or relative, with either kind of slash.
    """
    parts = str(path).replace("\\", "/").lower().split("/")
    name = parts[-1]
    suffix = PurePath(name).suffix
    if suffix in _TEMPLATES:
        return False
    if _NAMES.fullmatch(name) or _SUFFIXES.fullmatch(suffix):
        return True
    return bool(_FOLDERS.intersection(parts[:-1]))


def is_secret_uri(uri: str) -> bool:
    """Return `is_secret_file` of the path in a document's URI."""
    return is_secret_file(unquote(urlsplit(uri).path or uri))


def find_secret(text: str, start_cp: int = 0, end_cp: int | None = None) -> str | None:
    """Return what kind of secret the text seems to hold, or None.

    start_cp, end_cp: the part to search; it should begin and end at line ends.
    """
    end_cp = len(text) if end_cp is None else end_cp
    for kind, literal, pattern in _COMPILED:
        # The literal first: it is found ten times as fast, and is hardly ever there.
        if text.find(literal, start_cp, end_cp) >= 0 and pattern.search(text, start_cp, end_cp):
            return kind
    for assigned in _LITERAL.finditer(text, start_cp, end_cp):
        name = text[max(start_cp, assigned.start() - _LONGEST_NAME) : assigned.start()]
        if _NAMED.search(name) and _looks_random(assigned[1]):
            return "literal of a password, key or token"
    return None


def without_private_keys(text: str) -> str:
    """Return the text with line feeds in place of private keys, whose single lines no longer look like secrets.

    Offsets stay as they are.
    """
    return _KEY_BLOCK.sub(lambda found: "\n" * len(found[0]), text) if "PRIVATE KEY" in text else text


def _looks_random(literal: str) -> bool:
    if _PLACEHOLDER.search(literal) or not any(c.isdigit() for c in literal) or not any(c.isalpha() for c in literal):
        return False
    n = len(literal)
    return -sum(k / n * math.log2(k / n) for k in Counter(literal).values()) >= min(_RANDOM_BITS, 0.85 * math.log2(n))


class SecretScan:
    """What kind of secret one document seems to hold, kept up to date while it is edited.

    found: what `find_secret` returns for the whole text, or "secret file"; None when the document may be sent.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self.found = "secret file" if is_secret_uri(snapshot.uri) else find_secret(snapshot.text)

    def edit(self, snapshot: Snapshot, edits: Sequence[Edit]) -> None:
        """Follow `edits`, which led to `snapshot`. Mutates: found."""
        if self.found == "secret file":
            return
        if self.found is None and len(edits) == 1:
            start_cp, end_cp = _lines_around(snapshot.text, edits[0].start_cp, edits[0].start_cp + len(edits[0].new_text))
        else:
            start_cp, end_cp = 0, len(snapshot.text)
        self.found = find_secret(snapshot.text, start_cp, end_cp)


def _lines_around(text: str, start_cp: int, end_cp: int) -> tuple[int, int]:
    """Return the part of `text` that the lines of [start_cp, end_cp) fill; of very long lines what is near."""
    earliest, latest = max(0, start_cp - _MAX_AROUND_CP), min(len(text), end_cp + _MAX_AROUND_CP)
    line_start, line_end = text.rfind("\n", earliest, start_cp) + 1, text.find("\n", end_cp, latest)
    return line_start or earliest, latest if line_end < 0 else line_end
