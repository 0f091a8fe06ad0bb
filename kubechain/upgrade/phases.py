"""The story of one upgrade in its three parts: what was there before, what was seen on the way, what is there now."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path

from kubechain.cluster import existing
from kubechain.core.errors import ExitCode, SetupError
from kubechain.kube.client import Api
from kubechain.kube.errors import ApiRefused
from kubechain.kube.objects import KubeObject, NamespaceState
from kubechain.kube.paths import path_of
from kubechain.observe.history import ObjectChange
from kubechain.upgrade import addon_config, cluster_watch, events, snapshot
from kubechain.upgrade.model import UpgradeRecord
from kubechain.upgrade.snapshot import Snapshot
from kubechain.upgrade.versions import kubelets, minor
from kubechain.workload.chain import Chain

# Of After, what `keep` writes besides the objects.
KEPT = ("wanted", "server", "kubelets", "proxies", "configuration")


@dataclass(frozen=True)
class Before:
    """The witnesses, and the snapshot of what was there before."""

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
        """The witnesses as they were before."""
        return self.before.snapshot.state

    def replaced(self, resource: KubeObject) -> bool:
        """Whether an object was to be replaced: a Pod on a Node that was drained."""
        return resource.kind == "Pod" and resource.at("spec.nodeName") in self.record.drained


@dataclass(frozen=True)
class After:
    """What is there now, as it was before any claim changed it.

    `during` is None where it was not watched; `wanted` is the version that was to be reached, "" where none was named.
    """

    before: Before
    during: During | None
    wanted: str
    server: str
    kubelets: dict[str, str]
    proxies: dict[str, str]
    state: NamespaceState
    configuration: dict[str, str]

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
    """Return what is there now, for the snapshot."""
    api, namespace = witnesses.api, witnesses.namespace
    warnings = {warning for kind in snapshot.KINDS for warning in api.warnings(kind, namespace)}
    return Snapshot(
        run=run,
        created=datetime.now(UTC).replace(microsecond=0),
        cluster_uid=existing.identity(api),
        server=existing.server_version(api),
        namespace=namespace,
        nodes=kubelets(api.list("Node").items),
        objects=[snapshot.kept(each) for kind in snapshot.KINDS for each in api.list(kind, namespace).items],
        apis={kind: path_of(kind, namespace) for kind in snapshot.KINDS},
        configuration=addon_config.read(api),
        deprecated=cluster_watch.deprecated(api),
        warnings=sorted(warnings),
        verdict=verdict,
    )


def require_witnesses(api: Api, snapshot: Snapshot, uid: str, file: Path) -> None:
    """Check that a snapshot is of the cluster with that UID, and that its witnesses are still there.

    Raises:
        SetupError: it is not, or they are gone (exit code SNAPSHOT).

    """
    snapshot.require(uid, file)
    if api.get("Namespace", "", snapshot.namespace) is None:
        why = f"its witnesses are gone with the namespace {snapshot.namespace}: was make upgrade-after run to its end?"
        raise SetupError(f"SNAPSHOT={file}: {why}", ExitCode.SNAPSHOT)


def look(before: Before, during: During | None, wanted: str) -> After:
    """Return what is there now, for the claims about what is as before."""
    api = before.witnesses.api
    found = kubelets(api.list("Node").items)
    state = before.witnesses.objects.read()
    server = existing.server_version(api)
    system = api.list("Pod", "kube-system", "k8s-app=kube-proxy").items
    running = {str(pod.at("spec.nodeName")): version for pod in system if (version := events.proxy_version(pod))}
    proxies = {**{str(pod.at("spec.nodeName")): "" for pod in system}, **running}
    return After(before, during, wanted, server, found, proxies, state, addon_config.read(api))


def keep(after: After, path: Path) -> None:
    """Write what was there after the upgrade, so that an interrupted phase can go on when it has changed the witnesses."""
    content = {field: getattr(after, field) for field in KEPT}
    snapshot.write_at_once(path, json.dumps({**content, "objects": [snapshot.kept(each) for each in after.state.objects]}))


def kept(before: Before, path: Path) -> After:
    """Read what `keep` wrote."""
    content = json.loads(path.read_text())
    state = NamespaceState(tuple(KubeObject(each) for each in content.pop("objects")))
    return After(before=before, during=None, state=state, **content)


def not_served(api: Api, apis: dict[str, str]) -> dict[str, str]:
    """Return which of these kinds (kind -> API path of its list) are not served any more, and what the server says."""
    found: dict[str, str] = {}
    for kind, path in apis.items():
        try:
            json.loads(api.call("GET", path, {"limit": "1"}))
        except ApiRefused as refused:
            if refused.status != HTTPStatus.NOT_FOUND:
                raise
            found[kind] = f"{path}: {refused.detail}"
    return found


def removed_by(deprecated: dict[str, str], version: str) -> list[str]:
    """Return which deprecated APIs a version does not have any more, from when on they are removed."""
    target = minor(version)
    return sorted(name for name, release in deprecated.items() if 0 <= minor(release) <= target)
