"""The three phases of an upgrade: the cluster before it, the observations during it, the cluster after it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path

from kubechain.cluster import existing
from kubechain.core import redact
from kubechain.core.errors import ExitCode, SetupError
from kubechain.kube.client import Api
from kubechain.kube.errors import ApiRefused
from kubechain.kube.objects import KubeObject, NamespaceState
from kubechain.kube.paths import path_of
from kubechain.observe.changes import ObjectChange
from kubechain.upgrade import addon_config, events, requested_apis, snapshot, witnesses
from kubechain.upgrade.model import UpgradeRecord
from kubechain.upgrade.snapshot import Snapshot
from kubechain.upgrade.versions import kubelets, machines
from kubechain.workload.chain import Chain

# The fields of After that save_after writes besides the objects.
SAVED_FIELDS = ("wanted", "server", "kubelets", "proxies", "configuration", "unready")


@dataclass(frozen=True)
class Before:
    """The witnesses, and the snapshot of the cluster before the upgrade."""

    witnesses: Chain
    snapshot: Snapshot


@dataclass(frozen=True)
class During:
    """What was seen on the way: the paths, the witnesses as they were at its `start`, and every version of them from then on.

    The `log` begins with each object's version at the start. `unseen` are the kinds of which versions may be missing;
    `trouble` says what kept all of them from being up to date at the end, "" if nothing did.
    """

    before: Before
    record: UpgradeRecord
    start: NamespaceState
    log: tuple[ObjectChange, ...]
    unseen: frozenset[str] = frozenset()
    trouble: str = ""

    @property
    def state(self) -> NamespaceState:
        """The witnesses before the upgrade."""
        return self.before.snapshot.state

    def replaced(self, resource: KubeObject) -> bool:
        """Whether the upgrade was expected to replace an object: a Pod on a drained Node."""
        return resource.kind == "Pod" and resource.at("spec.nodeName") in self.record.drained


@dataclass(frozen=True)
class After:
    """The cluster after the upgrade, read before a claim changes it.

    `during` is None if this run did not observe the upgrade; `wanted` is the target version, "" if the run does not know it;
    `kubelets` and `proxies` are versions by Node name, of the Nodes that are Ready; `configuration` is what addon_config.read
    returns; `unready` are the names of the Nodes that are not Ready, without those that were not before.
    """

    before: Before
    during: During | None
    wanted: str
    server: str
    kubelets: dict[str, str]
    proxies: dict[str, str]
    state: NamespaceState
    configuration: dict[str, str]
    unready: list[str]

    @property
    def upgraded(self) -> bool:
        """Whether versions were to change: by an upgrade, or by another change that has changed one of them."""
        if not (self.during and self.during.record.change):
            return True
        return self.server != self.before.snapshot.server or self.nodes_upgraded

    @property
    def nodes_upgraded(self) -> bool:
        """Whether versions of Nodes were to change: by an upgrade, or by another change that has changed one of them.

        Nodes may follow an API server on another day.
        """
        if not (self.during and self.during.record.change):
            return True
        known = self.before.snapshot.nodes
        return any(known.get(name, new) != new for name, new in self.kubelets.items())

    def replaced(self, resource: KubeObject) -> bool:
        """Whether an object may have been replaced: Pods by a drain, any Pod that is not there where nobody watched."""
        if self.during:
            return self.during.replaced(resource)
        return resource.kind == "Pod" and all(resource.uid != each.uid for each in self.state.objects)


def versions(log: Sequence[ObjectChange], start: int) -> tuple[ObjectChange, ...]:
    """Return the changes after the one numbered `start`, and before them the last one of each object that was there then."""
    present: dict[tuple[str, str], ObjectChange] = {}
    for seen in log[:start]:
        key = (seen.resource.kind, seen.resource.name)
        present.pop(key, None)
        if seen.change != "DELETED":
            present[key] = seen
    return (*present.values(), *log[start:])


def capture(witnesses: Chain, run: str, verdict: str) -> Snapshot:
    """Return the snapshot of the cluster and the witnesses; `run` is the id of the run, `verdict` its line for the chain."""
    api, namespace = witnesses.api, witnesses.namespace
    warnings = {warning for kind in snapshot.KINDS for warning in api.warnings(kind, namespace)}
    nodes, requested = api.list("Node").items, requested_apis.read(api)
    return Snapshot(
        run=run,
        created=datetime.now(UTC).replace(microsecond=0),
        cluster_uid=existing.identity(api),
        server=existing.server_version(api),
        namespace=namespace,
        nodes=kubelets(nodes),
        unready=[node.uid for node in machines(nodes) if not node.is_true("Ready")],
        objects=[snapshot.for_file(each) for kind in snapshot.KINDS for each in api.list(kind, namespace).items],
        apis={kind: path_of(kind, namespace) for kind in snapshot.KINDS},
        configuration=addon_config.read(api),
        deprecated=requested.deprecated,
        unasked=requested.unasked,
        warnings=sorted(map(redact.text, warnings)),
        verdict=verdict,
    )


def require_witnesses(api: Api, snapshot: Snapshot, uid: str, file: Path) -> None:
    """Check that a snapshot is of the cluster with the UID `uid`, and that its witnesses still exist.

    Raises:
        SetupError: it is of another cluster, or the witnesses' namespace does not exist (exit code SNAPSHOT).

    """
    snapshot.require(uid, file)
    if witnesses.find(api, snapshot.namespace, snapshot.run) is None:
        why = f"the namespace of its witnesses, {snapshot.namespace}, does not exist"
        hint = "`kubechain upgrade after` deletes it at its end; begin again with `kubechain upgrade before` and a new file"
        raise SetupError(f"--snapshot={file}: {why}; {hint}", ExitCode.SNAPSHOT)


def read_after(before: Before, during: During | None, wanted: str) -> After:
    """Read the cluster after the upgrade."""
    api = before.witnesses.api
    nodes = machines(api.list("Node").items)
    kubelet_versions = kubelets(node for node in nodes if node.is_true("Ready"))
    unready = [node.name for node in nodes if not node.is_true("Ready") and node.uid not in before.snapshot.unready]
    state = before.witnesses.objects.read()
    server = existing.server_version(api)
    proxy_pods = api.list("Pod", "kube-system", "k8s-app=kube-proxy").items
    running = {str(pod.at("spec.nodeName")): version for pod in proxy_pods if (version := events.proxy_version(pod))}
    proxies = {**{str(pod.at("spec.nodeName")): "" for pod in proxy_pods}, **running}
    on_ready = {name: version for name, version in proxies.items() if name in kubelet_versions}
    return After(before, during, wanted, server, kubelet_versions, on_ready, state, addon_config.read(api), unready)


def save_after(after: After, path: Path) -> None:
    """Write `after` to a file, so that an interrupted phase can be repeated after its claims have changed the witnesses."""
    content = {field: getattr(after, field) for field in SAVED_FIELDS}
    snapshot.write_atomically(path, json.dumps({**content, "objects": [snapshot.for_file(each) for each in after.state.objects]}))


def load_after(before: Before, path: Path) -> After:
    """Read a file of save_after."""
    content = json.loads(path.read_text(encoding="utf-8"))
    state = NamespaceState(tuple(KubeObject(each) for each in content.pop("objects")))
    return After(before=before, during=None, state=state, **content)


def not_served(api: Api, apis: dict[str, str]) -> dict[str, str]:
    """Return kind -> error of the API server for those kinds in `apis` (kind -> API path of its list) that are not served."""
    missing: dict[str, str] = {}
    for kind, path in apis.items():
        try:
            json.loads(api.call("GET", path, {"limit": "1"}))
        except ApiRefused as refused:
            if refused.status != HTTPStatus.NOT_FOUND:
                raise
            missing[kind] = f"{path}: {refused.detail}"
    return missing
