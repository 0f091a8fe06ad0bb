"""The configuration of CoreDNS and kube-proxy, which an upgrade must keep: what kubeadm adds or migrates is no loss."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from kubechain.conditions.condition import Condition, Result, expect, undecided, unmet
from kubechain.conditions.text import field, some, text
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


def kept(name: str, before: Mapping[str, str]) -> Condition[Mapping[str, str]]:
    """The configuration of that name is kept; the state is what `read` returns; HarnessError if there was none before."""
    compare = lines_lost if name == "CoreDNS" else values_lost
    what = f"the configuration of {name} as before the upgrade"

    def check(after: Mapping[str, str]) -> Result:
        if name not in before:
            raise undecided(what, "its configuration from before is not known")
        if name not in after:
            return unmet("none")
        lost = compare(before[name], after[name])
        return expect(not lost, some(lost, "; "))

    return Condition(what, check)


def lines_lost(before: str, after: str) -> list[str]:
    """Say which lines of a Corefile are not there any more, wherever they were."""
    now = {" ".join(line.split()) for line in after.splitlines()}
    return [f"no line {line}" for each in before.splitlines() if (line := " ".join(each.split())) and line not in now]


def values_lost(before: str, after: str) -> list[str]:
    """Say which values of a YAML document are others than before; those that were unset or are new do not count."""
    return _changed("", yaml.safe_load(before), yaml.safe_load(after))


def _changed(path: str, before: Any, after: Any) -> list[str]:
    if isinstance(before, dict) and isinstance(after, dict):
        pairs: list[tuple[str, Any]] = list(before.items())  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]  # YAML
        return [line for key, value in pairs for line in _changed(f"{path}.{key}", value, after.get(key))]  # pyright: ignore[reportUnknownMemberType]
    # An empty value stands for the default, which the new version may write out.
    unset = before in (None, "", "0s", 0, False, [], {})
    if unset or before == after:
        return []
    return [f"{field(path.lstrip('.') or 'document', after)} (before: {text(before)})"]  # pyright: ignore[reportUnknownArgumentType]  # YAML
