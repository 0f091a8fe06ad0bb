"""Kubeconfigs with credentials of every kind, and the other files with secrets that a run is given."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from kubechain.core.registries import host_of
from kubechain.kube.objects import Json
from tests.canary.forms import Maker
from tests.certificates import Pair, signed

CONTEXT = "canary"
# Prints what kubectl expects, and secrets for everybody to read.
PLUGIN = """#!/bin/sh
echo "refreshing with $SHOP_TOKEN" >&2
cat "$0.credential"
"""


@dataclass
class Keys:
    """Files with secrets in a folder; `secrets` is secret -> what it is. None of them has a form by which it is known.

    `authority` signs the certificates of the server, if it has any, and of a user of the kind "key".
    """

    folder: Path
    seed: str
    authority: Pair | None = None
    secrets: dict[str, str] = field(default_factory=dict[str, str])

    def made(self, what: str, *, hard: bool = False) -> str:
        """Make a secret that only the run knows to be one."""
        maker = Maker(f"{self.seed} {what}")
        secret = maker.hard() if hard else f"{maker.word(9)}-{maker.word(9)}-{maker.word(9)}"
        self.secrets[secret] = what
        return secret

    def kubeconfig(self, server: str, kind: str) -> Path:
        """Write a kubeconfig for a server, with credentials of that kind: token, password, tokenFile, exec or key."""
        user: Json = {}
        match kind:
            case "token":
                user["token"] = self.made("token of the kubeconfig")
            case "password":
                user |= {"username": "admin", "password": self.made("password of the kubeconfig", hard=True)}
            case "tokenFile":
                user["tokenFile"] = str(self._file("token", self.made("tokenFile")))
            case "exec":
                user["exec"] = self._plugin()
            case _:
                key, certificate = self._pair()
                self.secrets |= dict.fromkeys(key.splitlines()[1:-1], "client-key-data")
                user |= {"client-key-data": _encoded(key), "client-certificate-data": _encoded(certificate)}
        cluster = {"server": server} | ({"certificate-authority": str(self.authority.certificate)} if self.authority else {})
        return self._file(
            f"kubeconfig-{kind}",
            yaml.safe_dump(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "clusters": [{"name": "c", "cluster": cluster}],
                    "users": [{"name": "u", "user": user}],
                    "contexts": [{"name": CONTEXT, "context": {"cluster": "c", "user": "u"}}],
                }
            ),
        )

    def pull_secret(self, image: str) -> Path:
        """Write a docker config.json with credentials for the registry of an image."""
        password = self.made("password of the registry", hard=True)
        auth = base64.b64encode(f"robot:{password}".encode()).decode()
        self.secrets[auth] = "auth of the registry"
        entry = {"auth": auth, "identitytoken": self.made("identity token of the registry")}
        return self._file("config.json", json.dumps({"auths": {host_of(image): entry}}))

    def environment(self) -> dict[str, str]:
        """Return variables for a run, of which one is a secret."""
        return {"SHOP_PASSWORD": self.made("variable of the run", hard=True)}

    def _pair(self) -> tuple[str, str]:
        """Return a key and its certificate; without an authority, nobody reads them, and the key stands for both."""
        if self.authority is None:
            key = Maker(f"{self.seed} key").pem()
            return key, key
        made = signed(self.folder, self.authority, "client")
        return made.key.read_text(), made.certificate.read_text()

    def _plugin(self) -> Json:
        version = "client.authentication.k8s.io/v1"
        token = self.made("token of the credential plugin")
        answer = {"apiVersion": version, "kind": "ExecCredential", "status": {"token": token}}
        path = self._file("plugin", PLUGIN)
        path.chmod(0o700)
        self._file("plugin.credential", json.dumps(answer))
        variable = {"name": "SHOP_TOKEN", "value": self.made("variable of the credential plugin")}
        return {"apiVersion": version, "command": str(path), "env": [variable], "interactiveMode": "Never"}

    def _file(self, name: str, content: str) -> Path:
        path = self.folder / name
        path.touch(mode=0o600)
        path.write_text(content, encoding="utf-8")
        return path


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
