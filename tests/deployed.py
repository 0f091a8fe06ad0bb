"""The Pods of deploy/ as processes on a cluster on loopback: their arguments, variables, files, ServiceAccount and rights.

What a kubelet does for a container is done here for a process: it expands $(NAME), mounts volumes (as folders whose paths take
the place of those in the manifest), and hands on the ServiceAccount. The rights are those of the roles beside the Job.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubechain.core.bundle import ROOT
from kubechain.images.pins import FOLDER
from kubechain.kube import in_cluster
from tests.hostile.access import TOKEN
from tests.hostile.cluster import Cluster
from tests.hostile.furniture import namespace

Json = dict[str, Any]
DOCKERFILE = (FOLDER / "runner" / "Dockerfile").read_text(encoding="utf-8")
REFERENCE = re.compile(r"\$\(([A-Za-z_][A-Za-z0-9_]*)\)")
# Paths in the container -> folder or file in their place, in the folder of the process.
PATHS = {"/results": "results", "/etc/kubechain": "files", "/tmp": "tmp", "/dev/termination-log": "message"}  # noqa: S108
OF_CONTAINER = re.compile(rf"(^|=)({'|'.join(map(re.escape, PATHS))})(?=/|$)")
# Asked by everyone, without a role.
FOR_ALL = ("selfsubjectaccessreviews", "selfsubjectrulesreviews", "selfsubjectreviews")


def expanded(text: str, variables: Mapping[str, str]) -> str:
    """Return a text with the values of variables in the place of $(NAME); one that is not known stays, as the kubelet has it."""
    return REFERENCE.sub(lambda found: variables.get(found[1], found[0]), text)


def image_variables() -> dict[str, str]:
    """Return the variables that the image of the runner sets for the command."""
    (block,) = re.findall(r"^ENV ((?:.*\\\n)*.*)$", DOCKERFILE, re.MULTILINE)
    return {name: value for name, value in re.findall(r"(\w+)=(\S+)", block) if name.startswith("KUBECHAIN_")}


def allowed(found: Iterable[Json]) -> set[str]:
    """Return "VERB RESOURCE" for what the roles among objects grant."""
    rules = [rule for each in found if each["kind"] in ("Role", "ClusterRole") for rule in each["rules"]]
    return {f"{verb} {resource}" for rule in rules for verb in rule["verbs"] for resource in rule["resources"]}


@dataclass
class Deployed:
    """The objects of a folder of deploy/ on a cluster; processes of their Pods keep their files in `folder`."""

    made: Cluster
    objects: Sequence[Json]
    folder: Path

    def apply(self) -> None:
        """Create the namespace of the objects, and grant the rights of their roles."""
        self.made.store.create(namespace(self.space))
        granted = allowed(self.objects)
        if not any(each["kind"] == "ClusterRole" for each in self.objects):
            self.made.api.only_in = self.space
        self.made.api.allows = lambda user, verb, resource: (
            bool(user) and (resource in FOR_ALL or resource.startswith("/") or f"{verb} {resource}" in granted)
        )

    @property
    def space(self) -> str:
        """The namespace of the Pods."""
        return self.of_kind("Job")["metadata"]["namespace"]

    def of_kind(self, kind: str, name: str = "") -> Json:
        """Return the object of a kind (and a name)."""
        (found,) = (each for each in self.objects if each["kind"] == kind and name in ("", each["metadata"]["name"]))
        return found

    def begin(self, name: str, more: Mapping[str, str], index: int = 0) -> subprocess.Popen[str]:
        """Begin the container of a Pod of the Job, with more variables; its files are in a folder of that name."""
        folder, spec = self.folder / name, self.of_kind("Job")["spec"]["template"]["spec"]
        for place in ("results", "files", "tmp", "site", "account"):
            (folder / place).mkdir(parents=True)
        (folder / "message").touch()
        (container,) = spec["containers"]
        variables = self._variables(container, self._pod(name), index) | dict(more)
        self._become(folder)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("KUBECHAIN_", "PYTEST_", "AWS_"))}
        kept.pop("KUBECONFIG", None)
        environment = {**kept, **{name: self._here(value, folder) for name, value in variables.items()}}
        environment |= {"PYTHONPATH": f"{folder / 'site'}:{ROOT}", "HOME": str(folder / "tmp"), "TMPDIR": str(folder / "tmp")}
        environment |= {in_cluster.HOST: "127.0.0.1", in_cluster.PORT: str(self.made.port)}
        words = [self._here(expanded(word, variables), folder) for word in container["args"]]
        return subprocess.Popen(
            [sys.executable, "-m", "kubechain", *words],
            cwd=folder / "tmp", env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def _variables(self, container: Json, pod: Json, index: int) -> dict[str, str]:
        """Return the variables of a container in the order in which a kubelet sets them."""
        found = image_variables()
        for source in container["envFrom"]:
            found |= self.of_kind("ConfigMap", source["configMapRef"]["name"])["data"]
        # The Job controller sets it.
        found["JOB_COMPLETION_INDEX"] = str(index)
        for each in container["env"]:
            if "valueFrom" in each:
                found[each["name"]] = str(_field(pod, each["valueFrom"]["fieldRef"]["fieldPath"]))
            else:
                found[each["name"]] = expanded(each["value"], found)
        return found

    def _pod(self, name: str) -> Json:
        """Create the Pod in which the process seems to be."""
        body: Json = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": self.space}}
        body["spec"] = {"nodeName": "elsewhere", "containers": []}
        # The kubelet of the rig reads the status of every Pod at any time.
        body["status"] = {"phase": "Running", "podIP": "10.244.9.9"}
        return self.made.store.create(body)

    def _become(self, folder: Path) -> None:
        """Write the files of the ServiceAccount, and what makes the command look for them there."""
        account = folder / "account"
        (account / "token").write_text(TOKEN)
        (account / "ca.crt").write_text(self.made.api.access.ca)
        code = f"import {in_cluster.__name__} as x\nfrom pathlib import Path\nx.FOLDER = Path({str(account)!r})\n"
        (folder / "site" / "sitecustomize.py").write_text(code)

    def _here(self, value: str, folder: Path) -> str:
        """Return a value with the folders of the process in the place of those of the container."""
        return OF_CONTAINER.sub(lambda found: f"{found[1]}{folder / PATHS[found[2]]}", value)


def _field(pod: Json, path: str) -> Any:
    found: Any = pod
    for name in path.split("."):
        found = found[name]
    return found
