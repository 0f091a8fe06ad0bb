"""Checks objects against the models of the Kubernetes client: unknown fields, and values of another kind."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from kubernetes import client

# apiVersion and kind -> the model.
OF_KIND = {
    "Namespace": "V1Namespace",
    "ServiceAccount": "V1ServiceAccount",
    "ConfigMap": "V1ConfigMap",
    "PersistentVolumeClaim": "V1PersistentVolumeClaim",
    "Service": "V1Service",
    "Deployment": "V1Deployment",
    "Job": "V1Job",
    "CronJob": "V1CronJob",
    "Role": "V1Role",
    "ClusterRole": "V1ClusterRole",
    "RoleBinding": "V1RoleBinding",
    "ClusterRoleBinding": "V1ClusterRoleBinding",
    "NetworkPolicy": "V1NetworkPolicy",
}
CUSTOM = ("monitoring.coreos.com/v1",)
PLAIN = {"str": str, "int": int, "bool": bool, "float": (int, float)}


def problems(body: Any) -> list[str]:
    """Return what is wrong with an object; the client knows no custom resources."""
    if body["apiVersion"] in CUSTOM:
        return []
    return list(_problems(body, OF_KIND[body["kind"]], body["kind"]))


def _problems(value: Any, model: str, at: str) -> Iterator[str]:
    if found := re.fullmatch(r"[lL]ist\[(.*)\]", model):
        if not isinstance(value, list):
            yield f"{at}: not a list"
            return
        for number, each in enumerate(value):  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]  # JSON
            yield from _problems(each, found[1], f"{at}[{number}]")
    elif found := re.fullmatch(r"[dD]ict[\[(]str, (.*)[\])]", model):
        for key, each in value.items():
            yield from _problems(each, found[1], f"{at}.{key}")
    elif model in PLAIN:
        if not isinstance(value, PLAIN[model]) or (model == "int" and isinstance(value, bool)):
            yield f"{at}: {value!r} is no {model}"
    elif model not in ("object", "datetime"):
        yield from _problems_of_fields(value, getattr(client, model), at)


def _problems_of_fields(value: Any, kind: Any, at: str) -> Iterator[str]:
    names = {name: attribute for attribute, name in kind.attribute_map.items()}
    for key, each in value.items():
        if key in names:
            yield from _problems(each, kind.openapi_types[names[key]], f"{at}.{key}")
        else:
            yield f"{at}.{key}: unknown"
