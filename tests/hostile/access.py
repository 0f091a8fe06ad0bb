"""How the API server is reached: its certificate, what it accepts as credentials, and the kubeconfig that leads to it."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from kubechain.kube.objects import Json
from tests.certificates import authority, signed

CONTEXT = "hostile"
TOKEN = "hostile-token"  # noqa: S105  # of a cluster that ends with the test
ADMIN = "admin"


@dataclass(frozen=True)
class Access:
    """TLS settings of the server (None: plain HTTP), who a request comes from, and the entries of the kubeconfig.

    `authenticate` gets the headers (lower case) and the certificate of the client as `ssl` decodes it ({} for none), and
    returns the name of the user, "" for none. `cluster` is the entry without its server; `ca` is the CA in PEM.
    """

    tls: ssl.SSLContext | None
    authenticate: Callable[[Mapping[str, str], Mapping[str, Any]], str]
    cluster: Json
    user: Json
    ca: str = ""

    def url(self, port: int) -> str:
        """Return the address of the server."""
        return f"http{'s' if self.tls else ''}://127.0.0.1:{port}"

    def kubeconfig(self, path: Path, port: int) -> Path:
        """Write a kubeconfig with the context CONTEXT to the path; return it."""
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": CONTEXT,
            "clusters": [{"name": "c", "cluster": {"server": self.url(port), **self.cluster}}],
            "users": [{"name": "u", "user": self.user}],
            "contexts": [{"name": CONTEXT, "context": {"cluster": "c", "user": "u"}}],
        }
        path.write_text(yaml.safe_dump(content))
        return path


def by_token(headers: Mapping[str, str], _certificate: Mapping[str, Any]) -> str:
    """Accept TOKEN."""
    return ADMIN if headers.get("authorization") == f"Bearer {TOKEN}" else ""


def plain() -> Access:
    """Return plain HTTP and a token."""
    return Access(None, by_token, {}, {"token": TOKEN})


def with_token(folder: Path) -> Access:
    """Return TLS with a CA of its own and a token; the certificates are made once in a folder."""
    ca, server = folder / "ca.crt", folder / "server.crt"
    if not server.exists():
        signed(folder, authority(folder), "server")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(server, folder / "server.key")
    return Access(tls, by_token, {"certificate-authority": str(ca)}, {"token": TOKEN}, ca.read_text())
