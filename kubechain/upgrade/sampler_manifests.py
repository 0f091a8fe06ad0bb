"""The objects of the samplers in Pods: a DaemonSet, and a ConfigMap with their program."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kubechain.kube.objects import Json
from kubechain.workload import manifests
from kubechain.workload.cluster_nodes import VIRTUAL_LABELS

PACKAGE = Path(__file__).parents[1] / "sampler"
SAMPLER = "sampler"
MOUNT, HOME = "/opt/kubechain/sampler", "/samples"
# Python, and a hundred requests a second: a sampler that waits for CPU time would report it as latency.
RESOURCES: Json = {"requests": {"cpu": "50m", "memory": "48Mi"}, "limits": {"cpu": "1", "memory": "256Mi"}}
# The plan is written by exec, because it depends on the resolv.conf of the Pod.
SCRIPT = (
    f"until test -e {HOME}/plan.json; do sleep 0.2; done; "
    f"cd /opt/kubechain && exec python3 -m sampler {HOME}/plan.json {HOME}/out"
)


def daemon_set(image: str, only: Sequence[str] = ()) -> Json:
    """Return the DaemonSet of samplers, which tolerates every taint; a drain does not remove its Pods.

    `only` are the names of its Nodes in a large cluster; without names, it is on every Node that is a machine with Linux, so
    that a new Node has its sampler as soon as it runs Pods.
    """
    pod = manifests.running(manifests.client_pod(SAMPLER, image, {"app": SAMPLER}), SCRIPT)
    spec = pod["spec"]
    # One term for each Node, because a term may name one Node alone.
    terms: list[Json] = [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]} for node in only]
    machines = [{"key": key, "operator": "NotIn", "values": [value]} for key, value in VIRTUAL_LABELS]
    machines.append({"key": "kubernetes.io/os", "operator": "In", "values": ["linux"]})
    terms = terms or [{"matchExpressions": machines}]
    spec["affinity"] = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}
    spec["tolerations"] = [{"operator": "Exists"}]
    spec["volumes"] = [*spec["volumes"], {"name": "program", "configMap": {"name": SAMPLER}}, {"name": "samples", "emptyDir": {}}]
    (client,) = spec["containers"]
    mounts = [*client["volumeMounts"], {"name": "program", "mountPath": MOUNT}, {"name": "samples", "mountPath": HOME}]
    spec["containers"] = [{**client, "volumeMounts": mounts, "resources": RESOURCES}]
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": SAMPLER, "labels": {"app": SAMPLER}},
        "spec": {
            "selector": {"matchLabels": {"app": SAMPLER}},
            "template": {"metadata": {"labels": {"app": SAMPLER}}, "spec": spec},
        },
    }


def config_map() -> Json:
    """Return the ConfigMap with the files of the package kubechain.sampler."""
    files = {file.name: file.read_text(encoding="utf-8") for file in sorted(PACKAGE.glob("*.py"))}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": SAMPLER}, "data": files}
