"""The configuration of CoreDNS and kube-proxy, which an upgrade must keep: what kubeadm adds or migrates is no loss."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from kubechain.kube.client import Api

# Name -> ConfigMap of kube-system and the key in it; clusters that are not kubeadm's may have neither.
PLACES = {"CoreDNS": ("coredns", "Corefile"), "kube-proxy": ("kube-proxy", "config.conf")}


def read(api: Api) -> dict[str, str]:
    """Return the configuration of each of PLACES, where the cluster has it."""
    found: dict[str, str] = {}
    for name, (config_map, key) in PLACES.items():
        resource = api.get("ConfigMap", "kube-system", config_map)
        if resource and key in resource.at("data", {}):
            found[name] = resource.at("data")[key]
    return found


def lost(name: str, before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """Say what of the configuration of that name is not kept; "" if all is, or there was none."""
    if name not in before:
        return ""
    if name not in after:
        return "it is gone"
    compare = lines_lost if name == "CoreDNS" else values_lost
    return compare(before[name], after[name])


def lines_lost(before: str, after: str) -> str:
    """Say which lines of a Corefile are not there any more, wherever they were."""
    now = {" ".join(line.split()) for line in after.splitlines()}
    missing = [line for each in before.splitlines() if (line := " ".join(each.split())) and line not in now]
    return f"without {missing}" if missing else ""


def values_lost(before: str, after: str) -> str:
    """Say which values of a YAML document are others than before; those that were unset or are new do not count."""
    return "; ".join(_changed("", yaml.safe_load(before), yaml.safe_load(after)))


def _changed(path: str, before: Any, after: Any) -> list[str]:
    if isinstance(before, dict) and isinstance(after, dict):
        pairs: list[tuple[str, Any]] = list(before.items())  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]  # YAML
        return [text for key, value in pairs for text in _changed(f"{path}.{key}", value, after.get(key))]  # pyright: ignore[reportUnknownMemberType]
    # An empty value stands for the default, which the new version may write out.
    unset = before in (None, "", "0s", 0, False, [], {})
    return [] if unset or before == after else [f"{path.lstrip('.')} was {before!r}, is {after!r}"]
