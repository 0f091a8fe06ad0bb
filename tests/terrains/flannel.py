"""A kind cluster whose Pod network is flannel (VXLAN) in the place of the project's own."""

from __future__ import annotations

import json
from pathlib import Path

from kubechain.core import settings
from kubechain.core.progress import Progress
from kubechain.images import golang, resolve
from kubechain.images.node import ROUTES
from kubechain.kube.objects import Json
from tests.terrains.make import PROGRAMS, Make

VERSION = "0.28.10"
NAME, RUN, CNI, CONFIG = "kube-flannel", "/run/flannel", "/etc/cni/net.d", "/etc/kube-flannel"
NETWORK: Json = {"Network": "10.244.0.0/16", "Backend": {"Type": "vxlan"}}
# A connection to the API server that is tried before kube-proxy works is remembered untranslated.
START = f"""until timeout 2 kubectl get --raw /readyz > /dev/null 2>&1; do sleep 0.2; done
exec {PROGRAMS}/flannel --kube-subnet-mgr --ip-masq --iface=eth0 \\
  --net-config-path={CONFIG}/net-conf.json --subnet-file={RUN}/subnet.env
"""
# flannel's own CNI plugin, which is not served as a module, does this: it writes what flanneld has found out for another plugin.
WRITE = f"""until test -s {RUN}/subnet.env; do sleep 0.2; done
. {RUN}/subnet.env
cat > {CNI}/.flannel <<CONFIG
{{"cniVersion": "0.4.0", "name": "flannel", "plugins": [
  {{"type": "ptp", "ipMasq": false, "mtu": $FLANNEL_MTU, "ipam":
    {{"type": "host-local", "ranges": [[{{"subnet": "${{FLANNEL_SUBNET%.1/24}}.0/24"}}]], "routes": [{{"dst": "0.0.0.0/0"}}]}}}},
  {{"type": "portmap", "capabilities": {{"portMappings": true}}}}]}}
CONFIG
mv {CNI}/.flannel {CNI}/10-flannel.conflist
trap 'exit 0' TERM
while :; do sleep 1; done
"""
FOLDERS = {"run": RUN, "cni": CNI, "programs": PROGRAMS}


def program() -> Path:
    """Return the folder with flanneld, which is built if the cache does not have it."""
    store = resolve.store_of(settings.load())
    # One of its backends is partly C; linked statically, it runs in any image.
    return golang.tools("flannel", VERSION, store, Progress(), linker_flags="-linkmode external -extldflags -static", cgo=True)


def container(name: str, script: str) -> Json:
    """Return a container in the image of the project's Pod network, which has a shell, kubectl and iptables."""
    sources = {"NODE_NAME": "spec.nodeName", "POD_NAME": "metadata.name", "POD_NAMESPACE": "metadata.namespace"}
    return {
        "name": name,
        "image": ROUTES,
        "imagePullPolicy": "Never",
        "command": ["sh", "-c", script],
        "env": [{"name": each, "valueFrom": {"fieldRef": {"fieldPath": path}}} for each, path in sources.items()],
        "securityContext": {"capabilities": {"add": ["NET_ADMIN", "NET_RAW"]}},
        "volumeMounts": [
            {"name": "config", "mountPath": CONFIG},
            *({"name": each, "mountPath": path} for each, path in FOLDERS.items()),
        ],
    }


def objects() -> list[Json]:
    """Return the objects of flannel, as its own manifest has them."""
    place, labels, group = {"name": NAME, "namespace": NAME}, {"app": "flannel"}, "rbac.authorization.k8s.io"
    volumes: list[Json] = [{"name": "config", "configMap": {"name": NAME}}]
    volumes += [{"name": each, "hostPath": {"path": path, "type": "DirectoryOrCreate"}} for each, path in FOLDERS.items()]
    pod = {
        "serviceAccountName": NAME,
        "hostNetwork": True,
        "priorityClassName": "system-node-critical",
        "tolerations": [{"operator": "Exists"}],
        "terminationGracePeriodSeconds": 1,
        "containers": [container("flannel", START), container("cni", WRITE)],
        "volumes": volumes,
    }
    rules = [
        {"apiGroups": [""], "resources": ["pods", "nodes"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": [""], "resources": ["nodes/status"], "verbs": ["patch"]},
    ]
    template = {"metadata": {"labels": labels}, "spec": pod}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAME}},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": place},
        {"apiVersion": f"{group}/v1", "kind": "ClusterRole", "metadata": {"name": NAME}, "rules": rules},
        {
            "apiVersion": f"{group}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": NAME},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": NAME},
            "subjects": [{"kind": "ServiceAccount", **place}],
        },
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": place, "data": {"net-conf.json": json.dumps(NETWORK)}},
        {
            "apiVersion": "apps/v1",
            "kind": "DaemonSet",
            "metadata": {**place, "labels": labels},
            "spec": {"selector": {"matchLabels": labels}, "template": template},
        },
    ]


FLANNEL = Make("flannel", "has flannel (VXLAN) for its Pod network", network=objects, programs=program)
