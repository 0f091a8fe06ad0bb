"""The forms of secrets: made up for one place each, so that a secret that is found names the place where it was planted."""

from __future__ import annotations

import base64
import json
import random
import string
from collections.abc import Callable
from dataclasses import dataclass

LETTERS = string.ascii_letters + string.digits


@dataclass(frozen=True)
class Form:
    """A form of secrets; `shown` is the text in which programs print it, `secrets` are its parts that nobody may read."""

    name: str
    shown: str
    secrets: tuple[str, ...]


class Maker:
    """Makes secrets that are the same whenever `seed` is the same."""

    def __init__(self, seed: str) -> None:
        self._random = random.Random(seed)  # noqa: S311  # nobody uses these secrets

    def word(self, length: int = 24, alphabet: str = LETTERS) -> str:
        """Return random characters, which begin with a letter."""
        return self._random.choice(string.ascii_letters) + "".join(self._random.choices(alphabet, k=length - 1))

    def hard(self) -> str:
        """Return a password with the characters that URLs, JSON, XML and base64 write in another way."""
        return f'{self.word(8)}/{self.word(4)}+{self.word(4)}&{self.word(4)}"{self.word(8)}'

    def encoded(self, length: int = 30) -> str:
        """Return the base64 of random bytes."""
        return base64.b64encode(self._random.randbytes(length)).decode()

    def pem(self, what: str = "PRIVATE KEY") -> str:
        """Return a key in PEM format, with lines of 64 characters; nobody can use it."""
        body = self.encoded(240)
        lines = [body[start : start + 64] for start in range(0, len(body), 64)]
        return "\n".join([f"-----BEGIN {what}-----", *lines, f"-----END {what}-----"])

    def jwt(self) -> str:
        """Return a JSON Web Token."""
        head = base64.urlsafe_b64encode(b'{"alg":"RS256","kid":"canary"}').decode().rstrip("=")
        body = base64.urlsafe_b64encode(json.dumps({"sub": self.word(40)}).encode()).decode().rstrip("=")
        return f"{head}.{body}.{self.word(86)}"


def plain(pattern: str) -> Callable[[Maker], tuple[str, ...]]:
    """Return a maker of (text, secret) from a text with {} in the place of the secret."""

    def make(maker: Maker) -> tuple[str, ...]:
        word = maker.word()
        return pattern.format(word), word

    return make


def _pem(what: str) -> Callable[[Maker], tuple[str, ...]]:
    def make(maker: Maker) -> tuple[str, ...]:
        key = maker.pem(what)
        return key, *key.splitlines()[1:-1]

    return make


def _end_of_pem(maker: Maker) -> tuple[str, ...]:
    """The last lines of a key, as at the beginning of the last lines of a log."""
    lines = maker.pem("RSA PRIVATE KEY").splitlines()[2:]
    return "\n".join(lines), *lines[:-1]


def _jwt(maker: Maker) -> tuple[str, ...]:
    token = maker.jwt()
    return f"token {token} has expired", *token.split(".")[1:]


def _registry(maker: Maker) -> tuple[str, ...]:
    password = maker.word()
    auth = base64.b64encode(f"robot:{password}".encode()).decode()
    return json.dumps({"auths": {"registry.example": {"auth": auth}}}), password, auth


def _docker_config(maker: Maker) -> tuple[str, ...]:
    config, password, auth = _registry(maker)
    return f".dockerconfigjson: {base64.b64encode(config.encode()).decode()}", password, auth


def _key_data(maker: Maker) -> tuple[str, ...]:
    key = maker.pem("EC PRIVATE KEY")
    data = base64.b64encode(key.encode()).decode()
    return f"client-key-data: {data}", data, *key.splitlines()[1:-1]


def _cloud(maker: Maker) -> tuple[str, ...]:
    identity, secret = "AKIA" + maker.word(16, string.ascii_uppercase).upper(), maker.word(40)
    return f"AWS_ACCESS_KEY_ID={identity} AWS_SECRET_ACCESS_KEY={secret}", identity, secret


def _begins(beginning: str, length: int = 36) -> Callable[[Maker], tuple[str, ...]]:
    def make(maker: Maker) -> tuple[str, ...]:
        token = beginning + maker.word(length)
        return f"cloning with {token} is refused", token

    return make


def _basic(maker: Maker) -> tuple[str, ...]:
    password = maker.word()
    data = base64.b64encode(f"admin:{password}".encode()).decode()
    return f"Authorization: Basic {data}", password, data


MAKERS: dict[str, Callable[[Maker], tuple[str, ...]]] = {
    "bearer token": plain("Authorization: Bearer {}"),
    "basic authentication": _basic,
    "private key": _pem("PRIVATE KEY"),
    "RSA private key": _pem("RSA PRIVATE KEY"),
    "OpenSSH private key": _pem("OPENSSH PRIVATE KEY"),
    "end of a private key": _end_of_pem,
    "password of the environment": plain("DB_PASSWORD={}"),
    "pass of the environment": plain("export DB_PASS={}"),
    "JSON Web Token": _jwt,
    "data source name": plain("cannot connect to app:{}@tcp(db:3306)/app"),
    "data source name without protocol": plain("cannot connect to app:{}@db.shop.svc:5432/app"),
    "URL with a password": plain("cannot connect to postgres://app:{}@db:5432/app"),
    "URL with a token alone": plain("cloning https://{}@git.example/shop.git"),
    "Cookie": plain("Cookie: theme=dark; session={}"),
    "Set-Cookie": plain("Set-Cookie: id={}; Path=/"),
    "X-Auth-Token": plain("X-Auth-Token: {}"),
    "registry credentials": _registry,
    "pull secret": _docker_config,
    "password of a kubeconfig": plain("username: admin\npassword: {}"),
    "token of a kubeconfig": plain("users:\n- name: admin\n  user:\n    token: {}"),
    "key of a kubeconfig": _key_data,
    "bootstrap token": plain("kubeadm join 10.0.0.1:6443 --token {} --discovery-token-ca-cert-hash sha256:00"),
    "cloud access key": _cloud,
    "storage account key": plain("AccountName=shop;AccountKey={};EndpointSuffix=core"),
    "Google API key": _begins("AIza", 35),
    "GitHub token": _begins("ghp_"),
    "GitHub token, fine-grained": _begins("github_pat_11A_"),
    "GitLab token": _begins("glpat-", 20),
    "Slack token": _begins("xoxb-1234567890-"),
    "npm token": _begins("npm_"),
    "PyPI token": _begins("pypi-AgEIcHlwaS5vcmc"),
    "Slack webhook": plain("POST https://hooks.slack.com/services/T00/B00/{}: 404"),
    "Discord webhook": plain("POST https://discord.com/api/webhooks/1/{}: 404"),
    "Teams webhook": plain("POST https://shop.webhook.office.com/webhookb2/{}@1: 404"),
    "option --password": plain("`mysql --user app --password {} shop` failed"),
    "option --token=": plain("`kubectl --token={} get pods` failed"),
}


def forms(place: str) -> tuple[Form, ...]:
    """Return a secret of every form for one place."""
    made = ((name, make(Maker(f"{place} {name}"))) for name, make in MAKERS.items())
    return tuple(Form(name, shown, tuple(secrets)) for name, (shown, *secrets) in made)
