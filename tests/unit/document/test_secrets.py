"""What is kept on this machine: secret files by name, texts by their look."""

from __future__ import annotations

import random
import sys
from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest

from completer.document.secrets import SecretScan, find_secret, is_secret_file, is_secret_uri
from completer.types import Edit, Snapshot

# Put together here, so that no scanner takes this file for a leak.
SECRETS = {
    "private key": "-----BEGIN " + "OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA\n",
    "AWS access key": "key = '" + "AKIA" + "IOSFODNN7QWERTYU".replace("8", "2") + "'",
    "GitHub token": "ghp" + "_16C7e42F292c6912E7710c838347Ae178B4a",
    "GitLab token": "glpat" + "-dG7xK2mQ9sVbN4wPz8Lt",
    "Slack token": "xoxb" + "-2444333222111-abcDEFghiJKL",
    "Google key": "AIza" + "SyD9tSrke72PouQMnMX-a7eZSW0jkFMBWY0",
    "Stripe key": "sk" + "_live_4eC39HqLyjWDarjtT1zdp7dc",
    "model service key": "sk" + "-proj-9dKx72hQmPz0LwVbT4nYc8RsJf5UgAeN",
    "package registry token": "npm" + "_aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0dF3gH6",
    "SendGrid key": "SG" + ".ngeVfQFYQlKU0ufo8x5d1A.TwL2iGABf9DHoTf09kqeF8tAmbihYzrnopKc",
    "Azure storage key": "AccountKey=" + "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq==",
    "JSON web token": "eyJhbGciOiJIUzI1NiJ9" + ".eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N",
    "password in a URL": "postgres://admin:" + "hunter2secret@db.internal/app",
    "literal of a password, key or token": 'DB_PASSWORD = "' + 'q8#Vt2!mZr7Lw0Xc"',
}
HARMLESS = [
    "password = getpass.getpass()",
    'token = "<|fim_middle|>"',
    'PASSWORD_FIELD = "password_confirmation_field"',
    'api_key = "your-api-key-goes-here-1"',
    'url = "http://127.0.0.1:8080/v1/completions"',
    "git clone https://github.com/python/cpython@main",
    "sha256 = '1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32'",
    'dsn = f"postgres://{user}:{password}@{host}/db"',
    "the task-list of sk-learn and its disk-based-something-long-name-for-css-class",
    "-----BEGIN CERTIFICATE-----",
    "if token == previous_token_of_the_line: pass",
]


@pytest.mark.parametrize("kind", SECRETS)
def test_a_secret_is_found_and_named(kind: str) -> None:
    assert find_secret(f"import os\n\n{SECRETS[kind]}\nprint(os.name)\n") == kind


@pytest.mark.parametrize("text", HARMLESS)
def test_code_about_secrets_is_none(text: str) -> None:
    assert find_secret(text) is None


def test_the_standard_library_is_no_secret() -> None:
    files = sorted(Path(sys.modules["os"].__file__ or "").parent.glob("*.py"))[:150]
    found = {file.name: kind for file in files if (kind := find_secret(file.read_text("utf-8", "replace")))}
    assert found == {}


@pytest.mark.parametrize(
    "path",
    [
        *(".env", "app/.env.production", "deploy/prod.env", "/home/a/.ssh/config", "id_ed25519", "tls/server.key", "cert.PEM"),
        *("secrets.yaml", "config/credentials.json", "infra/prod.tfvars", ".npmrc", ".aws/credentials", "service-account-7.json"),
    ],
)
def test_secret_files_are_known_by_name(path: str) -> None:
    assert is_secret_file(path)
    assert is_secret_file(PurePosixPath("/work space") / path)
    assert is_secret_file(PureWindowsPath("C:/code") / path)
    assert is_secret_uri(PurePosixPath("/work space", path).as_uri())


@pytest.mark.parametrize(
    "path",
    [".env.example", ".env.sample", "id_rsa.pub", "secrets.py", "environment.py", "keys.go", "src/env/main.rs", "monkey.ts"],
)
def test_other_files_are_not(path: str) -> None:
    assert not is_secret_file(path)
    assert not is_secret_uri(f"file:///home/a/{path}")


def test_an_untitled_document_has_no_secret_name() -> None:
    assert not is_secret_uri("untitled:Untitled-1")


def test_following_edits_equals_a_fresh_scan() -> None:
    rng = random.Random(7)
    text = "a = 1\nb = 2\nc = 3\n"
    scan = SecretScan(Snapshot("file:///a.py", 0, "python", text, 0))
    seen = set()
    pieces = [*SECRETS.values(), "ghp", "_16C7e42F292c6912E7710c838347Ae178B4a", "\n", " ", "x", ""]
    for version in range(600):
        start = rng.randrange(len(text) + 1)
        end = min(len(text), start + rng.choice((0, 0, 1, 7, 80, 300)))
        new = rng.choice(pieces)
        text = text[:start] + new + text[end:]
        scan.edit(snapshot := Snapshot("file:///a.py", version, "python", text, 0), [Edit(start, end, new)])
        assert (scan.found is None) == (SecretScan(snapshot).found is None)
        seen.add(scan.found)
    assert None in seen and len(seen) > 5
