"""Why a connection to the API server failed, in words that say what to do."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Generator

import urllib3

ALERT = " alert "
NO_TLS = "the server does not speak TLS; is it http instead of https, or a proxy?"
NO_TLS_REASONS = ("wrong version number", "record layer failure", "http request", "packet length too long")
# Not the ConnectTimeoutError, of which urllib3 derives its errors for refused connections.
TIMEOUTS = (TimeoutError, urllib3.exceptions.ReadTimeoutError)
# A server that rejects the client certificate of TLS 1.3 says so after the handshake, perhaps too late to be read.
CLOSED_HINT = " after the handshake; perhaps it does not accept the client certificate, or asks for one"
# What to do about a certificate that OpenSSL rejects.
CERTIFICATE_HINTS = {
    "unable to get local issuer certificate": "; certificate-authority in the kubeconfig is not the CA of the server",
    "self-signed certificate": "; it is not the certificate-authority in the kubeconfig",
    "self-signed certificate in certificate chain": "; certificate-authority in the kubeconfig is not the CA of the server",
    "certificate has expired": "; renew the certificate of the server",
    "certificate is not yet valid": "; is the clock of this machine right?",
}


def of(error: BaseException) -> str:
    """Return why a connection failed, such as "TLS: certificate has expired" or "unreachable: connection refused"."""
    tls = _tls(error)
    return f"TLS: {tls}" if tls else f"unreachable: {_network(error)}"


def _network(error: BaseException) -> str:
    causes = list(_causes(error))
    if isinstance(causes[-1], socket.gaierror):
        reason = "its host name is not known"
    elif any(isinstance(each, TIMEOUTS) for each in causes):
        reason = "no answer in time"
    elif isinstance(causes[-1], http.client.RemoteDisconnected):
        reason = "the connection was closed without an answer"
    else:
        last = causes[-1]
        reason = (last.strerror or first_line(last)) if isinstance(last, OSError) else first_line(last)
    # A proxy that is reached, and refuses, says why itself.
    to_proxy = isinstance(error, urllib3.exceptions.ProxyError) and "unnel connection failed" not in reason
    reason = reason[:1].lower() + reason[1:]
    return f"the proxy: {reason}" if to_proxy else reason


def _tls(error: BaseException) -> str:
    for each in _causes(error):
        if isinstance(each, ssl.SSLCertVerificationError):
            said = each.verify_message or "the certificate is not valid"
            return said + CERTIFICATE_HINTS.get(said, "")
        if isinstance(each, ssl.SSLEOFError):
            in_handshake = each.reason == "UNEXPECTED_EOF_WHILE_READING"
            return "the server closed the connection" + ("" if in_handshake else CLOSED_HINT)
        if isinstance(each, ssl.SSLError):
            said = (each.reason or first_line(each)).lower().replace("_", " ")
            return _alert(said) if ALERT in said else NO_TLS if said in NO_TLS_REASONS else said
    return ""


def _alert(said: str) -> str:
    """Return what an alert of the server means, such as "sslv3 alert certificate expired"."""
    what = said.partition(ALERT)[2]
    about_us = "certificate" in what or what == "unknown ca"
    return f"the server {'does not accept the client certificate' if about_us else 'refuses the connection'}: {what}"


def _causes(error: BaseException | None) -> Generator[BaseException]:
    """Yield an exception and those that caused it, the first cause last."""
    while error is not None:
        yield error
        reason: object = getattr(error, "reason", None)
        inner = next((each for each in (*error.args, reason) if isinstance(each, BaseException)), None)
        error = error.__cause__ or inner


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or the name of its type if the message is empty."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
