"""Proxies of the environment: none for this machine, and for others a message that says what to do."""

from __future__ import annotations

import pytest

from completer.engines.remote.bearer import Bearer
from completer.engines.remote.link import Link
from completer.errors import ConfigError, DownloadError
from completer.models import hub
from completer.system import proxies
from completer.system.proxies import proxy_for

URL = "https://models.example.org"


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http", "https", "all", "no"):
        monkeypatch.delenv(f"{name}_proxy", raising=False)
        monkeypatch.delenv(f"{name}_proxy".upper(), raising=False)


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1080", "socks5h://p", "socks://p", "socks4://p", "ftp://p"])
@pytest.mark.parametrize("url", ["http://127.0.0.1:8080", "http://localhost:8080", "http://[::1]:8080", "https://127.0.0.2"])
def test_this_machine_is_reached_without_a_proxy_of_any_kind(proxy: str, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    assert proxy_for(url) is None
    Link([url], Bearer())


@pytest.mark.parametrize(
    ("proxy", "mend"),
    [
        ("socks5://user:secret@p", "install the package 'socksio', or add models.example.org to NO_PROXY"),
        ("socks://user:secret@p", "name an http:// or socks5:// proxy, or add models.example.org to NO_PROXY"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_told_with_the_mend_and_without_its_password(
    proxy: str, mend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    monkeypatch.setattr(proxies, "find_spec", lambda _: None)
    with pytest.raises(ConfigError) as raised:
        Link([URL], Bearer())
    assert mend in str(raised.value)
    assert "secret" not in str(raised.value)


def test_a_host_that_no_proxy_names_is_reached_without_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks://p")
    monkeypatch.setenv("NO_PROXY", "other.example.org,models.example.org")
    assert proxy_for(URL) is None
    Link([URL], Bearer())


def test_the_proxy_of_the_scheme_goes_before_the_one_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    assert proxy_for(URL) is None
    monkeypatch.setenv("ALL_PROXY", "http://all:1")
    assert proxy_for(URL) == "http://all:1"
    monkeypatch.setenv("HTTPS_PROXY", "secure:2")
    assert proxy_for(URL) == "http://secure:2"
    assert proxy_for("http://models.example.org") == "http://all:1"


def test_the_hub_behind_a_proxy_that_cannot_be_used_is_one_line_with_the_mend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_ENDPOINT", raising=False)
    monkeypatch.setenv("ALL_PROXY", "socks://p")
    with pytest.raises(DownloadError, match=r"add huggingface\.co to NO_PROXY"):
        hub._client()
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    hub._client().close()
