"""An existing cluster: connected by the name of its context, its identity checked again later."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from kubechain.conditions.text import some
from kubechain.core.errors import ExitCode, HarnessError, SetupError
from kubechain.core.near_misses import suggestion
from kubechain.kube import in_cluster, kubeconfig_files
from kubechain.kube.client import Api
from kubechain.kube.creation import CHANGE_SECONDS
from kubechain.kube.decoding import as_json
from kubechain.kube.kubeconfig import private_copy

SYSTEM = "kube-system"


def connect(kubeconfig: Path, context: str, secrets: Path) -> Api:
    """Return the API behind a context of a kubeconfig file, whose keys go to the folder `secrets`.

    Raises:
        SetupError: there is no such file, or it is no kubeconfig (exit code KUBECONFIG), or no such context (USAGE).

    """
    _require((kubeconfig,), context)
    try:
        return Api(kubeconfig, context, secrets, patience=CHANGE_SECONDS)
    except SetupError:
        raise
    except Exception as error:  # the library raises many types for YAML that is not a kubeconfig
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SetupError(f"{kubeconfig}: context {context} cannot be used: {why}", ExitCode.KUBECONFIG) from error


def kubeconfig(option: str, context: str, folder: Path) -> Path:
    """Return the kubeconfig of a context: the file, or a private copy of the context in `folder`.

    The copy is of a context that may be in several files of $KUBECONFIG, or of the ServiceAccount of the Pod.

    Raises:
        SetupError: a file cannot be read, or is no kubeconfig (exit code KUBECONFIG), or no such context (USAGE).

    """
    files = kubeconfig_files.named(option)
    if _is_of_pod(option, files, context):
        return in_cluster.kubeconfig(folder)
    _require(files, context)
    return files[0] if len(files) == 1 else private_copy(files, context, folder)


def require_context(option: str, context: str) -> None:
    """Raise a SetupError unless the kubeconfig can be read (exit code KUBECONFIG) and has the context (USAGE)."""
    files = kubeconfig_files.named(option)
    if not _is_of_pod(option, files, context):
        _require(files, context)


def _is_of_pod(option: str, files: Sequence[Path], context: str) -> bool:
    """Whether a context is the ServiceAccount of the Pod; it is not if a kubeconfig is named by an option."""
    return not option and in_cluster.is_meant(files, context)


def _require(files: Sequence[Path], context: str) -> None:
    try:
        entries = kubeconfig_files.load(files)
    except SetupError as error:
        other = "; name another with --kubeconfig or $KUBECONFIG"
        # Not Path.exists, which raises in a folder that may not be entered.
        hint = "" if any(os.path.exists(path) for path in files) else in_cluster.hint() or other  # noqa: PTH110
        raise SetupError(f"{error}{hint}", error.code) from error
    names = entries.sections["contexts"]
    if context not in names:
        what = f"--context={context}: not in {entries}, whose contexts are {some(names)}{suggestion(context, names)}"
        raise SetupError(what, ExitCode.USAGE)


def identity(api: Api, name: str = "") -> str:
    """Return the UID of the namespace kube-system, which identifies the cluster, or of the only namespace that may be used.

    Raises:
        SetupError: the API server cannot be reached (UNREACHABLE), refuses the request (RIGHTS), or has no such
            namespace (CLUSTER).

    """
    try:
        namespace = api.get("Namespace", "", name or SYSTEM)
    except HarnessError as error:
        named = api.server in str(error)
        raise SetupError(str(error) if named else f"{api.server}: {error}", error.code) from error
    if name and (namespace is None or namespace.deleting):
        state = "is being deleted" if namespace else "does not exist"
        raise SetupError(f"--namespace={name}: {state} on {api.server}; create it, or name another", ExitCode.CLUSTER)
    if namespace is None:
        raise SetupError(f"{api.server} has no namespace {SYSTEM}; is it a Kubernetes cluster?", ExitCode.CLUSTER)
    return namespace.uid


def verify(api: Api, server: str, uid: str, name: str = "") -> None:
    """Raise a HarnessError unless the API server and the UID of `identity` are those of the beginning of the run."""
    now, space = identity(api, name), name or SYSTEM
    if (api.server, now) != (server, uid):
        before, after = f"{server} ({space} UID {uid})", f"{api.server} ({space} UID {now})"
        raise HarnessError(f"the cluster changed during the run: the context led to {before} and leads to {after}")


def server_version(api: Api) -> str:
    """Return the API server's version, such as "v1.37.2"."""
    version = as_json(api.call("GET", "/version"), "/version").get("gitVersion")
    if not isinstance(version, str):
        raise SetupError(f"{api.server}: /version has no gitVersion; is it a Kubernetes cluster?", ExitCode.CLUSTER)
    return version
