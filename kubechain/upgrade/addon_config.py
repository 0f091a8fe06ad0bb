"""The configuration of CoreDNS and kube-proxy, which an upgrade must keep; additions and migrations by kubeadm are allowed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import yaml

from kubechain.conditions.condition import Condition, Result, expect, undecided, unmet
from kubechain.conditions.text import field, some, text
from kubechain.core import redact
from kubechain.kube.client import Api
from kubechain.kube.errors import ApiRefused

# Name -> ConfigMap in kube-system and its key; a cluster that kubeadm did not create may have neither.
SOURCES = {"CoreDNS": ("coredns", "Corefile"), "kube-proxy": ("kube-proxy", "config.conf")}
# A property of a plugin that is named like a secret, such as `credentials USER PASSWORD` of etcd or `aws_access_key ID KEY`.
PROPERTY = re.compile(rf"^([ \t]*[\w-]*(?:{redact.NAMES})[ \t]+)(?!\{{)\S[^\n]*", re.IGNORECASE | re.MULTILINE)


def read(api: Api) -> dict[str, str]:
    """Return name -> configuration for each of SOURCES that the cluster has and the user may read, without plugins' secrets.

    Before and after the upgrade it is redacted alike, so that the comparison does not see a change of a secret alone.
    """
    configuration: dict[str, str] = {}
    for name, (config_map, key) in SOURCES.items():
        try:
            resource = api.get("ConfigMap", "kube-system", config_map)
        except ApiRefused as refused:
            if refused.status != HTTPStatus.FORBIDDEN:
                raise
            continue
        if resource and key in resource.at("data", {}):
            configuration[name] = _without_secrets(resource.at("data")[key])
    return configuration


def _without_secrets(plain: str) -> str:
    return redact.text(PROPERTY.sub(rf"\1{redact.MARK}", plain))


def kept(name: str, before: Mapping[str, str]) -> Condition[Mapping[str, str]]:
    """The configuration of that name is kept; the state is what `read` returns; HarnessError if there was none before."""
    compare = lines_lost if name == "CoreDNS" else values_lost
    what = f"the configuration of {name} as before"

    def check(after: Mapping[str, str]) -> Result:
        if name not in before:
            raise undecided(what, "its configuration from before is not known")
        if name not in after:
            return unmet("none")
        lost = compare(before[name], after[name])
        return expect(not lost, some(lost, "; "))

    return Condition(what, check)


def lines_lost(before: str, after: str) -> list[str]:
    """Return the lines of a Corefile that are missing after the upgrade, regardless of their order."""
    # A line of one server block does not stand for the same line of another.
    old, now = (Counter(" ".join(raw.split()) for raw in text.splitlines()) for text in (before, after))
    return [f"no line {line}" if not now[line] else f"fewer lines {line}" for line in old - now if line.strip("}")]


def values_lost(before: str, after: str) -> list[str]:
    """Return the values of a YAML document that changed; values that were unset before or are new do not count."""
    return _changed("", yaml.safe_load(before), yaml.safe_load(after))


def _changed(path: str, before: Any, after: Any) -> list[str]:
    if isinstance(before, dict) and isinstance(after, dict):
        pairs: list[tuple[str, Any]] = list(before.items())  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]  # YAML
        return [line for key, value in pairs for line in _changed(f"{path}.{key}", value, after.get(key))]  # pyright: ignore[reportUnknownMemberType]
    # An empty value means the default, which the new version may write explicitly.
    unset = before in (None, "", "0s", 0, False, [], {})
    if unset or before == after:
        return []
    return [f"{field(path.lstrip('.') or 'document', after)} (before: {text(before)})"]  # pyright: ignore[reportUnknownArgumentType]  # YAML
