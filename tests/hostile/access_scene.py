"""What a record of access is made of: an API server with TLS, certificates, a kubeconfig, an environment."""

from __future__ import annotations

import base64
import os
import ssl
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from kubechain.kube.objects import Json
from tests.certificates import Pair, authority, openssl, signed
from tests.hostile.access import ADMIN, Access
from tests.hostile.api import Rule
from tests.hostile.cluster import Cluster, cluster
from tests.hostile.exchange import Exchange
from tests.hostile.store import Refused

TOKEN = "hostile-token-a1b2c3"  # noqa: S105  # of a server on loopback
CONTEXT = "test"
# A name that only a proxy of the tests can reach.
ELSEWHERE = "api.example.test"
PLUGIN = "client.authentication.k8s.io/v1"


class Keys:
    """Certificates that all records share, made when they are first needed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def ca(self) -> Pair:
        return authority(self.folder, "ca")

    @cached_property
    def stranger(self) -> Pair:
        return authority(self.folder, "stranger")

    @cached_property
    def server(self) -> Pair:
        return signed(self.folder, self.ca, "server", alternative=f"IP:127.0.0.1,IP:::1,DNS:localhost,DNS:{ELSEWHERE}")

    @cached_property
    def client(self) -> Pair:
        return signed(self.folder, self.ca, "client")

    @cached_property
    def early(self) -> Pair:
        """A certificate of the CA that is valid in years to come."""
        config, name = self.folder / "early.cnf", self.folder / "early"
        (self.folder / "index").write_text("")
        (self.folder / "serial").write_text("01")
        config.write_text(
            f"[ca]\ndefault_ca=x\n[x]\ndatabase={self.folder}/index\nserial={self.folder}/serial\nnew_certs_dir={self.folder}\n"
            "default_md=sha256\npolicy=p\nx509_extensions=e\n[p]\ncommonName=supplied\n[e]\nsubjectAltName=IP:127.0.0.1\n"
        )
        made = Pair(name.with_suffix(".crt"), name.with_suffix(".key"))
        request = name.with_suffix(".csr")
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=early", "-keyout", made.key, "-out", request)
        options = (
            "-config",
            config,
            "-cert",
            self.ca.certificate,
            "-keyfile",
            self.ca.key,
            "-in",
            request,
            "-out",
            made.certificate,
        )
        openssl("ca", "-batch", "-notext", "-startdate", "20990101000000Z", "-enddate", "20990301000000Z", *options)
        return made


@dataclass
class Scene:
    """A way's cluster, kubeconfig and environment; `stack` ends what the way starts.

    `context` is the name that --context gets, `kubeconfig` the path of --kubeconfig ("" for none).
    """

    folder: Path
    keys: Keys
    stack: ExitStack
    context: str = CONTEXT
    kubeconfig: str = ""
    environment: dict[str, str] = field(default_factory=dict[str, str])
    cluster: Cluster | None = None
    # Whether the server accepts a request with these headers.
    accepts: Callable[[Mapping[str, str]], bool] = lambda headers: headers.get("authorization") == f"Bearer {TOKEN}"

    def serve(self, tls: ssl.SSLContext | Pair | None = None, prefix: str = "") -> str:
        """Start a cluster whose API server has a certificate (default: a good one) and serves below a prefix; return its URL."""
        return f"https://127.0.0.1:{self.start(tls or self.keys.server, prefix)}{prefix}"

    def start(self, tls: ssl.SSLContext | Pair | None, prefix: str = "") -> int:
        """Start a cluster, with TLS if there are settings of it; return the port of its API server."""
        settings = tls.server_context() if isinstance(tls, Pair) else tls
        way = Access(
            settings, lambda headers, _: ADMIN if self.accepts(headers) else "", {}, {}, self.keys.ca.certificate.read_text()
        )
        (self.folder / "cluster").mkdir()
        self.cluster = self.stack.enter_context(cluster(self.folder / "cluster", way))
        if prefix:
            self.cluster.api.rules.append(Rule(lambda _: True, lambda exchange: below(exchange, prefix)))
        return self.cluster.port

    @property
    def port(self) -> int:
        """The port of the API server."""
        assert self.cluster
        return self.cluster.port

    def file(self, name: str, content: str | bytes, mode: int = 0o600) -> Path:
        """Write a file into the folder of the record; return its path."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        path.chmod(mode)
        return path

    def content(self, server: str, user: Json | None = None, **cluster: Any) -> Json:
        """Return a kubeconfig with one context, whose cluster trusts the CA unless `cluster` says otherwise."""
        trust = {"certificate_authority": str(self.keys.ca.certificate)}
        fields = {name.replace("_", "-"): value for name, value in (cluster or trust).items()}
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": {"server": server, **fields}}],
            "users": [{"name": "u", "user": {"token": TOKEN} if user is None else user}],
            "contexts": [{"name": self.context, "context": {"cluster": "c", "user": "u"}}],
        }

    def use(self, content: Json | str | bytes, name: str = "config") -> Path:
        """Write the kubeconfig, and name it by --kubeconfig."""
        text = content if isinstance(content, str | bytes) else yaml.safe_dump(content, allow_unicode=True)
        path = self.file(name, text)
        self.kubeconfig = str(path)
        return path

    def access(self, user: Json | None = None, **cluster: Any) -> None:
        """Start a good server, and use a kubeconfig with this user and this cluster."""
        self.use(self.content(self.serve(), user, **cluster))

    def plugin(self, body: str, **more: Any) -> Json:
        """Write a plugin whose Python code prints; its runs are counted in the file "runs". Return the user."""
        count = f"import json, os, sys, time\nopen({str(self.folder / 'runs')!r}, 'a').write('x')\n"
        path = self.file("plugin.py", count + body)
        plugin = {"apiVersion": PLUGIN, "command": sys.executable, "args": [str(path)], "interactiveMode": "Never", **more}
        return {"exec": {name: value for name, value in plugin.items() if value is not None}}

    def runs(self) -> int:
        """Return how often the plugin has run."""
        path = self.folder / "runs"
        return len(path.read_text()) if path.exists() else 0


def printing(status: str, version: str = PLUGIN) -> str:
    """Return the code of a plugin that prints an ExecCredential with a `status`, a Python expression."""
    return f"print(json.dumps({{'apiVersion': {version!r}, 'kind': 'ExecCredential', 'status': {status}}}))\n"


def data(path: Path) -> str:
    """Return the content of a file as base64."""
    return base64.b64encode(path.read_bytes()).decode()


def below(exchange: Exchange, prefix: str) -> None:
    """Answer a request whose path begins with a prefix, as the proxy of Rancher does."""
    path = exchange.request.path
    if not path.startswith(prefix + "/"):
        raise Refused(404, "NotFound", "not here")
    exchange.request = replace(exchange.request, path=path.removeprefix(prefix))
    exchange.serve()


def without_proxies() -> dict[str, str]:
    """Return the environment of this process without what decides about access."""
    names = ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "kubeconfig")
    return {name: value for name, value in os.environ.items() if name.lower() not in names and not name.startswith("KUBECHAIN_")}
