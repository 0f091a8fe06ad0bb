"""Ways to an API server: certificates of the server."""

from __future__ import annotations

from kubechain.core.errors import ExitCode
from tests.certificates import NO_KEY_IDENTIFIERS, Pair, authority, openssl, signed
from tests.hostile.access_scene import Scene, data
from tests.hostile.access_way import Way, closed

UNREACHABLE, KUBECONFIG = ExitCode.UNREACHABLE, ExitCode.KUBECONFIG


def leaf(scene: Scene, days: int = 2, alternative: str = "IP:127.0.0.1") -> None:
    scene.use(scene.content(scene.serve(signed(scene.folder, scene.keys.ca, "leaf", days=days, alternative=alternative))))


def early(scene: Scene) -> None:
    scene.use(scene.content(scene.serve(scene.keys.early)))


def unknown(scene: Scene) -> None:
    scene.access(certificate_authority=str(scene.keys.stranger.certificate))


def no_ca(scene: Scene) -> None:
    scene.access(certificate_authority="")


def self_signed(scene: Scene, *, trusted: bool) -> None:
    made = Pair(scene.folder / "self.crt", scene.folder / "self.key")
    options = (
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=self",
        "-addext",
        "subjectAltName=IP:127.0.0.1",
    )
    openssl("req", *options, "-keyout", made.key, "-out", made.certificate)
    trust = made if trusted else scene.keys.ca
    scene.use(scene.content(scene.serve(made), certificate_authority=str(trust.certificate)))


def no_identifiers(scene: Scene) -> None:
    old = authority(scene.folder, "old", identifiers=False)
    made = signed(scene.folder, old, "leaf", rest=NO_KEY_IDENTIFIERS)
    scene.use(scene.content(scene.serve(made), certificate_authority=str(old.certificate)))


def bundle(scene: Scene) -> None:
    both = scene.keys.stranger.certificate.read_bytes() + b"\n# the second\n" + scene.keys.ca.certificate.read_bytes()
    scene.access(certificate_authority_data=data(scene.file("bundle", both)))


def both_forms(scene: Scene) -> None:
    scene.access(certificate_authority="none", certificate_authority_data=data(scene.keys.ca.certificate))


def named(scene: Scene, name: str) -> None:
    pair = signed(scene.folder, scene.keys.ca, "leaf", alternative="DNS:kubernetes")
    ca = str(scene.keys.ca.certificate)
    scene.use(scene.content(scene.serve(pair), certificate_authority=ca, tls_server_name=name))


def insecure(scene: Scene) -> None:
    pair = signed(scene.folder, scene.keys.stranger, "leaf", days=-1, alternative="DNS:elsewhere")
    scene.use(scene.content(scene.serve(pair), insecure_skip_tls_verify=True))


def insecure_with_ca(scene: Scene) -> None:
    scene.access(insecure_skip_tls_verify=True, certificate_authority=str(scene.keys.ca.certificate))


def ca_missing(scene: Scene) -> None:
    scene.access(certificate_authority=str(scene.folder / "none.crt"))


def ca_words(scene: Scene) -> None:
    scene.access(certificate_authority=str(scene.file("words.crt", "no certificate")))


def ca_empty(scene: Scene) -> None:
    scene.access(certificate_authority=str(scene.file("empty.crt", "")))


def ca_junk(scene: Scene) -> None:
    scene.access(certificate_authority_data="!!! no base64 !!!")


def ca_other_base64(scene: Scene) -> None:
    scene.access(certificate_authority_data="bm8gY2VydGlmaWNhdGU=")


def ca_wrapped(scene: Scene) -> None:
    text = data(scene.keys.ca.certificate)
    scene.access(certificate_authority_data="\n".join(text[at : at + 64] for at in range(0, len(text), 64)) + "\n")


WAYS = (
    closed(
        "server-certificate-expired",
        "The server's certificate has expired.",
        lambda s: leaf(s, -1),
        UNREACHABLE,
        "certificate has expired",
        whole=True,
    ),
    closed(
        "server-certificate-early",
        "The server's certificate is not valid yet.",
        early,
        UNREACHABLE,
        "certificate is not yet valid",
    ),
    closed(
        "server-name-wrong",
        "The certificate is for another host name.",
        lambda s: leaf(s, alternative="DNS:other.example"),
        UNREACHABLE,
        "IP address mismatch",
    ),
    closed(
        "server-ip-missing",
        "The certificate has the name, but not the IP address, of the server.",
        lambda s: leaf(s, alternative="DNS:localhost,IP:127.0.0.2"),
        UNREACHABLE,
        "IP address mismatch",
    ),
    closed(
        "ca-unknown",
        "Another CA has signed the server's certificate.",
        unknown,
        UNREACHABLE,
        "unable to get local issuer certificate",
    ),
    closed(
        "ca-none",
        "The kubeconfig has no CA, and the system does not know the server's.",
        no_ca,
        UNREACHABLE,
        "unable to get local issuer certificate",
    ),
    closed(
        "server-self-signed",
        "The server's certificate is signed by itself.",
        lambda s: self_signed(s, trusted=False),
        UNREACHABLE,
        "self-signed certificate",
    ),
    Way(
        "server-self-signed-trusted",
        "The certificate that is signed by itself is the CA.",
        lambda s: self_signed(s, trusted=True),
    ),
    Way("ca-without-key-identifiers", "The CA and its certificate have no key identifiers.", no_identifiers, whole=True),
    Way("ca-bundle", "The CA's file has two certificates, the second is right.", bundle),
    Way(
        "ca-both-forms",
        "certificate-authority-data overrides a certificate-authority that does not exist.",
        both_forms,
        kubectl=False,
    ),
    Way("ca-wrapped", "certificate-authority-data has line breaks.", ca_wrapped),
    Way("tls-server-name-right", "tls-server-name is the name in the certificate.", lambda s: named(s, "kubernetes"), whole=True),
    closed(
        "tls-server-name-wrong",
        "tls-server-name is another name than the certificate's.",
        lambda s: named(s, "other"),
        UNREACHABLE,
        "Hostname mismatch",
    ),
    Way("insecure", "insecure-skip-tls-verify: expired, of a stranger, for another name.", insecure, whole=True),
    closed("insecure-with-ca", "insecure-skip-tls-verify beside a CA.", insecure_with_ca, KUBECONFIG, "insecure-skip-tls-verify"),
    closed("ca-missing", "The CA's file does not exist.", ca_missing, KUBECONFIG, "no such file"),
    closed("ca-words", "The CA's file holds words.", ca_words, KUBECONFIG, "certificate-authority"),
    closed("ca-empty", "The CA's file is empty.", ca_empty, KUBECONFIG, "certificate-authority"),
    closed("ca-junk", "certificate-authority-data is not base64.", ca_junk, KUBECONFIG, "is not base64"),
    closed(
        "ca-other-base64", "certificate-authority-data is base64 of words.", ca_other_base64, KUBECONFIG, "certificate-authority"
    ),
)
