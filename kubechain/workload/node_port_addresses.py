"""The addresses of Nodes at which kube-proxy serves nodePorts, as far as its configuration can be read.

https://kubernetes.io/docs/concepts/services-networking/service/#service-nodeport-custom-listen-address
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import cast

import yaml

from kubechain.core.errors import HarnessError
from kubechain.kube.client import Api
from kubechain.kube.families import family_of
from kubechain.kube.objects import Json, KubeObject

# ConfigMaps in kube-system -> the key of the configuration: of kubeadm, and of EKS.
CONFIGURATIONS = {"kube-proxy": "config.conf", "kube-proxy-config": "config"}
# The first address of a Node, which is asked in any case.
PRIMARY = "primary"


def configured(api: Api) -> tuple[str, ...]:
    """Return the ranges in nodePortAddresses; () where every address serves, or where no configuration can be read."""
    for name, key in CONFIGURATIONS.items():
        try:
            found = api.get("ConfigMap", "kube-system", name)
            config = yaml.safe_load(found.at("data", {}).get(key, "")) if found else None
        except (HarnessError, yaml.YAMLError):
            continue
        if isinstance(config, dict):
            ranges: list[str] = KubeObject(cast("Json", config)).at("nodePortAddresses", []) or []
            return tuple(each for each in ranges if each != PRIMARY)
    return ()


def serves_at(address: str, ranges: Iterable[str]) -> bool:
    """Whether kube-proxy serves at an address: all of a family do of which there is no range."""
    networks = [
        ipaddress.ip_network(each, strict=False) for each in ranges if family_of(each.partition("/")[0]) == family_of(address)
    ]
    return not networks or any(ipaddress.ip_address(address) in network for network in networks)
