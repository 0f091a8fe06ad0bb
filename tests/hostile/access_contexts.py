"""Ways to an API server: contexts and servers of a kubeconfig."""

from __future__ import annotations

import base64

from kubechain.core.errors import ExitCode
from kubechain.kube.objects import Json
from tests.hostile.access_environment import LOGIN
from tests.hostile.access_kubeconfigs import words
from tests.hostile.access_proxies import forwarding
from tests.hostile.access_scene import Scene
from tests.hostile.access_way import Way, closed

KUBECONFIG, USAGE = ExitCode.KUBECONFIG, ExitCode.USAGE
NAMES = (
    ("blank", "my cluster"),
    ("colon", "arn:aws:eks:eu-1:123:cluster/x"),
    ("slash", "admin@a/b/c"),
    ("dollar", "a$HOME$x"),
    ("quotes", 'it\'s "mine"'),
    ("unicode", "クラスタ-ü"),
    ("brackets", "a[b]{c}"),
    ("percent", "100%s"),
    ("star", "a*"),
    ("backslash", "a\\b"),
    ("long", "n" * 300),
)


def named(scene: Scene, name: str) -> None:
    scene.context = name
    scene.access()


def changed(scene: Scene, section: str, **fields: object) -> None:
    """Change fields of the only entry of a section."""
    content = scene.content(scene.serve())
    entry: Json = content[f"{section}s"][0]
    entry.setdefault(section, {}).update(fields)
    scene.use(content)


def without(scene: Scene, section: str) -> None:
    content = scene.content(scene.serve())
    content[section] = []
    scene.use(content)


def twice(scene: Scene, section: str) -> None:
    content = scene.content(scene.serve())
    content[section] = content[section] * 2
    scene.use(content)


def below(scene: Scene, trail: str = "") -> None:
    url = scene.serve(prefix="/k8s/clusters/c-1")
    scene.use(scene.content(url + trail))


def server(scene: Scene, old: str, new: str) -> None:
    scene.use(scene.content(scene.serve().replace(old, new)))


def no_server(scene: Scene, value: object) -> None:
    scene.serve()
    content = scene.content("")
    content["clusters"][0]["cluster"]["server"] = value
    scene.use(content)


def local_proxy(scene: Scene) -> None:
    scene.accepts = lambda _: True
    scene.use(scene.content(f"http://127.0.0.1:{scene.start(None)}", {}, tls_server_name=""))


def ipv6(scene: Scene) -> None:
    scene.serve()
    port = scene.stack.enter_context(forwarding("::1", scene.port))
    scene.use(scene.content(f"https://[::1]:{port}"))


def login_in_url(scene: Scene, user: Json) -> None:
    """The URL of the server has a name and a password, which the server accepts."""
    expected = "Basic " + base64.b64encode(LOGIN.encode()).decode()
    scene.accepts = lambda headers: headers.get("authorization") == expected
    scene.use(scene.content(scene.serve().replace("https://", f"https://{LOGIN}@"), user))


WAYS = (
    *(
        Way(f"context-{id_}", f"The context's name has: {id_}.", lambda s, name=name: named(s, name), whole=id_ == "quotes")
        for id_, name in NAMES
    ),
    Way("context-dash", "The context's name begins with a dash.", lambda s: named(s, "-x")),
    closed(
        "context-unknown",
        "There is no such context.",
        lambda s: (s.access(), setattr(s, "context", "other"))[0],
        USAGE,
        "--context=other: not in .* whose contexts are test",
    ),
    closed(
        "context-case",
        "The context's name differs in case.",
        lambda s: (s.access(), setattr(s, "context", "Test"))[0],
        USAGE,
        "not in",
    ),
    Way("context-namespace", "The context has a namespace.", lambda s: changed(s, "context", namespace="elsewhere")),
    closed("context-without-user", "The context names no user.", lambda s: changed(s, "context", user=""), KUBECONFIG, "no user"),
    closed(
        "context-other-user",
        "The context's user is not in the file.",
        lambda s: changed(s, "context", user="x"),
        KUBECONFIG,
        "user x is not in the file",
    ),
    closed(
        "context-without-cluster",
        "The context names no cluster.",
        lambda s: changed(s, "context", cluster=""),
        KUBECONFIG,
        "no name|cluster",
    ),
    closed(
        "context-other-cluster",
        "The context's cluster is not in the file.",
        lambda s: changed(s, "context", cluster="x"),
        KUBECONFIG,
        "cluster x is not in the file",
    ),
    closed(
        "no-clusters",
        "The list of clusters is empty.",
        lambda s: without(s, "clusters"),
        KUBECONFIG,
        "cluster c is not in the file",
    ),
    closed("no-contexts", "The list of contexts is empty.", lambda s: without(s, "contexts"), KUBECONFIG, "no contexts"),
    closed("cluster-twice", "Two clusters have one name.", lambda s: twice(s, "clusters"), KUBECONFIG, "twice|two"),
    closed("user-twice", "Two users have one name.", lambda s: twice(s, "users"), KUBECONFIG, "twice|two"),
    closed("context-twice", "Two contexts have one name.", lambda s: twice(s, "contexts"), KUBECONFIG, "twice|two"),
    Way(
        "current-context-missing",
        "current-context names a context that is not there.",
        lambda s: s.use({**s.content(s.serve()), "current-context": "gone"}) and None,
    ),
    closed("contexts-words", "The contexts are words.", lambda s: words(s, "contexts: all\n"), KUBECONFIG, "not a kubeconfig"),
    Way("server-with-path", "The server has a path, as behind Rancher.", below, whole=True),
    Way("server-with-slash", "The server has a path and ends with a slash.", lambda s: below(s, "/")),
    Way("server-localhost", "The server is a name.", lambda s: server(s, "127.0.0.1", "localhost"), whole=True),
    Way("server-capitals", "The scheme is in capitals.", lambda s: server(s, "https://", "HTTPS://")),
    Way(
        "server-without-scheme",
        "The server has no scheme, and the cluster a CA.",
        lambda s: server(s, "https://", ""),
        kubectl=False,
    ),
    Way("server-ipv6", "The server is an IPv6 address.", ipv6, whole=True),
    Way(
        "server-login",
        "The URL of the server has a name and a password, and the user nothing; kubectl asks for them.",
        lambda s: login_in_url(s, {}),
        kubectl=False,
    ),
    Way("server-login-first", "It has them, and the user another token.", lambda s: login_in_url(s, {"token": "other"})),
    closed("server-empty", "The server is empty.", lambda s: no_server(s, ""), KUBECONFIG, "no server"),
    closed("server-null", "The server is null.", lambda s: no_server(s, None), KUBECONFIG, "no server"),
    closed("server-ftp", "The server is of another scheme.", lambda s: server(s, "https://", "ftp://"), KUBECONFIG, "is no URL"),
    closed("server-port", "The port is too high.", lambda s: no_server(s, "https://127.0.0.1:99999"), KUBECONFIG, "is no URL"),
    closed("server-words", "The server is words.", lambda s: no_server(s, "https://my server"), KUBECONFIG, "is no URL"),
    Way(
        "disable-compression",
        "disable-compression is set.",
        lambda s: s.access(disable_compression=True, certificate_authority=str(s.keys.ca.certificate)),
    ),
    Way("local-proxy", "The server is `kubectl proxy`: plain HTTP on loopback, and no user.", local_proxy),
)
