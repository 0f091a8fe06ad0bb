"""Ways to an API server: credential plugins."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping

from kubechain.core.errors import ExitCode
from tests.hostile.access_handshakes import demanding
from tests.hostile.access_scene import PLUGIN, TOKEN, Scene, printing
from tests.hostile.access_way import Way, closed

KUBECONFIG, RIGHTS = ExitCode.KUBECONFIG, ExitCode.RIGHTS
GOOD = f"{{'token': {TOKEN!r}}}"
BETA, ALPHA = (f"client.authentication.k8s.io/{version}" for version in ("v1beta1", "v1alpha1"))
WORD = "plugin-word-x7"


def renewing_plugin(scene: Scene) -> None:
    """Each token of the plugin is accepted ten times."""
    served: dict[str, int] = {}

    def accepts(headers: Mapping[str, str]) -> bool:
        token = headers.get("authorization", "")
        served[token] = served.get(token, 0) + 1
        return token.startswith(f"Bearer {TOKEN}-") and served[token] <= 30

    scene.accepts = accepts
    scene.access(scene.plugin(printing(f"{{'token': '{TOKEN}-%d' % time.time_ns()}}")))


def failing_later(scene: Scene) -> None:
    """The server rejects the token once the run has made a Deployment, and the plugin has failed since."""

    def accepts(headers: Mapping[str, str]) -> bool:
        begun = scene.cluster and scene.cluster.store.all("Deployment")
        return headers.get("authorization") == f"Bearer {TOKEN}" and not begun

    scene.accepts = accepts
    once = f"if os.path.getsize({str(scene.folder / 'runs')!r}) > 1: sys.exit('session of {WORD} has expired')\n"
    scene.access(scene.plugin(once + printing(GOOD)))


def beside_token(scene: Scene) -> None:
    scene.access({"token": TOKEN, **scene.plugin("sys.exit('the plugin has run')")})


def both(scene: Scene) -> None:
    """The plugin gives a token and a certificate, and the server demands both."""
    pair = scene.keys.client
    files = f"'clientCertificateData': open({str(pair.certificate)!r}).read(), 'clientKeyData': open({str(pair.key)!r}).read()"
    scene.use(scene.content(scene.serve(demanding(scene)), scene.plugin(printing(f"{{'token': {TOKEN!r}, {files}}}"))))


def config(scene: Scene) -> None:
    """The cluster has an extension for its plugins."""
    audience = "json.loads(os.environ['KUBERNETES_EXEC_INFO'])['spec']['cluster']['config']['audience']"
    user = scene.plugin(printing(f"{{'token': {TOKEN!r} if {audience} == 'me' else 'no'}}"), provideClusterInfo=True)
    extensions = [{"name": "client.authentication.k8s.io/exec", "extension": {"audience": "me"}}]
    scene.access(user, certificate_authority=str(scene.keys.ca.certificate), extensions=extensions)


def plugin(scene: Scene, body: str = "", **more: object) -> None:
    scene.access(scene.plugin(body or printing(GOOD), **more))


def failing(scene: Scene) -> None:
    plugin(scene, f"sys.exit('session of {WORD} has expired, log in again; token=s3cr3t-{TOKEN}')")


def expired_output(scene: Scene) -> None:
    plugin(scene, printing(f"{{'token': {TOKEN!r}, 'expirationTimestamp': '2020-01-01T00:00:00Z'}}"))


def info(scene: Scene) -> None:
    server = "json.loads(os.environ['KUBERNETES_EXEC_INFO'])['spec']['cluster']['server'][:8]"
    plugin(scene, printing(f"{{'token': {TOKEN!r} if {server} == 'https://' else 'no'}}"), provideClusterInfo=True)


def no_info(scene: Scene) -> None:
    cluster = "json.loads(os.environ['KUBERNETES_EXEC_INFO'])['spec'].get('cluster')"
    plugin(scene, printing(f"{{'token': 'no' if {cluster} else {TOKEN!r}}}"))


def variables(scene: Scene) -> None:
    plugin(scene, printing(f"{{'token': os.environ['WORD'] + {TOKEN[4:]!r}}}"), env=[{"name": "WORD", "value": TOKEN[:4]}])


def certificate_of_plugin(scene: Scene) -> None:
    pair = scene.keys.client
    status = (
        f"{{'clientCertificateData': open({str(pair.certificate)!r}).read(), 'clientKeyData': open({str(pair.key)!r}).read()}}"
    )
    scene.accepts = lambda _: True
    scene.use(scene.content(scene.serve(demanding(scene)), scene.plugin(printing(status))))


def installed(scene: Scene) -> None:
    """Install the plugin kube-login in the folder "programs"."""
    said = json.dumps({"apiVersion": PLUGIN, "kind": "ExecCredential", "status": {"token": TOKEN}})
    scene.file("programs/kube-login", f"#!/bin/sh\necho '{said}'\n", 0o755)


def in_path(scene: Scene) -> None:
    installed(scene)
    scene.environment["PATH"] = f"{scene.folder / 'programs'}:{os.environ['PATH']}"
    scene.access({"exec": {"apiVersion": PLUGIN, "command": "kube-login", "interactiveMode": "IfAvailable"}})


def relative(scene: Scene) -> None:
    installed(scene)
    scene.access({"exec": {"apiVersion": PLUGIN, "command": "./programs/kube-login", "interactiveMode": "Never"}})


def missing(scene: Scene) -> None:
    hint = f"Install kube-login from {WORD}."
    scene.access({"exec": {"apiVersion": PLUGIN, "command": "kube-login-x", "interactiveMode": "Never", "installHint": hint}})


def not_executable(scene: Scene) -> None:
    command = scene.file("kube-login", "#!/bin/sh\n", 0o644)
    scene.access({"exec": {"apiVersion": PLUGIN, "command": str(command), "interactiveMode": "Never"}})


def hanging(scene: Scene) -> None:
    """The plugin and a child of it never end."""
    plugin(
        scene,
        f"import subprocess\nsubprocess.run([sys.executable, '-c', 'import time; time.sleep(900)', {str(scene.folder)!r}])\n",
    )


WAYS = (
    Way("plugin-renewed", "The server rejects the plugin's token after a while.", renewing_plugin, whole=True),
    closed(
        "plugin-failing-later",
        "The server rejects the plugin's token after a while, and the plugin fails then.",
        failing_later,
        ExitCode.HARNESS,
        f"no verdict.*session of {WORD} has expired",
        kubectl=True,
        whole=True,
        leaves=True,
    ),
    Way("plugin", "A plugin gives the token.", plugin),
    Way("plugin-beside-token", "A token stands beside the plugin, which is not run.", beside_token),
    Way("plugin-token-and-certificate", "The plugin gives a token and a client certificate.", both),
    Way("plugin-config", "The cluster has an extension for the plugin (provideClusterInfo).", config),
    Way(
        "plugin-beta",
        "A plugin of v1beta1, without interactiveMode.",
        lambda s: plugin(s, printing(GOOD, BETA), apiVersion=BETA, interactiveMode=None),
    ),
    closed(
        "plugin-alpha",
        "A plugin of v1alpha1, which no Kubernetes supports any more.",
        lambda s: plugin(s, printing(GOOD, ALPHA), apiVersion=ALPHA),
        KUBECONFIG,
        "v1alpha1",
    ),
    closed(
        "plugin-other-version",
        "The plugin prints another version than asked for.",
        lambda s: plugin(s, printing(GOOD, BETA)),
        KUBECONFIG,
        "v1beta1, expected",
    ),
    closed(
        "plugin-without-version", "The plugin has no apiVersion.", lambda s: plugin(s, apiVersion=None), KUBECONFIG, "apiVersion"
    ),
    closed(
        "plugin-without-mode",
        "A plugin of v1 without interactiveMode.",
        lambda s: plugin(s, interactiveMode=None),
        KUBECONFIG,
        "interactiveMode",
    ),
    closed(
        "plugin-other-mode",
        "interactiveMode is another word.",
        lambda s: plugin(s, interactiveMode="never"),
        KUBECONFIG,
        "interactiveMode never; kubectl knows Never, IfAvailable, Always",
    ),
    Way(
        "plugin-if-available",
        "interactiveMode IfAvailable without a terminal.",
        lambda s: plugin(s, interactiveMode="IfAvailable"),
    ),
    closed(
        "plugin-always",
        "interactiveMode Always without a terminal.",
        lambda s: plugin(s, interactiveMode="Always"),
        KUBECONFIG,
        "interactiveMode Always",
    ),
    closed(
        "plugin-missing",
        "The plugin is not installed; it has an installHint.",
        missing,
        KUBECONFIG,
        f"kube-login-x: No such file.*{WORD}",
    ),
    closed("plugin-not-executable", "The plugin may not be executed.", not_executable, KUBECONFIG, "Permission denied"),
    closed(
        "plugin-failing",
        "The plugin fails; its words hold a secret.",
        failing,
        KUBECONFIG,
        f"exit status 1: session of {WORD} has expired",
        whole=True,
        short=True,
    ),
    closed("plugin-silent", "The plugin prints nothing.", lambda s: plugin(s, "pass"), KUBECONFIG, "printed no ExecCredential"),
    closed(
        "plugin-junk",
        "The plugin prints a page of HTML.",
        lambda s: plugin(s, "print('<html>')"),
        KUBECONFIG,
        "printed no ExecCredential",
    ),
    closed(
        "plugin-flood",
        "The plugin prints 30 MB.",
        lambda s: plugin(s, "print('x' * 30_000_000)"),
        KUBECONFIG,
        "printed no ExecCredential",
    ),
    closed(
        "plugin-without-token",
        "The plugin prints an empty status.",
        lambda s: plugin(s, printing("{}")),
        KUBECONFIG,
        "neither a token",
    ),
    closed(
        "plugin-half-pair",
        "The plugin prints a certificate without its key.",
        lambda s: plugin(s, printing("{'clientCertificateData': 'x'}")),
        KUBECONFIG,
        "neither a token|key",
    ),
    closed(
        "plugin-junk-pair",
        "The plugin prints a certificate that is none.",
        lambda s: plugin(s, printing("{'clientCertificateData': 'x', 'clientKeyData': 'y'}")),
        KUBECONFIG,
        "credential plugin|client-certificate",
    ),
    closed(
        "plugin-token-lines",
        "The plugin's token has several lines.",
        lambda s: plugin(s, printing("{'token': 'a\\nb'}")),
        KUBECONFIG,
        "no token",
    ),
    closed(
        "plugin-no-time",
        "The plugin's expirationTimestamp is no time.",
        lambda s: plugin(s, printing("{'token': 't', 'expirationTimestamp': 'soon'}")),
        KUBECONFIG,
        "expirationTimestamp",
    ),
    Way("plugin-expired", "The plugin prints credentials that have expired, which the server accepts.", expired_output),
    Way(
        "plugin-nanoseconds",
        "expirationTimestamp has nanoseconds.",
        lambda s: plugin(s, printing(f"{{'token': {TOKEN!r}, 'expirationTimestamp': '2099-01-01T00:00:00.123456789Z'}}")),
    ),
    Way("plugin-cluster-info", "provideClusterInfo: the plugin reads the cluster.", info),
    Way("plugin-no-cluster-info", "Without provideClusterInfo the plugin reads no cluster.", no_info),
    Way("plugin-environment", "The plugin has a variable of the kubeconfig.", variables),
    Way("plugin-certificate", "The plugin gives a client certificate.", certificate_of_plugin, whole=True),
    Way("plugin-in-path", "The plugin is found by PATH.", in_path),
    Way("plugin-relative", "The plugin's command is relative to the kubeconfig.", relative),
    closed("plugin-hanging", "The plugin and its child never end.", hanging, KUBECONFIG, "took more than 60 s"),
    closed(
        "plugin-and-provider",
        "The user has a plugin and an auth-provider.",
        lambda s: s.access({**s.plugin(printing(GOOD)), "auth-provider": {"name": "oidc"}}),
        KUBECONFIG,
        "exec and auth-provider",
    ),
)
