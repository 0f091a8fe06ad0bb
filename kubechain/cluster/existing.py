"""An existing cluster: connected by the name of its context, its rights checked first, its identity checked again later."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml

from kubechain.core.errors import ExitCode, HarnessError, SetupError
from kubechain.kube.client import Api
from kubechain.kube.creation import CHANGE_SECONDS, persistently
from kubechain.kube.decoding import as_json
from kubechain.kube.errors import ApiRefused
from kubechain.kube.objects import KubeObject

SYSTEM = "kube-system"
REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
# The rights that the suite needs: (API group, resource, verbs), checked for all namespaces.
RIGHTS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("", "namespaces", ("create", "get", "list", "delete")),
    ("", "nodes", ("list",)),
    ("", "pods", ("create", "get", "list", "watch", "patch", "delete")),
    ("", "pods/exec", ("get", "create")),
    ("", "pods/eviction", ("create",)),
    ("", "pods/portforward", ("get", "create")),
    ("", "pods/log", ("get",)),
    ("", "pods/proxy", ("get",)),
    ("", "services", ("create", "get", "list", "watch", "patch", "delete")),
    ("", "services/proxy", ("get",)),
    ("", "endpoints", ("list", "watch")),
    ("", "events", ("list", "watch")),
    ("", "configmaps", ("create", "get")),
    ("", "secrets", ("create",)),
    ("", "serviceaccounts", ("create", "get")),
    ("apps", "deployments", ("create", "get", "list", "watch", "patch", "delete")),
    ("apps", "deployments/scale", ("get", "patch")),
    ("apps", "replicasets", ("list", "watch")),
    ("discovery.k8s.io", "endpointslices", ("create", "list", "watch", "delete")),
    ("policy", "poddisruptionbudgets", ("create", "get", "delete")),
)


def connect(kubeconfig: Path, context: str, secrets: Path) -> Api:
    """Return the API behind a context of a kubeconfig file, whose keys go to the folder `secrets`.

    Raises:
        SetupError: there is no such file, or it is no kubeconfig (exit code KUBECONFIG), or no such context (USAGE).

    """
    require_context(kubeconfig, context)
    try:
        return Api(kubeconfig, context, secrets, patience=CHANGE_SECONDS)
    except SetupError:
        raise
    except Exception as error:  # the library raises many types for YAML that is not a kubeconfig
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SetupError(f"{kubeconfig}: context {context} cannot be used: {why}", ExitCode.KUBECONFIG) from error


def kubeconfig_path(given: str) -> Path:
    """Return the kubeconfig file that was named, else that of $KUBECONFIG, else the user's own.

    Raises:
        SetupError: $KUBECONFIG is a list of files (exit code USAGE).

    """
    inherited = os.environ.get("KUBECONFIG", "")
    if not given and os.pathsep in inherited:
        raise SetupError(f"KUBECONFIG={inherited}: a list of files is not supported; name one with --kubeconfig", ExitCode.USAGE)
    return Path(given or inherited or "~/.kube/config").expanduser()


def require_context(kubeconfig: Path, context: str) -> None:
    """Raise a SetupError (exit code USAGE) unless a kubeconfig file has a context of that name."""
    names = contexts(kubeconfig)
    if context not in names:
        known = ", ".join(names) or "none"
        raise SetupError(f"--context={context}: not in {kubeconfig}, whose contexts are {known}", ExitCode.USAGE)


def contexts(kubeconfig: Path) -> list[str]:
    """Return the names of the contexts in a kubeconfig file; SetupError (exit code KUBECONFIG) if it cannot be read."""
    try:
        text = kubeconfig.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not text"
        raise SetupError(f"KUBECONFIG={kubeconfig}: {why}", ExitCode.KUBECONFIG) from error
    if not text.strip():
        raise SetupError(f"KUBECONFIG={kubeconfig}: the file is empty", ExitCode.KUBECONFIG)
    try:
        content: Any = yaml.safe_load(text)
        return [str(entry["name"]) for entry in content["contexts"]]
    except (yaml.YAMLError, ValueError, TypeError, KeyError) as error:
        raise SetupError(f"KUBECONFIG={kubeconfig}: not a kubeconfig", ExitCode.KUBECONFIG) from error


def identity(api: Api) -> str:
    """Return the UID of the namespace kube-system, which identifies the cluster.

    Raises:
        SetupError: the API server cannot be reached (UNREACHABLE), refuses the request (RIGHTS), or has no namespace
            kube-system (CLUSTER).

    """
    try:
        namespace = api.get("Namespace", "", SYSTEM)
    except HarnessError as error:
        raise SetupError(f"{api.server}: {error}", error.code) from error
    if namespace is None:
        raise SetupError(f"{api.server} has no namespace {SYSTEM}; is it a Kubernetes cluster?", ExitCode.CLUSTER)
    return namespace.uid


def verify(api: Api, server: str, uid: str) -> None:
    """Raise a HarnessError unless the API server and its kube-system UID are those of the beginning of the run."""
    now = identity(api)
    if (api.server, now) != (server, uid):
        before, after = f"{server} (kube-system UID {uid})", f"{api.server} (kube-system UID {now})"
        raise HarnessError(f"the cluster changed during the run: the context led to {before} and leads to {after}")


def preflight(api: Api) -> None:
    """Check every right that the suite needs by a SelfSubjectAccessReview, which changes nothing on the cluster.

    Raises:
        SetupError: rights are missing (exit code RIGHTS); the message lists all of them.

    """
    missing = missing_rights(api)
    if missing:
        raise SetupError(f"the user of context {api.context} lacks the rights to {', '.join(missing)}", ExitCode.RIGHTS)


def missing_rights(api: Api) -> list[str]:
    """Return each right that the suite needs and that is not granted, such as "create pods"."""
    return [
        f"{verb} {resource}" for group, resource, verbs in RIGHTS for verb in verbs if not _allowed(api, group, resource, verb)
    ]


def _allowed(api: Api, group: str, resource: str, verb: str) -> bool:
    name, _, sub = resource.partition("/")
    attributes = {"group": group, "resource": name, "subresource": sub, "verb": verb}
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    try:
        # A review is stored nowhere: it can be asked for again.
        text = persistently(lambda: api.call("POST", REVIEWS, body=body), CHANGE_SECONDS)
        review = as_json(text, "access review")
    except ApiRefused as refused:
        what = f"the user of context {api.context} lacks the right to check its rights: {refused.detail}"
        raise SetupError(what, ExitCode.RIGHTS) from refused
    return bool(KubeObject(review).at("status.allowed", default=False))


def server_version(api: Api) -> str:
    """Return the API server's version, such as "v1.37.2"."""
    version = as_json(api.call("GET", "/version"), "/version").get("gitVersion")
    if not isinstance(version, str):
        raise SetupError(f"{api.server}: /version has no gitVersion; is it a Kubernetes cluster?", ExitCode.CLUSTER)
    return version
