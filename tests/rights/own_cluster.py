"""The cluster of `make rights`: one that is there, or a kind cluster of its own whose API server has an audit log."""

from __future__ import annotations

import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from kubechain.cluster import existing
from kubechain.core.errors import ExitCode, SetupError
from tests.rights.account import Admin
from tests.terrains.clusters import ground_of
from tests.terrains.make import FILES, Make
from tests.terrains.records_clusters import arguments, cluster_configuration

LOGS = "/var/log/kubernetes"
# In MB: more than the log of all roles, so that it is never rotated away.
LOG_SIZE = "4096"
# Those of the cluster itself are left out; that of bench leaves out all ServiceAccounts, of which the roles are.
COMPONENTS = ["system:apiserver", "system:kube-scheduler", "system:kube-controller-manager"]
POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {"level": "None", "userGroups": ["system:nodes", "system:serviceaccounts:kube-system"]},
        {"level": "None", "users": COMPONENTS},
        {"level": "Metadata"},
    ],
}
AUDITED = Make(
    "audited",
    "has an audit log of what is asked by others than its components",
    kubeadm=(
        cluster_configuration(
            apiServer={
                "extraArgs": arguments(
                    audit_policy_file=f"{FILES}/audit.yaml", audit_log_path=f"{LOGS}/audit.log", audit_log_maxsize=LOG_SIZE
                ),
                "extraVolumes": [
                    {"name": "policy", "hostPath": FILES, "mountPath": FILES, "readOnly": True, "pathType": "Directory"},
                    {"name": "log", "hostPath": LOGS, "mountPath": LOGS, "pathType": "DirectoryOrCreate"},
                ],
            },
        ),
    ),
    files={"audit.yaml": POLICY},
)


@contextmanager
def admin_of(context: str, kubeconfig: str, cluster: str) -> Generator[tuple[Admin, list[str]]]:
    """Yield the user of a context, or of a new kind cluster of this name with an audit log, which is deleted after the body.

    The second value are the options for the images that are on the Nodes of the new cluster.

    Raises:
        SetupError: both are named, or none (exit code USAGE).

    """
    if bool(context) == bool(cluster):
        what = "rights: name CONTEXT, of a cluster with an audit log, or CLUSTER, for a kind cluster of its own"
        raise SetupError(what, ExitCode.USAGE)
    if cluster:
        with ground_of(AUDITED, cluster, keep=False) as ground:
            images = ["--nginx-image", ground.nginx, "--client-image", ground.client]
            yield Admin(ground.kubeconfig, ground.context), images
        return
    with tempfile.TemporaryDirectory() as keys:
        yield Admin(existing.kubeconfig(kubeconfig, context, Path(keys)), context), []
