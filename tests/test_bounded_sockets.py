"""Sockets with a total deadline, over TLS."""

import contextlib
import socket
import ssl
import threading
from pathlib import Path

from kubechain.kube.bounded_sockets import KEEPALIVE, BoundedTlsSocket, bounded
from tests.certificates import authority, signed
from tests.loopback import HOST


def send_until_closed(listener: socket.socket, context: ssl.SSLContext) -> None:
    """Accept a connection, and send over TLS until the client ends."""
    connection, _ = listener.accept()
    with contextlib.suppress(OSError), context.wrap_socket(connection, server_side=True) as tls:
        while True:
            tls.sendall(b"x" * 100_000)


def test_reader_of_a_connection_that_is_shut_down_gets_no_ciphertext(tmp_path: Path) -> None:
    ca = authority(tmp_path)
    context = signed(tmp_path, ca, "server").server_context()
    client = ssl.create_default_context(cafile=str(ca.certificate))
    client.sslsocket_class = BoundedTlsSocket
    seen: set[int] = set()
    for _ in range(10):
        with socket.create_server((HOST, 0)) as listener:
            sending = threading.Thread(target=send_until_closed, args=(listener, context))
            sending.start()
            plain = socket.create_connection(listener.getsockname())
            with client.wrap_socket(plain, server_hostname=HOST) as tls:
                threading.Timer(0.02, tls.shutdown, [socket.SHUT_RD]).start()
                with contextlib.suppress(OSError):
                    while chunk := tls.recv(1000):
                        seen.update(chunk)
            sending.join()
    assert seen == {ord("x")}


def test_peer_that_is_gone_without_a_word_is_noticed_within_30_s() -> None:
    with socket.create_server((HOST, 0)) as listener, bounded(socket.create_connection(listener.getsockname())) as made:
        idle, interval, count = (made.getsockopt(socket.IPPROTO_TCP, getattr(socket, name)) for name in KEEPALIVE)
        assert made.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert idle + interval * count <= 30
