"""A connection in the form that other programs read: the `tls` of a sampler's plan, and a kubeconfig for kubectl.

So they go the way of the requests, whatever a kubeconfig says: same address, proxy, TLS, credentials and impersonation.
"""

from __future__ import annotations

from pathlib import Path

from urllib3.util.url import Url

from kubechain.kube import proxies, socks
from kubechain.kube.connection import Connection
from kubechain.kube.kubeconfig import alone
from kubechain.kube.objects import Json

# Credentials for programs are renewed so long before they expire: the programs read them from time to time.
AHEAD_SECONDS = 30.0
HEADERS, CLIENT = "headers", "client"


def for_sampler(connection: Connection, folder: Path) -> Json:
    """Return the `tls` of a sampler's plan (`kubechain.sampler.access`); the files HEADERS and CLIENT in a folder are secret.

    Some credentials expire after minutes: a further call renews the files.

    Raises:
        SetupError: the server is reached without TLS, and with credentials or by a proxy (exit code KUBECONFIG).

    """
    credential = connection.credential(ahead=AHEAD_SECONDS)
    lines = "".join(f"{name}: {value}\n" for name, value in connection.headers(credential))
    if not connection.server.startswith("https") and (lines or connection.proxy):
        raise connection.entry.error("it has no TLS, but credentials or a proxy, which samplers do not use without TLS")
    # Both may be in one file.
    pair = [Path(path).read_bytes() for path in dict.fromkeys((credential.certificate, credential.key)) if path]
    return {
        "ca": connection.ca,
        "verify": connection.verify,
        "server_name": str(connection.entry.cluster.get("tls-server-name") or ""),
        "proxy": _proxy(connection.proxy) if connection.proxy else None,
        "headers": _replaced(folder / HEADERS, lines.encode()),
        "client": _replaced(folder / CLIENT, b"\n".join(pair)),
    }


def _replaced(path: Path, content: bytes) -> str:
    """Write a file that only its owner can read, or delete it if it is to be empty; return its path, or ""."""
    if not content:
        path.unlink(missing_ok=True)
        return ""
    # Replaced atomically, so that a reader sees the old or the new content; a file that exists may be readable by others.
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    new.touch(mode=0o600)
    new.write_bytes(content)
    new.replace(path)
    return str(path)


def _proxy(proxy: Url) -> Json:
    name, password = proxies.login(proxy) or ("", "")
    scheme = "socks5" if proxy.scheme in proxies.SOCKS else str(proxy.scheme)
    port = proxy.port or (socks.PORT if scheme == "socks5" else proxies.PORTS[scheme])
    return {"scheme": scheme, "host": (proxy.host or "").strip("[]"), "port": port, "name": name, "password": password}


def for_kubectl(connection: Connection, folder: Path) -> Path:
    """Write a kubeconfig with the context of a connection alone into a folder; return its path.

    kubectl may write to it (the new tokens of an auth provider), and reads what it would refuse in the user's own: a server
    without a scheme, a file that stands beside its content, a proxy of socks5h.
    """
    return _written(connection, {"server": connection.server}, folder)


def at_address(connection: Connection, address: str, folder: Path) -> Path:
    """Write a kubeconfig with the context of a connection, for the API server at another address, such as "10.0.0.2:6443".

    Another machine may have that address: only a server with a certificate of the cluster gets the credentials.

    Raises:
        SetupError: there is no certificate by which it is known (exit code KUBECONFIG).

    """
    if not (connection.ca and connection.server.startswith("https")):
        raise connection.entry.error(f"it has no CA by which the API server at {address} is known")
    # Pods reach every API server by this name.
    return _written(connection, {"server": f"https://{address}", "tls-server-name": "kubernetes.default.svc"}, folder)


def _written(connection: Connection, changed: Json, folder: Path) -> Path:
    entry = connection.entry
    cluster, user = {**entry.cluster, **changed}, {**entry.user}
    if str(cluster.get("proxy-url") or "").startswith("socks5h:"):
        cluster["proxy-url"] = str(cluster["proxy-url"]).replace("socks5h:", "socks5:", 1)
    for section, field in ((cluster, "certificate-authority"), (user, "client-certificate"), (user, "client-key")):
        if section.get(f"{field}-data"):
            section.pop(field, None)
    return alone(entry.context, cluster, user, folder)
