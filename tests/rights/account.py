"""A ServiceAccount with exactly the rights of a generated role, in a temporary namespace, and its kubeconfig."""

from __future__ import annotations

import json
import secrets
import subprocess
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from reports import rights

TOKEN_LIFETIME = "3h"  # noqa: S105  # a duration


@dataclass(frozen=True)
class Admin:
    """kubectl as a user who may create roles."""

    kubeconfig: Path
    context: str

    def command(self, *words: str) -> list[str]:
        """Return a command line of kubectl."""
        return ["kubectl", "--kubeconfig", str(self.kubeconfig), "--context", self.context, *words]

    def run(self, *words: str, given: str = "") -> str:
        """Run kubectl with a text on its stdin, and return its stdout."""
        argv = self.command(*words)
        return subprocess.run(argv, input=given, text=True, check=True, capture_output=True, timeout=120).stdout

    def kubeconfig_of(self, name: str) -> dict[str, Any]:
        """Return a kubeconfig with the cluster of the context and a token of the ServiceAccount and namespace `name`."""
        shown = json.loads(self.run("config", "view", "--raw", "--minify", "--flatten", "-o", "json"))
        token = self.run("create", "token", name, "--namespace", name, "--duration", TOKEN_LIFETIME).strip()
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": shown["clusters"],
            "users": [{"name": name, "user": {"token": token}}],
            "contexts": [{"name": name, "context": {"cluster": shown["clusters"][0]["name"], "user": name}}],
        }


def renamed(manifest: str, name: str) -> list[dict[str, Any]]:
    """Return the objects of a generated manifest with the name `name` for all of them and for their namespace."""
    objects = [each for each in yaml.safe_load_all(manifest) if each]
    for each in objects:
        each["metadata"]["name"] = name
        if each["metadata"].get("namespace", "kube-system") != "kube-system":
            each["metadata"]["namespace"] = name
        if "roleRef" in each:
            each["roleRef"]["name"] = name
            each["subjects"] = [{"kind": "ServiceAccount", "name": name, "namespace": name}]
    return objects


def named_anew(role: rights.Role) -> tuple[str, rights.Role, list[dict[str, Any]]]:
    """Return a new name, the role under it, and its objects; those of a role in one namespace have that namespace with them."""
    name = f"kubechain-{role.name}-{secrets.token_hex(3)}"
    placed = replace(role, inside=name) if role.inside else role
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    return name, placed, [*([space] if role.inside else []), *renamed(rights.manifest(placed), name)]


def without(objects: Iterable[dict[str, Any]], taken: Iterable[tuple[str, str, str]]) -> None:
    """Take rights, (API group, resource, verb), out of the roles among `objects`."""
    for each in objects:
        for group, resource, verb in taken:
            for rule in list(each.get("rules", ())):
                if group in rule.get("apiGroups", ()) and resource in rule["resources"] and verb in rule["verbs"]:
                    rule["resources"] = [other for other in rule["resources"] if other != resource]
                    rest = [other for other in rule["verbs"] if other != verb]
                    if rest:
                        each["rules"].append({"apiGroups": [group], "resources": [resource], "verbs": rest})
                    if not rule["resources"]:
                        each["rules"].remove(rule)


@contextmanager
def account(admin: Admin, objects: list[dict[str, Any]], name: str, folder: Path) -> Generator[Path]:
    """Create the objects; yield the path of a kubeconfig for their ServiceAccount, in `folder`; delete them after the body."""
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    admin.run("apply", "-f", "-", given=text)
    try:
        path = folder / f"{name}.yaml"
        path.touch(mode=0o600)
        path.write_text(yaml.safe_dump(admin.kubeconfig_of(name)), encoding="utf-8")
        yield path
    finally:
        admin.run("delete", "--ignore-not-found", "--wait=false", "-f", "-", given=text)
