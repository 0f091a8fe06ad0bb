"""Certificates for loopback servers, made by the openssl program."""

from __future__ import annotations

import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

NO_KEY_IDENTIFIERS = "subjectKeyIdentifier=none\nauthorityKeyIdentifier=none\n"
# Made at once; an RSA key takes up to a second.
NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def openssl(*words: str | Path) -> None:
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True, timeout=30)


@dataclass(frozen=True)
class Pair:
    """The paths of a certificate and its key."""

    certificate: Path
    key: Path

    def server_context(self) -> ssl.SSLContext:
        """Return the TLS settings of a server that shows this certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context


def authority(folder: Path, name: str = "ca", *, identifiers: bool = True) -> Pair:
    """Make a CA; without `identifiers` it has no key identifiers, as those of old clusters."""
    made = Pair(folder / f"{name}.crt", folder / f"{name}.key")
    extensions = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n"
    config = folder / f"{name}.cnf"
    rest = "subjectKeyIdentifier=hash\n" if identifiers else NO_KEY_IDENTIFIERS
    config.write_text(f"[req]\ndistinguished_name=dn\nx509_extensions=x\nprompt=no\n[dn]\nCN={name}\n[x]\n{extensions}{rest}")
    options = ("-x509", *NEW_KEY, "-days", "2", "-config", config)
    openssl("req", *options, "-keyout", made.key, "-out", made.certificate)
    return made


def signed(folder: Path, ca: Pair, name: str, *, alternative: str = "IP:127.0.0.1", days: int = 2, rest: str = "") -> Pair:
    """Make a certificate that a CA signs; -1 days: it has expired."""
    made, request, extensions = (
        Pair(folder / f"{name}.crt", folder / f"{name}.key"),
        folder / f"{name}.csr",
        folder / f"{name}.ext",
    )
    openssl("req", *NEW_KEY, "-subj", f"/CN={name}", "-keyout", made.key, "-out", request)
    extensions.write_text(f"subjectAltName={alternative}\n{rest}")
    options = ("-in", request, "-CA", ca.certificate, "-CAkey", ca.key, "-CAcreateserial", "-extfile", extensions)
    openssl("x509", "-req", *options, "-days", str(days), "-out", made.certificate)
    return made
