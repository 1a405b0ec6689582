"""Which proxy of the environment a URL is reached through, if any."""

from __future__ import annotations

import ipaddress
from importlib.util import find_spec
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from completer.errors import ConfigError

_SOCKS = ("socks5", "socks5h")


def proxy_for(url: str) -> str | None:
    """Return the URL of the proxy for `url`; None without one, for exceptions (NO_PROXY), and for this machine itself.

    Raises: ConfigError if the proxy is of a kind that cannot be used here.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if is_loopback(host) or proxy_bypass(host):
        return None
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy:
        return None
    if "://" not in proxy:
        proxy = f"http://{proxy}"
    kind = urlsplit(proxy).scheme
    if kind in ("http", "https") or (kind in _SOCKS and find_spec("socksio")):
        return proxy
    mend = "install the package 'socksio'" if kind in _SOCKS else "name an http:// or socks5:// proxy"
    # The URL itself stays out of the message: it may hold a password.
    raise ConfigError(
        f"{host} would be reached through the {kind}:// proxy that {parts.scheme.upper()}_PROXY or ALL_PROXY names, "
        f"which does not work here: {mend}, or add {host} to NO_PROXY"
    )


def is_loopback(host: str) -> bool:
    """Whether `host`, a name or an address, is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
