"""The snapshot file: what is known of a cluster and of the witnesses before its upgrade.

A JSON object with a schema number and a checksum over all else, so that another machine can verify days later against
what was really there. It holds no Secret and no credential: of the cluster its UID, versions and the configuration of
CoreDNS and kube-proxy, of the witnesses the objects themselves.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Literal

from pydantic import AwareDatetime, ConfigDict, Field, ValidationError

from kubechain.core.errors import ExitCode, SetupError
from kubechain.core.records import JsonRecord
from kubechain.kube.objects import Json, KubeObject, NamespaceState

SCHEMA = 2
NOTE = "schema 1, read as 2"
NAMES_OF_SCHEMA_1 = {"identity": "run", "made": "created", "cluster": "clusterUid"}
# Kinds of the witnesses that must be the same after the upgrade as before.
KINDS = ("Deployment", "ReplicaSet", "Pod", "Service", "EndpointSlice", "PodDisruptionBudget")


class Snapshot(JsonRecord):
    """What was there before the upgrade."""

    schema_number: Literal[2] = Field(default=SCHEMA, alias="schema")
    run: str
    """Id of the run that made the witnesses."""
    created: AwareDatetime
    cluster_uid: str
    """UID of the namespace kube-system, by which the cluster is known again."""
    server: str
    """Version of the API server."""
    namespace: str
    """That of the witnesses."""
    nodes: dict[str, str]
    """Node name -> version of its kubelet."""
    objects: list[Json]
    """The witnesses as the API gave them, without managedFields."""
    apis: dict[str, str]
    """Kind of the witnesses -> API path of its list in their namespace."""
    configuration: dict[str, str]
    """The Corefile of CoreDNS and the config.conf of kube-proxy, where the cluster has them."""
    deprecated: dict[str, str] | None
    """Deprecated API that anything asked for -> the release that removes it; null where that may not be read."""
    warnings: list[str]
    """Warnings of the API server about the kinds of the witnesses."""
    verdict: str
    """The line that the suite ended with before the upgrade."""
    note: str = Field(default="", exclude=True)
    """How the file was read, "" unless it is of an earlier schema; no part of the file."""

    @property
    def state(self) -> NamespaceState:
        """The witnesses as they were."""
        return NamespaceState(tuple(KubeObject(body) for body in self.objects))

    def require(self, cluster: str, path: Path) -> None:
        """SetupError if the snapshot of that file is of another cluster than the one with that UID (exit code SNAPSHOT)."""
        if self.cluster_uid != cluster:
            what = f"of another cluster: kube-system has UID {cluster}, not {self.cluster_uid}"
            raise SetupError(f"SNAPSHOT={path}: {what}", ExitCode.SNAPSHOT)

    def write(self, path: Path) -> None:
        """Write the snapshot file, in place of one that is there."""
        content = self.as_json()
        path.parent.mkdir(parents=True, exist_ok=True)
        write_at_once(path, json.dumps({**content, "checksum": checksum(content)}, indent=1))


class SnapshotFile(Snapshot):
    """The snapshot file: its checksum is the SHA-256 of all other fields, as JSON with sorted keys and without spaces."""

    model_config = ConfigDict(title="snapshot")

    checksum: str


def write_at_once(path: Path, text: str) -> None:
    """Write a file so that whoever is interrupted leaves the old one or the new one, never half of one."""
    new = path.with_name(f".{path.name}.new")
    new.write_text(text, encoding="utf-8")
    new.replace(path)


def read(path: Path) -> Snapshot:
    """Read a snapshot file; one of schema 1 is read as 2, with a note.

    Raises:
        SetupError: it is not there, is none, is of another schema, or was changed (exit code SNAPSHOT).

    """
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        stated, schema = content.pop("checksum"), content["schema"]
    except OSError as error:
        raise SetupError(f"SNAPSHOT={path}: {error.strerror}; make upgrade-before writes it", ExitCode.SNAPSHOT) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SetupError(f"SNAPSHOT={path}: not a snapshot of make upgrade-before", ExitCode.SNAPSHOT) from error
    # JSON's true is equal to 1 in Python.
    if isinstance(schema, bool) or schema not in (1, SCHEMA):
        raise SetupError(f"SNAPSHOT={path}: schema {schema}, this version reads 1 and {SCHEMA}", ExitCode.SNAPSHOT)
    if stated != checksum(content):
        raise SetupError(f"SNAPSHOT={path}: changed since it was written: its checksum does not fit", ExitCode.SNAPSHOT)
    try:
        return Snapshot.model_validate(_from_schema_1(content) if schema == 1 else content)
    except ValidationError as error:
        raise SetupError(f"SNAPSHOT={path}: not a snapshot of make upgrade-before", ExitCode.SNAPSHOT) from error


def _from_schema_1(content: Json) -> Json:
    """Return the content of schema 1 in the names of schema 2."""
    renamed = {NAMES_OF_SCHEMA_1.get(name, name): value for name, value in content.items()}
    return {**renamed, "schema": SCHEMA, "note": NOTE}


def checksum(content: Json) -> str:
    """Return the SHA-256 of a JSON object, however it is laid out."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def kept(resource: KubeObject) -> Json:
    """Return an object as the snapshot keeps it: without who changed which field when."""
    metadata = {key: value for key, value in resource.body["metadata"].items() if key != "managedFields"}
    return {**resource.body, "metadata": metadata}
