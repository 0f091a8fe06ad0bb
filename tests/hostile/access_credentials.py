"""Ways to an API server: tokens, passwords and impersonation."""

from __future__ import annotations

import base64
from collections.abc import Mapping

from kubechain.core.errors import ExitCode
from tests.hostile.access_scene import TOKEN, Scene
from tests.hostile.access_way import Way, closed
from tests.hostile.acts import any_request, rule
from tests.hostile.exchange import Exchange
from tests.hostile.store import Refused

KUBECONFIG, RIGHTS = ExitCode.KUBECONFIG, ExitCode.RIGHTS


def wrong_token(scene: Scene) -> None:
    scene.access({"token": "never-" + TOKEN})


def token_file(scene: Scene, content: str | bytes) -> None:
    scene.access({"tokenFile": str(scene.file("token", content))})


def token_file_missing(scene: Scene) -> None:
    scene.access({"tokenFile": str(scene.folder / "none")})


def token_file_wins(scene: Scene) -> None:
    scene.access({"tokenFile": str(scene.file("token", TOKEN)), "token": "other"})


def token_file_lost(scene: Scene) -> None:
    scene.access({"tokenFile": str(scene.folder / "none"), "token": TOKEN})


def only_once(scene: Scene, *, renew: bool) -> None:
    """The server rejects the token from the tenth request on; what replaces it is in the same file."""
    path = scene.file("token", "old-" + TOKEN)
    count = 0

    def accepts(headers: Mapping[str, str]) -> bool:
        nonlocal count
        count += 1
        if count == 10 and renew:
            path.write_text(TOKEN + "\n")
        return headers.get("authorization") == f"Bearer {'' if count > 10 else 'old-'}{TOKEN}"

    scene.accepts = accepts
    scene.access({"tokenFile": str(path)})


def basic(scene: Scene) -> None:
    expected = "Basic " + base64.b64encode(b"me:pass word").decode()
    scene.accepts = lambda headers: headers.get("authorization") == expected
    scene.access({"username": "me", "password": "pass word"})


def provider(scene: Scene, name: str) -> None:
    scene.access({"auth-provider": {"name": name, "config": {"access-token": TOKEN, "id-token": "x"}}})


def impersonating(scene: Scene, *, allowed: bool) -> None:
    wanted = {"impersonate-user": "jane", "impersonate-group": "dev", "impersonate-extra-reason": "test"}
    scene.accepts = lambda headers: all(headers.get(name) == value for name, value in wanted.items())
    scene.access({"token": TOKEN, "as": "jane", "as-groups": ["dev"], "as-user-extra": {"reason": ["test"]}})
    assert scene.cluster
    if not allowed:
        rule(any_request, forbid)(scene.cluster)


def forbid(_exchange: Exchange) -> None:
    """Refuse as an API server does."""
    raise Refused(403, "Forbidden", 'users "jane" is forbidden: User "admin" cannot impersonate resource "users"')


def nameless(scene: Scene) -> None:
    scene.access({"token": TOKEN, "as-groups": ["dev"]})


def rejected_later(scene: Scene) -> None:
    """The server rejects every token from the sixtieth request on."""
    count = 0

    def accepts(headers: Mapping[str, str]) -> bool:
        nonlocal count
        count += 1
        return headers.get("authorization") == f"Bearer {TOKEN}" and count < 60

    scene.accepts = accepts
    scene.access()


WAYS = (
    closed(
        "token-wrong",
        "The server never accepts the token.",
        wrong_token,
        RIGHTS,
        "401 .*(credentials|token)",
        whole=True,
        short=True,
    ),
    Way("token-file", "The token is in a file, with a newline.", lambda s: token_file(s, TOKEN + "\n")),
    Way("token-file-crlf", "The token's file was written on Windows.", lambda s: token_file(s, TOKEN + "\r\n")),
    Way(
        "token-file-relative",
        "tokenFile is relative to the kubeconfig.",
        lambda s: (s.file("token", TOKEN), s.access({"tokenFile": "token"}))[0],
    ),
    Way("token-file-wins", "tokenFile stands beside another token.", token_file_wins),
    Way("token-file-lost", "tokenFile does not exist, and a token stands beside it.", token_file_lost),
    closed("token-file-missing", "tokenFile does not exist.", token_file_missing, KUBECONFIG, "tokenFile .*No such file"),
    closed("token-file-empty", "tokenFile is empty.", lambda s: token_file(s, ""), KUBECONFIG, "tokenFile .*no token"),
    closed(
        "token-file-binary", "tokenFile is no text.", lambda s: token_file(s, b"\xff\xfe\x00"), KUBECONFIG, "tokenFile .*not text"
    ),
    Way(
        "token-file-renewed",
        "The token in the file is replaced, and the server rejects the old one.",
        lambda s: only_once(s, renew=True),
    ),
    closed(
        "token-file-rejected",
        "The server rejects the token after a while, and the file stays as it is.",
        lambda s: only_once(s, renew=False),
        RIGHTS,
        "401",
        kubectl=True,
    ),
    closed(
        "token-rejected-midway",
        "The server rejects the token in the middle of a run.",
        rejected_later,
        ExitCode.HARNESS,
        "no verdict.*401",
        kubectl=True,
        whole=True,
        leaves=True,
    ),
    Way("basic", "The user has a name and a password.", basic, whole=True),
    closed(
        "basic-and-token",
        "The user has a token and a password.",
        lambda s: s.access({"token": TOKEN, "username": "me", "password": "x"}),
        KUBECONFIG,
        "token and username",
    ),
    closed(
        "provider-gcp",
        "The auth-provider is gcp, which kubectl no longer has.",
        lambda s: provider(s, "gcp"),
        KUBECONFIG,
        "auth-provider gcp",
    ),
    closed(
        "provider-unknown", "The auth-provider is not known.", lambda s: provider(s, "acme"), KUBECONFIG, "auth-provider acme"
    ),
    Way("impersonation", "The server allows the impersonation of `as`.", lambda s: impersonating(s, allowed=True), whole=True),
    closed(
        "impersonation-refused",
        "The server refuses the impersonation.",
        lambda s: impersonating(s, allowed=False),
        RIGHTS,
        "cannot impersonate",
    ),
    closed("impersonation-nameless", "as-groups without as.", nameless, KUBECONFIG, "without `as`"),
    closed("user-empty", "The user has no credentials.", lambda s: s.access({}), KUBECONFIG, "without credentials"),
    closed("token-blank", "The token has a blank.", lambda s: s.access({"token": "two words"}), KUBECONFIG, "no token"),
)
