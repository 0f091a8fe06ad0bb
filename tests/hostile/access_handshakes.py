"""Ways to an API server: certificates of the client, and connections that do not come about."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import warnings

from kubechain.core.errors import ExitCode
from kubechain.kube.objects import Json
from tests.certificates import openssl, signed
from tests.hostile.access_scene import ELSEWHERE, Scene, data
from tests.hostile.access_way import Way, closed
from tests.loopback import free_port

UNREACHABLE, KUBECONFIG = ExitCode.UNREACHABLE, ExitCode.KUBECONFIG


def demanding(scene: Scene) -> ssl.SSLContext:
    """Return the TLS settings of a server that demands a client certificate of the CA."""
    context = scene.keys.server.server_context()
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(scene.keys.ca.certificate)
    return context


def client(scene: Scene, user: Json) -> None:
    scene.accepts = lambda _: True
    scene.use(scene.content(scene.serve(demanding(scene)), user))


def good_client(scene: Scene) -> None:
    pair = scene.keys.client
    client(scene, {"client-certificate-data": data(pair.certificate), "client-key-data": data(pair.key)})


def one_file(scene: Scene) -> None:
    """Certificate and key are in one file, as those of a kubelet."""
    pair = scene.keys.client
    path = scene.file("client.pem", pair.certificate.read_bytes() + pair.key.read_bytes())
    client(scene, {"client-certificate": str(path), "client-key": str(path)})


def expired_client(scene: Scene) -> None:
    pair = signed(scene.folder, scene.keys.ca, "client", days=-1)
    client(scene, {"client-certificate": str(pair.certificate), "client-key": str(pair.key)})


def strange_client(scene: Scene) -> None:
    pair = signed(scene.folder, scene.keys.stranger, "client")
    client(scene, {"client-certificate": str(pair.certificate), "client-key": str(pair.key)})


def no_client(scene: Scene) -> None:
    client(scene, {"token": "unused"})


def mismatched(scene: Scene) -> None:
    client(scene, {"client-certificate": str(scene.keys.client.certificate), "client-key": str(scene.keys.server.key)})


def encrypted(scene: Scene) -> None:
    pair, locked = scene.keys.client, scene.folder / "locked.key"
    openssl("pkey", "-aes256", "-passout", "pass:secret", "-in", pair.key, "-out", locked)
    client(scene, {"client-certificate": str(pair.certificate), "client-key": str(locked)})


def half(scene: Scene) -> None:
    client(scene, {"client-certificate": str(scene.keys.client.certificate)})


def swapped(scene: Scene) -> None:
    pair = scene.keys.client
    client(scene, {"client-certificate": str(pair.key), "client-key": str(pair.certificate)})


def plain_http(scene: Scene) -> None:
    scene.use(scene.content(f"https://127.0.0.1:{scene.start(None)}"))


def http_to_tls(scene: Scene) -> None:
    scene.use(scene.content(scene.serve().replace("https://", "http://")))


def old_tls(scene: Scene) -> None:
    context = scene.keys.server.server_context()
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    scene.use(scene.content(scene.serve(context)))


def hanging(scene: Scene) -> None:
    listener = scene.stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    scene.use(scene.content(f"https://127.0.0.1:{listener.getsockname()[1]}"))


def closing(scene: Scene) -> None:
    """Close every connection at once; nothing is read, so that the client gets an RST or an end."""
    listener = scene.stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    scene.stack.callback(listener.shutdown, socket.SHUT_RDWR)

    def close() -> None:
        with contextlib.suppress(OSError):
            while True:
                listener.accept()[0].close()

    threading.Thread(target=close, daemon=True).start()
    scene.use(scene.content(f"https://127.0.0.1:{listener.getsockname()[1]}"))


def nobody(scene: Scene) -> None:
    scene.use(scene.content(f"https://127.0.0.1:{free_port()}"))


def no_such_host(scene: Scene) -> None:
    scene.use(scene.content(f"https://{ELSEWHERE}:6443"))


WAYS = (
    Way("client-certificate", "The user is a client certificate.", good_client, whole=True),
    Way("client-certificate-one-file", "Certificate and key are in one file.", one_file),
    closed(
        "client-certificate-expired", "The client's certificate has expired.", expired_client, UNREACHABLE, "client certificate"
    ),
    closed(
        "client-certificate-strange",
        "The client's certificate is of another CA.",
        strange_client,
        UNREACHABLE,
        "client certificate",
    ),
    closed(
        "client-certificate-none",
        "The server demands a client certificate, and the user has none.",
        no_client,
        UNREACHABLE,
        "client certificate",
    ),
    closed("client-key-mismatch", "The client's key is of another certificate.", mismatched, KUBECONFIG, "key values mismatch"),
    closed("client-key-encrypted", "The client's key is encrypted.", encrypted, KUBECONFIG, "is encrypted"),
    closed("client-key-missing", "The user has a client-certificate without client-key.", half, KUBECONFIG, "needs both"),
    closed("client-key-swapped", "Certificate and key are interchanged.", swapped, KUBECONFIG, "client-certificate"),
    closed("plain-http", "The server speaks plain HTTP on https.", plain_http, UNREACHABLE, "does not speak TLS"),
    closed(
        "http-to-tls",
        "The kubeconfig says http, and the server speaks TLS.",
        http_to_tls,
        UNREACHABLE,
        "closed without an answer|reset",
    ),
    closed("tls-1.1", "The server speaks TLS 1.1 only.", old_tls, UNREACHABLE, "TLS: .*(version|alert)"),
    closed("handshake-hangs", "The server accepts the connection and never answers.", hanging, UNREACHABLE, "no answer in time"),
    closed(
        "handshake-closed", "The server closes the connection in the handshake.", closing, UNREACHABLE, "API server https://127"
    ),
    closed("nobody-listens", "Nobody listens on the port.", nobody, UNREACHABLE, "[Cc]onnection refused"),
    closed("no-such-host", "The server's name is not known.", no_such_host, UNREACHABLE, ELSEWHERE),
)
