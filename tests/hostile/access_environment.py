"""Ways to an API server: proxies, of the kubeconfig and of the environment."""

from __future__ import annotations

from kubechain.core.errors import ExitCode
from tests.certificates import Pair, signed
from tests.hostile.access_proxies import connect_proxy, socks_proxy
from tests.hostile.access_scene import ELSEWHERE, Scene
from tests.hostile.access_way import Way, closed
from tests.loopback import free_port

UNREACHABLE = ExitCode.UNREACHABLE
LOGIN = "me:pass-w0rd"


def elsewhere(scene: Scene) -> None:
    """Use a server of a name that only the proxies know."""
    scene.serve()
    scene.use(scene.content(f"https://{ELSEWHERE}:6443", certificate_authority=str(scene.keys.ca.certificate)))


def through(scene: Scene, **options: object) -> int:
    """Start an HTTP proxy to the server of the scene; return its port."""
    if scene.cluster is None:
        scene.serve()
    return scene.stack.enter_context(connect_proxy(scene.port, **options)).port  # type: ignore[arg-type]


def environment(scene: Scene, own: str = "", variables: dict[str, str] | None = None, **options: object) -> None:
    elsewhere(scene)
    port = through(scene, **options)
    given = variables or {"HTTPS_PROXY": "{proxy}"}
    proxy = f"http://{own + '@' if own else ''}127.0.0.1:{port}"
    scene.environment |= {name: value.format(proxy=proxy, bare=f"127.0.0.1:{port}") for name, value in given.items()}


def kubeconfig_proxy(scene: Scene, own: str = "", **options: object) -> None:
    scene.serve()
    port = through(scene, **options)
    url = f"http://{own + '@' if own else ''}127.0.0.1:{port}"
    scene.use(scene.content(f"https://{ELSEWHERE}", certificate_authority=str(scene.keys.ca.certificate), proxy_url=url))


def tls_proxy(scene: Scene, pair: Pair, **more: object) -> None:
    """proxy-url is a proxy of https, which has this certificate."""
    scene.serve()
    port = through(scene, tls=pair.server_context(), **more)
    url = f"https://{LOGIN}@127.0.0.1:{port}"
    scene.use(scene.content(f"https://{ELSEWHERE}", certificate_authority=str(scene.keys.ca.certificate), proxy_url=url))


def socks(scene: Scene, scheme: str = "socks5", own: str = "", **options: object) -> None:
    scene.serve()
    port = scene.stack.enter_context(socks_proxy(scene.port, **options)).port  # type: ignore[arg-type]
    url = f"{scheme}://{own + '@' if own else ''}127.0.0.1:{port}"
    scene.use(scene.content(f"https://{ELSEWHERE}:6443", certificate_authority=str(scene.keys.ca.certificate), proxy_url=url))


def down(scene: Scene) -> None:
    elsewhere(scene)
    scene.environment["HTTPS_PROXY"] = f"http://127.0.0.1:{free_port()}"


def kubeconfig_down(scene: Scene) -> None:
    scene.serve()
    url = f"http://127.0.0.1:{free_port()}"
    scene.use(scene.content(f"https://{ELSEWHERE}", certificate_authority=str(scene.keys.ca.certificate), proxy_url=url))


def odd(scene: Scene, url: str) -> None:
    scene.use(scene.content(scene.serve(), certificate_authority=str(scene.keys.ca.certificate), proxy_url=url))


def loopback(scene: Scene, host: str) -> None:
    """The proxy of the environment is down, and the server on loopback."""
    scene.use(scene.content(scene.serve().replace("127.0.0.1", host)))
    proxy = f"http://127.0.0.1:{free_port()}"
    scene.environment |= {"HTTPS_PROXY": proxy, "https_proxy": proxy}


def given_beats_exempt(scene: Scene) -> None:
    kubeconfig_proxy(scene)
    scene.environment["NO_PROXY"] = f"*,{ELSEWHERE}"


def loopback_through_given(scene: Scene) -> None:
    """The port of the server is closed: only the proxy leads to the server."""
    scene.serve()
    port = through(scene)
    url = f"http://127.0.0.1:{port}"
    scene.use(
        scene.content(f"https://127.0.0.1:{free_port()}", certificate_authority=str(scene.keys.ca.certificate), proxy_url=url)
    )


def given_beats_environment(scene: Scene) -> None:
    kubeconfig_proxy(scene)
    scene.environment["HTTPS_PROXY"] = f"http://127.0.0.1:{free_port()}"


def exempt(scene: Scene, words: str, **more: str) -> None:
    """The name of the server is exempt, and leads nowhere without the proxy."""
    environment(scene)
    scene.environment |= {"NO_PROXY": words, **more}


def socks_variable(scene: Scene) -> None:
    elsewhere(scene)
    port = scene.stack.enter_context(socks_proxy(scene.port)).port
    scene.environment["HTTPS_PROXY"] = f"socks5://127.0.0.1:{port}"


def in_range(scene: Scene) -> None:
    """The address of the server leads nowhere without the proxy."""
    environment(scene)
    scene.use(scene.content(f"https://127.1.2.3:{free_port()}", certificate_authority=str(scene.keys.ca.certificate)))
    scene.environment["NO_PROXY"] = "10.0.0.0/8,127.1.0.0/16"


WAYS = (
    Way("proxy", "HTTPS_PROXY names a proxy.", environment),
    Way("proxy-lower-case", "https_proxy names a proxy.", lambda s: environment(s, variables={"https_proxy": "{proxy}"})),
    Way("proxy-without-scheme", "HTTPS_PROXY is host:port.", lambda s: environment(s, variables={"HTTPS_PROXY": "{bare}"})),
    Way(
        "proxy-login",
        "The proxy asks for a password, which HTTPS_PROXY has.",
        lambda s: environment(s, LOGIN, login=LOGIN),
        whole=True,
    ),
    closed(
        "proxy-no-login",
        "The proxy asks for a password, and has none: 407.",
        lambda s: environment(s, login=LOGIN),
        UNREACHABLE,
        "[Pp]roxy.*407",
    ),
    closed(
        "proxy-wrong-login",
        "The proxy does not accept the password.",
        lambda s: environment(s, "me:0ther-word", login=LOGIN),
        UNREACHABLE,
        "[Pp]roxy.*407",
    ),
    closed(
        "proxy-refuses", "The proxy refuses the tunnel: 403.", lambda s: environment(s, status=403), UNREACHABLE, "[Pp]roxy.*403"
    ),
    closed("proxy-down", "Nobody listens at HTTPS_PROXY.", down, UNREACHABLE, "proxy .*refused"),
    closed(
        "proxy-of-all",
        "ALL_PROXY is not read by kubectl.",
        lambda s: environment(s, variables={"ALL_PROXY": "{proxy}"}),
        UNREACHABLE,
        ELSEWHERE,
    ),
    closed(
        "proxy-of-http",
        "HTTP_PROXY is not for https.",
        lambda s: environment(s, variables={"HTTP_PROXY": "{proxy}"}),
        UNREACHABLE,
        ELSEWHERE,
    ),
    closed("no-proxy-name", "NO_PROXY has the server's name.", lambda s: exempt(s, ELSEWHERE), UNREACHABLE, ELSEWHERE),
    closed(
        "no-proxy-domain",
        "NO_PROXY has a domain of the server.",
        lambda s: exempt(s, "other, .example.test"),
        UNREACHABLE,
        ELSEWHERE,
    ),
    closed("no-proxy-star", "NO_PROXY is a star.", lambda s: exempt(s, "*"), UNREACHABLE, ELSEWHERE),
    closed(
        "no-proxy-port",
        "NO_PROXY has the server's name and port.",
        lambda s: exempt(s, f"{ELSEWHERE}:6443"),
        UNREACHABLE,
        ELSEWHERE,
    ),
    closed(
        "no-proxy-lower-case",
        "no_proxy has the server's name.",
        lambda s: exempt(s, "", no_proxy=ELSEWHERE),
        UNREACHABLE,
        ELSEWHERE,
    ),
    closed("no-proxy-range", "NO_PROXY has a range with the server's address.", in_range, UNREACHABLE, "refused"),
    Way("no-proxy-other-port", "NO_PROXY has the server's name with another port.", lambda s: exempt(s, f"{ELSEWHERE}:443")),
    Way("no-proxy-other-name", "NO_PROXY has a name with the same end.", lambda s: exempt(s, "test.example.test,ample.test")),
    Way("no-proxy-dot", "NO_PROXY with a dot means names below it only.", lambda s: exempt(s, f".{ELSEWHERE}")),
    Way("loopback-address", "127.0.0.1 is never reached through the environment's proxy.", lambda s: loopback(s, "127.0.0.1")),
    Way("loopback-name", "localhost is never reached through the environment's proxy.", lambda s: loopback(s, "localhost")),
    Way("kubeconfig-proxy", "proxy-url names a proxy; the server has no port.", kubeconfig_proxy),
    Way("kubeconfig-proxy-login", "proxy-url has a password.", lambda s: kubeconfig_proxy(s, LOGIN, login=LOGIN), whole=True),
    closed(
        "kubeconfig-proxy-no-login",
        "The proxy of proxy-url asks for a password.",
        lambda s: kubeconfig_proxy(s, login=LOGIN),
        UNREACHABLE,
        "[Pp]roxy.*407",
    ),
    closed(
        "kubeconfig-proxy-down",
        "Nobody listens at proxy-url.",
        kubeconfig_down,
        UNREACHABLE,
        "proxy .*refused",
        whole=True,
    ),
    Way(
        "kubeconfig-proxy-https",
        "proxy-url is of https, and the CA of the cluster has signed its certificate.",
        lambda s: tls_proxy(s, s.keys.server, login=LOGIN),
        whole=True,
    ),
    closed(
        "kubeconfig-proxy-https-unknown",
        "proxy-url is of https, and another CA has signed its certificate.",
        lambda s: tls_proxy(s, signed(s.folder, s.keys.stranger, "proxy")),
        UNREACHABLE,
        "local issuer certificate",
    ),
    Way("kubeconfig-proxy-not-exempt", "NO_PROXY does not hold for proxy-url.", given_beats_exempt),
    Way("kubeconfig-proxy-loopback", "proxy-url holds for a server on loopback.", loopback_through_given),
    Way("kubeconfig-proxy-first", "proxy-url overrides HTTPS_PROXY.", given_beats_environment),
    closed(
        "kubeconfig-proxy-scheme",
        "proxy-url is of an unknown scheme.",
        lambda s: odd(s, "gopher://127.0.0.1:1"),
        ExitCode.KUBECONFIG,
        "gopher",
    ),
    closed("kubeconfig-proxy-words", "proxy-url is no URL.", lambda s: odd(s, "http://a b:1"), ExitCode.KUBECONFIG, "proxy"),
    Way("socks", "proxy-url names a SOCKS5 proxy.", socks),
    Way("socks-login", "The SOCKS5 proxy asks for a password.", lambda s: socks(s, own=LOGIN, login=LOGIN), whole=True),
    Way("socks-variable", "HTTPS_PROXY names a SOCKS5 proxy.", socks_variable),
    Way("socks-h", "proxy-url has the scheme socks5h.", lambda s: socks(s, "socks5h"), kubectl=False),
    closed(
        "socks-refuses",
        "The SOCKS5 proxy refuses the connection.",
        lambda s: socks(s, reply=5),
        UNREACHABLE,
        "[Ss][Oo][Cc][Kk][Ss].*refused",
    ),
)
