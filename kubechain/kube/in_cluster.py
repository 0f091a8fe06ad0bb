"""The ServiceAccount of the Pod in which the command runs, as a kubeconfig.

https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from kubechain.core.errors import ExitCode, SetupError
from kubechain.kube import kubeconfig_files
from kubechain.kube.kubeconfig import alone

# The name of the context that it has; one of this name in a kubeconfig comes first.
CONTEXT = "in-cluster"
FOLDER = Path("/var/run/secrets/kubernetes.io/serviceaccount")
HOST, PORT = "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"


def is_meant(files: Sequence[Path], context: str) -> bool:
    """Whether a context is that of the Pod: it has its name, and no kubeconfig has such a context.

    Raises:
        SetupError: it is, and there is no ServiceAccount; or a file cannot be read (exit code KUBECONFIG).

    """
    # Not Path.exists, which raises in a folder that may not be entered.
    there = [path for path in files if os.path.exists(path)]  # noqa: PTH110
    if context != CONTEXT or (there and context in kubeconfig_files.load(there).sections["contexts"]):
        return False
    lacking = _lacking()
    if lacking and not there:
        raise SetupError(
            f"--context={CONTEXT}: there is no kubeconfig, and no Pod with a ServiceAccount: {lacking}", ExitCode.KUBECONFIG
        )
    return not lacking


def hint() -> str:
    """Return what may be done without a kubeconfig in a Pod that has a ServiceAccount; "" elsewhere."""
    return "" if _lacking() else f"; --context={CONTEXT} uses the ServiceAccount of this Pod"


def kubeconfig(folder: Path) -> Path:
    """Write a kubeconfig with the context CONTEXT into a folder; return its path. Its token is read from the Pod's file."""
    host, port, authority = os.environ[HOST], os.environ[PORT], FOLDER / "ca.crt"
    cluster = {"server": f"https://{f'[{host}]' if ':' in host else host}:{port}"}
    cluster |= {"certificate-authority": str(authority)} if authority.is_file() else {}
    return alone(CONTEXT, cluster, {"tokenFile": str(FOLDER / "token")}, folder)


def _lacking() -> str:
    missing = [f"{name} is not set" for name in (HOST, PORT) if not os.environ.get(name)]
    token = FOLDER / "token"
    return "; ".join([*missing, *([] if token.is_file() else [f"{token} does not exist"])])
