"""The configuration of a new kind cluster by its IP families, the mode of kube-proxy and its control planes.

https://kind.sigs.k8s.io/docs/user/configuration/
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from kubechain.core.bundle import ROOT
from kubechain.kube.families import IPV4, IPV6

CONFIG = ROOT / "images" / "node" / "kind.yaml"
FILE, ROLE = "kind.yaml", "control-plane"
# Value of --ip-family -> the families of Pods and Services; the first is that of a Service that asks for none.
FAMILIES = {"ipv4": (IPV4,), "ipv6": (IPV6,), "dual": (IPV4, IPV6), "dual-ipv6": (IPV6, IPV4)}
DEFAULT = "ipv4"
DEFAULT_MODE = "iptables"
# The defaults of kind; their order, which kind takes for that of the families, is not its default with IPv6 first.
PODS = {IPV4: "10.244.0.0/16", IPV6: "fd00:10:244::/56"}
SERVICES = {IPV4: "10.96.0.0/16", IPV6: "fd00:10:96::/112"}


def write(folder: Path, ip_family: str, proxy_mode: str = "", planes: int = 1) -> Path:
    """Return the file with the configuration; if it is not the default, it is written into the folder.

    `planes` is the number of control planes; kind puts a load balancer before several.
    """
    networking: dict[str, str] = {}
    families = FAMILIES[ip_family or DEFAULT]
    if families != FAMILIES[DEFAULT]:
        networking = {
            "ipFamily": "dual" if len(families) > 1 else "ipv6",
            # The API server is reached from this machine alone, by an address that every machine has.
            "apiServerAddress": "127.0.0.1",
            "podSubnet": ",".join(PODS[family] for family in families),
            "serviceSubnet": ",".join(SERVICES[family] for family in families),
        }
    if proxy_mode not in ("", DEFAULT_MODE):
        networking["kubeProxyMode"] = proxy_mode
    if not networking and planes == 1:
        return CONFIG
    config: Any = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
    config["nodes"] = [{"role": ROLE}] * planes + [node for node in config["nodes"] if node["role"] != ROLE]
    if networking:
        config["networking"] = networking
    path = folder / FILE
    path.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    return path


def size(path: Path, *, replaced: bool = False) -> int:
    """Return the number of Nodes of a configuration; with `replaced`, workers count twice: their successors come first."""
    config: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    nodes = len(config["nodes"])
    return 2 * nodes - control_planes(path) if replaced else nodes


def control_planes(path: Path) -> int:
    """Return the number of control planes of a configuration."""
    config: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    return sum(node["role"] == ROLE for node in config["nodes"])


def option_of(families: tuple[str, ...]) -> str:
    """Return the value of --ip-family for these families, "" if there is none."""
    return next((name for name, each in FAMILIES.items() if each == families), "")
