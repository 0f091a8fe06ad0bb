"""How the API server is reached: TLS, what says who asks, which may be renewed meanwhile, and the proxy."""

from __future__ import annotations

import contextlib
import ssl
from pathlib import Path
from typing import Any

from . import names
from .errors import TimedOut, Unknown
from .http1 import Connection
from .proxy import Proxy
from .timeouts import until

# How often the files are read: whoever writes them renews the credentials long before they expire.
RENEW_SECONDS = 10.0


class Access:
    """The `tls` of a plan.

    `headers` and `client` are paths, "" for none: of a file with lines of the request, such as "Authorization: Bearer x",
    and of one with a client certificate and its key. Both are read again every RENEW_SECONDS. `context` are the settings of
    TLS; there are new ones when the client certificate was replaced.
    """

    def __init__(self, given: dict[str, Any], now: float) -> None:
        """Read the files; OSError or ValueError if they cannot be used."""
        self._given, self._read = given, now
        self.name: str | None = given.get("server_name") or None
        self.proxy = Proxy.parse(given["proxy"]) if given.get("proxy") else None
        self._header_file, self._client_file = (Path(given[file]) if given.get(file) else None for file in ("headers", "client"))
        self.headers = _lines(self._header_file) if self._header_file else ""
        self._client = self._client_file.read_bytes() if self._client_file else b""
        self.context = _context(given)

    def renew(self, now: float) -> None:
        """Read the files again if it is time; one that cannot be read, or used, leaves what is in use."""
        if now - self._read < RENEW_SECONDS:
            return
        self._read = now
        with contextlib.suppress(OSError, ValueError):
            self.headers = (_lines(self._header_file) if self._header_file else "") or self.headers
        with contextlib.suppress(OSError, ValueError):
            client = self._client_file.read_bytes() if self._client_file else b""
            if client != self._client:
                self.context, self._client = _context(self._given), client

    async def connect(self, host: str, port: int, moment: float, message: str) -> Connection:
        """Connect to the server, through the proxy if there is one; TimedOut with the message at a time of the loop's clock.

        Raises:
            Down, OSError: the server is not reached.
            Unknown: the proxy is not, or the resolver of this machine.

        """
        # A certificate has names without the dot at the end.
        name = self.name or host.rstrip(".")
        if not self.proxy:
            found = await names.addresses(host, port, moment)
            with until(moment, message):
                return await names.connect(found, port, ssl=self.context, server_hostname=name)
        try:
            with until(moment, "the proxy: no connection"):
                connection = await self.proxy.reach(self.context)
        except TimedOut as error:
            raise Unknown(str(error)) from None
        try:
            with until(moment, message):
                await self.proxy.connect(connection, host, port)
                await connection[1].start_tls(self.context, server_hostname=name)
        except BaseException:
            connection[1].transport.abort()
            raise
        return connection


def _lines(path: Path) -> str:
    """Return the lines of a file in the form of a request; ValueError if they are none of one."""
    lines = path.read_text(encoding="utf-8").splitlines()
    if not all(line.isascii() and ": " in line for line in lines):
        raise ValueError(f"{path}: not lines of a request")
    return "".join(f"{line}\r\n" for line in lines)


def _context(given: dict[str, Any]) -> ssl.SSLContext:
    """Return the TLS settings of all routes: the trusted CA, and the client certificate if there is one."""
    context = ssl.create_default_context(cafile=given["ca"] or None)
    # Python 3.13 rejects CAs that every Kubernetes client accepts.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if not given["verify"]:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if given.get("client"):
        context.load_cert_chain(given["client"])
    return context
