"""The snapshot file: what is known of a cluster and of the witnesses before its upgrade.

A JSON object with a schema number and a checksum over all else, so that another machine can verify days later against
what was really there. It holds no Secret and no credential: of the cluster its UID, versions and the configuration of
CoreDNS and kube-proxy, of the witnesses the objects themselves.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from kubechain.core.errors import ExitCode, SetupError
from kubechain.kube.objects import Json, KubeObject, NamespaceState

SCHEMA = 1
# Kinds of the witnesses that must be the same after the upgrade as before.
KINDS = ("Deployment", "ReplicaSet", "Pod", "Service", "EndpointSlice", "PodDisruptionBudget")


@dataclass(frozen=True)
class Snapshot:
    """What was there before the upgrade.

    `cluster` is the UID of kube-system; `server` the API server's version; `nodes` is Node name -> kubelet version;
    `objects` are the witnesses; `apis` maps each kind that they use to the API path that served it; `configuration`
    is the Corefile of CoreDNS and the config.conf of kube-proxy, where the cluster has them; `deprecated` are the
    deprecated APIs that anything has asked for, and the release that removes each, None where that may not be read;
    `warnings` what the server says of the witnesses' own; `verdict` is what the suite said of the whole chain.
    """

    identity: str
    made: str
    cluster: str
    server: str
    namespace: str
    nodes: dict[str, str]
    objects: list[Json]
    apis: dict[str, str]
    configuration: dict[str, str] = field(default_factory=dict[str, str])
    deprecated: dict[str, str] | None = field(default_factory=dict[str, str])
    warnings: list[str] = field(default_factory=list[str])
    verdict: str = ""

    @property
    def state(self) -> NamespaceState:
        """The witnesses as they were."""
        return NamespaceState(tuple(KubeObject(each) for each in self.objects))

    def require(self, cluster: str, path: Path) -> None:
        """SetupError if the snapshot of that file is of another cluster than the one with that UID (exit code SNAPSHOT)."""
        if self.cluster != cluster:
            what = f"of another cluster: kube-system has UID {cluster}, not {self.cluster}"
            raise SetupError(f"SNAPSHOT={path}: {what}", ExitCode.SNAPSHOT)

    def write(self, path: Path) -> None:
        """Write the snapshot file, in place of one that is there."""
        content: dict[str, Any] = {"schema": SCHEMA, **asdict(self)}
        path.parent.mkdir(parents=True, exist_ok=True)
        write_at_once(path, json.dumps({**content, "checksum": checksum(content)}, indent=1))


def write_at_once(path: Path, text: str) -> None:
    """Write a file so that whoever is interrupted leaves the old one or the new one, never half of one."""
    new = path.with_name(f".{path.name}.new")
    new.write_text(text)
    new.replace(path)


def read(path: Path) -> Snapshot:
    """Read a snapshot file.

    Raises:
        SetupError: it is not there, is none, is of another schema, or was changed (exit code SNAPSHOT).

    """
    try:
        content: dict[str, Any] = json.loads(path.read_text())
        stated, schema = content.pop("checksum"), content.pop("schema")
    except OSError as error:
        raise SetupError(f"SNAPSHOT={path}: {error.strerror}; make upgrade-before writes it", ExitCode.SNAPSHOT) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SetupError(f"SNAPSHOT={path}: not a snapshot of make upgrade-before", ExitCode.SNAPSHOT) from error
    if schema != SCHEMA:
        raise SetupError(f"SNAPSHOT={path}: schema {schema}, this version reads {SCHEMA}", ExitCode.SNAPSHOT)
    if stated != checksum({"schema": schema, **content}):
        raise SetupError(f"SNAPSHOT={path}: changed since it was written: its checksum does not fit", ExitCode.SNAPSHOT)
    try:
        return Snapshot(**content)
    except TypeError as error:
        raise SetupError(f"SNAPSHOT={path}: not a snapshot of make upgrade-before", ExitCode.SNAPSHOT) from error


def checksum(content: Json) -> str:
    """Return the SHA-256 of a JSON object, however it is laid out."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def kept(resource: KubeObject) -> Json:
    """Return an object as the snapshot keeps it: without who changed which field when."""
    metadata = {key: value for key, value in resource.body["metadata"].items() if key != "managedFields"}
    return {**resource.body, "metadata": metadata}
