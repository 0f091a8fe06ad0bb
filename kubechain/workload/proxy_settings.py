"""The configuration of kube-proxy, as far as it can be read, and how it lets IPVS choose Pods.

https://kubernetes.io/docs/reference/config-api/kube-proxy-config.v1alpha1/
"""

from __future__ import annotations

from typing import cast

import yaml

from kubechain.core.errors import HarnessError
from kubechain.kube.client import Api
from kubechain.kube.objects import Json, KubeObject

# ConfigMaps in kube-system -> the key of the configuration: of kubeadm, and of EKS.
CONFIGURATIONS = {"kube-proxy": "config.conf", "kube-proxy-config": "config"}
# Schedulers of IPVS by which many requests of one client come to every Pod: in turn, by the fewest connections, and by chance.
# The others lead a client, or all clients, to one Pod.
# https://kubernetes.io/docs/reference/networking/virtual-ips/#proxy-mode-ipvs
SPREADING = ("rr", "wrr", "lc", "wlc", "twos")


def read(api: Api) -> KubeObject:
    """Return the configuration of kube-proxy; an object without fields where none can be read."""
    for name, key in CONFIGURATIONS.items():
        try:
            found = api.get("ConfigMap", "kube-system", name)
            config = yaml.safe_load(found.at("data", {}).get(key, "")) if found else None
        except (HarnessError, yaml.YAMLError):
            continue
        if isinstance(config, dict):
            return KubeObject(cast("Json", config))
    return KubeObject({})


def sticking(config: KubeObject) -> str:
    """Return the scheduler by which IPVS leads all requests of a client to one Pod, "" if it does not."""
    scheduler = str(config.at("ipvs.scheduler") or "rr") if config.at("mode") == "ipvs" else "rr"
    return "" if scheduler in SPREADING else scheduler
