"""The proxy on the way to an API server, chosen as client-go does.

https://pkg.go.dev/golang.org/x/net/http/httpproxy says what HTTPS_PROXY, HTTP_PROXY and NO_PROXY mean.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import urllib.parse

from urllib3.exceptions import LocationParseError
from urllib3.util import make_headers
from urllib3.util.url import Url, parse_url

SOCKS = ("socks5", "socks5h")
PORTS = {"http": 80, "https": 443}


def of(server: Url, given: str) -> Url | None:
    """Return the proxy to a server: the given one (proxy-url), else that of the environment; None for none.

    The environment's is not for loopback, nor for what NO_PROXY names.

    Raises:
        ValueError: it is no URL of a proxy.

    """
    name = f"{server.scheme}_proxy"
    text = given or ("" if _is_exempt(server) else _variable(name))
    if not text:
        return None
    try:
        proxy = parse_url(text if "://" in text else f"http://{text}")
    except LocationParseError as error:
        raise ValueError("it is no URL") from error
    if proxy.scheme not in (*PORTS, *SOCKS) or not proxy.host:
        raise ValueError("it is no URL of a proxy such as http://10.0.0.1:3128 or socks5://10.0.0.1:1080")
    return proxy


def login(proxy: Url) -> tuple[str, str] | None:
    """Return the name and the password in the URL of a proxy, None if it has none."""
    if not proxy.auth:
        return None
    name, _, password = proxy.auth.partition(":")
    return urllib.parse.unquote(name), urllib.parse.unquote(password)


def headers(proxy: Url) -> dict[str, str]:
    """Return the headers with which an HTTP proxy is asked."""
    given = login(proxy)
    return make_headers(proxy_basic_auth=":".join(given)) if given else {}


def bare(proxy: Url) -> str:
    """Return the URL of a proxy without its password."""
    return proxy._replace(auth=None).url


def _variable(name: str) -> str:
    return os.environ.get(name.upper()) or os.environ.get(name, "")


def _is_exempt(server: Url) -> bool:
    host, port = (server.host or "").strip("[]").lower(), server.port or PORTS[server.scheme or "https"]
    address = _address(host)
    if host == "localhost" or (address and address.is_loopback):
        return True
    words = (word.strip().lower() for word in _variable("no_proxy").split(","))
    return any(word == "*" or _names(word, host, port, address) for word in words if word)


def _names(word: str, host: str, port: int, address: ipaddress.IPv4Address | ipaddress.IPv6Address | None) -> bool:
    """Whether a word of NO_PROXY names a server: an IP address, a CIDR range, or a domain, perhaps with a port."""
    if address:
        with contextlib.suppress(ValueError):
            return address in ipaddress.ip_network(word, strict=False)
    name, _, given = word.rpartition(":") if word.rpartition(":")[2].isdecimal() else (word, "", "")
    if given and int(given) != port:
        return False
    name = name.strip("[]").removeprefix("*")
    if address:
        return _address(name) == address
    return host.endswith(name) if name.startswith(".") else host == name or host.endswith(f".{name}")


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
