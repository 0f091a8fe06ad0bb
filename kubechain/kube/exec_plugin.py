"""Credential plugins of a kubeconfig (user.exec): run with a time limit.

https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from kubechain.core import known_secrets, redact
from kubechain.core.errors import SetupError
from kubechain.core.process import Completed, run
from kubechain.kube.kubeconfig import ContextEntry
from kubechain.kube.objects import Json

PLUGIN_SECONDS = 60.0
VERSIONS = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")
MODES = ("Never", "IfAvailable", "Always")
EXTENSION = "client.authentication.k8s.io/exec"
MOST_CHARACTERS = 400


def credential(entry: ContextEntry) -> Json:
    """Run the plugin of a user and return the `status` of its ExecCredential.

    Raises:
        SetupError: it is missing, fails, takes longer than PLUGIN_SECONDS or prints no credentials (exit code KUBECONFIG);
            the message has the last lines of its stderr and its installHint.

    """
    plugin: Json = entry.user["exec"]
    command, version = str(plugin.get("command") or ""), str(plugin.get("apiVersion") or "")
    if not command or not version:
        raise entry.error(f"exec of user {entry.user_name} needs command and apiVersion")
    if version not in VERSIONS:
        known = " and ".join(VERSIONS)
        raise entry.error(
            f"the credential plugin {command} has apiVersion {version}; kubectl supports {known}: update the plugin"
        )
    mode = plugin.get("interactiveMode")
    if version == VERSIONS[0] and not mode:
        raise entry.error(f"the credential plugin {command} has no interactiveMode, which {version} needs; set it to IfAvailable")
    if mode not in (None, "", *MODES):
        raise entry.error(f"the credential plugin {command} has interactiveMode {mode}; kubectl knows {', '.join(MODES)}")
    if mode == "Always":
        raise entry.error(f"the credential plugin {command} asks questions (interactiveMode Always), and nobody can answer")
    given: list[Json] = plugin.get("env") or []
    arguments: list[Any] = plugin.get("args") or []
    variables = {str(each["name"]): str(each["value"]) for each in given}
    known_secrets.of_environment(variables)
    info = json.dumps({"apiVersion": version, "kind": "ExecCredential", "spec": _spec(entry, plugin)})
    words = [command, *map(str, arguments)]
    try:
        done = run(words, timeout=PLUGIN_SECONDS, env={**variables, "KUBERNETES_EXEC_INFO": info})
    except SetupError as error:
        raise _failed(entry, plugin, str(error)) from error
    if done.status:
        raise _failed(entry, plugin, f"exit status {done.status}: {done.last_words or 'it printed nothing'}")
    return _status(entry, plugin, version, done)


def _status(entry: ContextEntry, plugin: Json, version: str, done: Completed) -> Json:
    try:
        answer: Any = json.loads(done.stdout)
        status, given = answer["status"], answer["apiVersion"]
        has_certificate = bool(status.get("clientCertificateData") and status.get("clientKeyData"))
        usable = bool(status.get("token")) or has_certificate
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        said = f": {done.stderr.strip()}" if done.stderr.strip() else ""
        raise _failed(entry, plugin, f"it printed no ExecCredential{said}") from error
    if given != version:
        raise _failed(entry, plugin, f"it printed apiVersion {given}, expected {version}")
    if not usable:
        raise _failed(entry, plugin, "it printed neither a token nor a client certificate with its key")
    return status


def _failed(entry: ContextEntry, plugin: Json, why: str) -> SetupError:
    hint = str(plugin.get("installHint") or "")
    words = " ".join(f"{why}. {hint}".split() if hint else why.split())
    return entry.error(f"credential plugin {plugin['command']}: {redact.beginning(words, MOST_CHARACTERS)}")


def _spec(entry: ContextEntry, plugin: Json) -> Json:
    """Return the `spec` of the ExecCredential that the plugin reads; with provideClusterInfo it describes the cluster."""
    spec: Json = {"interactive": False}
    if plugin.get("provideClusterInfo"):
        cluster = entry.cluster
        fields = ("server", "tls-server-name", "insecure-skip-tls-verify", "certificate-authority-data", "proxy-url")
        spec["cluster"] = {field: cluster[field] for field in fields if field in cluster}
        if cluster.get("certificate-authority") and "certificate-authority-data" not in cluster:
            text = Path(cluster["certificate-authority"]).read_bytes()
            spec["cluster"]["certificate-authority-data"] = base64.b64encode(text).decode()
        extensions: list[Json] = cluster.get("extensions") or []
        config = next((each["extension"] for each in extensions if each.get("name") == EXTENSION), None)
        if config is not None:
            spec["cluster"]["config"] = config
    return spec
