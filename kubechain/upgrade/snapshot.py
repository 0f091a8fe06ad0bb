"""The snapshot file: the cluster and the witnesses before the upgrade.

A JSON object with a schema number and a checksum, so that a later run, also on another machine, can compare with it. It holds
no Secret and no credential: the UID, the versions and the configuration of CoreDNS and kube-proxy of the cluster, and the
witnesses as objects.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Literal

from pydantic import AwareDatetime, ConfigDict, Field, ValidationError

from kubechain.core import files, redact
from kubechain.core.errors import ExitCode, SetupError
from kubechain.core.records import JsonRecord
from kubechain.kube.objects import Json, KubeObject, NamespaceState

SCHEMA = 2
NOTE = "schema 1, read as 2"
NAMES_OF_SCHEMA_1 = {"identity": "run", "made": "created", "cluster": "clusterUid"}
# The kinds of the witnesses that must be the same after the upgrade as before.
KINDS = ("Deployment", "ReplicaSet", "Pod", "Service", "EndpointSlice", "PodDisruptionBudget")


class Snapshot(JsonRecord):
    """The cluster and the witnesses before the upgrade."""

    schema_number: Literal[2] = Field(default=SCHEMA, alias="schema")
    run: str
    """Id of the run that created the witnesses."""
    created: AwareDatetime
    cluster_uid: str
    """UID of the namespace kube-system, which identifies the cluster."""
    server: str
    """Version of the API server."""
    namespace: str
    """Namespace of the witnesses."""
    nodes: dict[str, str]
    """Node name -> version of its kubelet."""
    unready: list[str] = Field(default_factory=list[str])
    """UIDs of the Nodes that were not Ready."""
    objects: list[Json]
    """The witnesses as the API server returned them, without managedFields."""
    apis: dict[str, str]
    """Kind of the witnesses -> API path of its list in their namespace."""
    configuration: dict[str, str]
    """The Corefile of CoreDNS and the config.conf of kube-proxy, where the cluster has them."""
    deprecated: dict[str, str] | None
    """Deprecated API that a client has requested -> the release that removes it; null if /metrics may not be read."""
    unasked: dict[str, str] = Field(default_factory=dict[str, str])
    """Address of an API server that was not asked for them -> why."""
    warnings: list[str]
    """Warnings of the API server about the kinds of the witnesses."""
    verdict: str
    """The line that the suite ended with before the upgrade."""
    note: str = Field(default="", exclude=True)
    """How the file was read, "" if it has the current schema; not part of the file."""

    @property
    def state(self) -> NamespaceState:
        """The witnesses before the upgrade."""
        return NamespaceState(tuple(KubeObject(body) for body in self.objects))

    def require(self, cluster: str, path: Path) -> None:
        """Check that the snapshot, read from `path`, is of the cluster with the UID `cluster`; SetupError if not (SNAPSHOT)."""
        if self.cluster_uid != cluster:
            what = f"of another cluster: kube-system has UID {cluster}, not {self.cluster_uid}"
            raise SetupError(f"--snapshot={path}: {what}", ExitCode.SNAPSHOT)

    def write(self, path: Path) -> None:
        """Write the snapshot file; an existing file is replaced."""
        content = self.as_json()
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps({**content, "checksum": checksum(content)}, indent=1))


class SnapshotFile(Snapshot):
    """The snapshot file: its checksum is the SHA-256 of all other fields, as JSON with sorted keys and without spaces."""

    model_config = ConfigDict(title="snapshot")

    checksum: str


def write_atomically(path: Path, text: str) -> None:
    """Write a file so that an interruption leaves the old or the new content, never a part."""
    new = path.with_name(f".{path.name}.new")
    new.write_text(text, encoding="utf-8")
    new.replace(path)


def read(path: Path) -> Snapshot:
    """Read a snapshot file; a file of schema 1 is converted to schema 2, with a note.

    Raises:
        SetupError: the file does not exist, is no snapshot, has another schema, or its checksum does not match (exit code
            SNAPSHOT).

    """
    try:
        content: dict[str, Any] = json.loads(files.regular(path).read_text(encoding="utf-8"))
        stated, schema = content.pop("checksum"), content["schema"]
    except OSError as error:
        raise SetupError(
            f"--snapshot={path}: {error.strerror}; create the file with `kubechain upgrade before`", ExitCode.SNAPSHOT
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise SetupError(f"--snapshot={path}: not a snapshot file of `kubechain upgrade before`", ExitCode.SNAPSHOT) from error
    # JSON's true equals 1 in Python.
    if isinstance(schema, bool) or schema not in (1, SCHEMA):
        raise SetupError(f"--snapshot={path}: schema {schema}; this version reads schemas 1 and {SCHEMA}", ExitCode.SNAPSHOT)
    if stated != checksum(content):
        raise SetupError(
            f"--snapshot={path}: checksum does not match: the file was changed after it was written",
            ExitCode.SNAPSHOT,
        )
    try:
        return Snapshot.model_validate(_from_schema_1(content) if schema == 1 else content)
    except ValidationError as error:
        raise SetupError(f"--snapshot={path}: not a snapshot file of `kubechain upgrade before`", ExitCode.SNAPSHOT) from error


def _from_schema_1(content: Json) -> Json:
    """Return the content of a file of schema 1 with the field names of schema 2."""
    renamed = {NAMES_OF_SCHEMA_1.get(name, name): value for name, value in content.items()}
    return {**renamed, "schema": SCHEMA, "note": NOTE}


def checksum(content: Json) -> str:
    """Return the SHA-256 of a JSON object, independent of its layout in the file."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def for_file(resource: KubeObject) -> Json:
    """Return the body of an object for the snapshot file, without managedFields and secrets."""
    metadata = {key: value for key, value in resource.body["metadata"].items() if key != "managedFields"}
    return redact.tree({**resource.body, "metadata": metadata})
