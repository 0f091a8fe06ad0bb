"""The testbed: the kind cluster of the run that faults break, its nodes and its API."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from kubechain.claims.claim import Link
from kubechain.cluster.kind import Cluster, split
from kubechain.conditions import pods, timeouts
from kubechain.conditions.condition import Condition, Result, expect, met, unmet
from kubechain.conditions.dns import resolves_to
from kubechain.conditions.http import every_backend
from kubechain.core import redact
from kubechain.core.build_cache import BuildCache
from kubechain.core.errors import ExitCode, HarnessError
from kubechain.core.process import check, run
from kubechain.core.settings import Settings
from kubechain.images.resolve import store_of
from kubechain.kube.client import Api
from kubechain.kube.objects import Json
from kubechain.observe.wait import Polled
from kubechain.workload import actions, manifests, sources
from kubechain.workload.factory import ChainFactory
from kubechain.workload.gates import Gatekeeper, gated
from kubechain.workload.manifests import LABELS, WEB, WELCOME

NODE_SECONDS = 60.0
MANIFESTS = "/etc/kubernetes/manifests"
# Folder on a node for the files that a fault replaces or removes.
ASIDE = "/kind/aside"
# An address in the cluster's Pod CIDR, but in the podCIDR of no Node.
NOBODY = "10.244.255.250"
# How long a revived component may take to start before it is revived again.
REVIVED_SECONDS = 15.0
# The testbed's namespace for objects that show whether a fault is in effect; it has the labels of the suite's namespaces.
TRIAL = "kubechain-trial"
SERVER, MANAGER, SCHEDULER = "kube-apiserver", "kube-controller-manager", "kube-scheduler"
# A leader exits if it cannot renew its lease: at most renewDeadline (10 s) after its first attempt, which comes retryPeriod
# (2 s) after its last renewal. The next process waits leaseDuration (15 s) if it finds the lease.
LEADERS = (MANAGER, SCHEDULER)
GIVEN_UP_SECONDS = 13.0


def is_frozen(process: str) -> str:
    """Return a shell command that exits with 0 if all processes of a name are stopped (state T)."""
    return f"{{ states=$(ps -o stat= -p $(pgrep -d, -f '^{process}')) && ! echo \"$states\" | grep -qv ^T; }}"


@dataclass(frozen=True)
class Testbed:
    """The cluster that faults break; `folder` is the results folder of the run."""

    cluster: Cluster
    chain_factory: ChainFactory
    folder: Path
    settings: Settings

    @property
    def store(self) -> BuildCache:
        """The cache of builds."""
        return store_of(self.settings)

    @property
    def api(self) -> Api:
        """The client of the cluster's API server."""
        return self.chain_factory.api

    @property
    def control_plane(self) -> str:
        """The name of the control plane's node."""
        return split(self.cluster.nodes())[0][0]

    @property
    def workers(self) -> list[str]:
        """The names of the workers."""
        return split(self.cluster.nodes())[1]

    def nodes(self, which: str) -> list[str]:
        """Return the names of the nodes: `which` is "control-plane", "workers", "worker" (the first worker) or "all"."""
        groups = {"control-plane": [self.control_plane], "workers": self.workers, "worker": self.workers[:1]}
        return groups.get(which) or self.cluster.nodes()

    def run_on(self, node: str, script: str) -> str:
        """Run a shell script on a node and return its output.

        Raises:
            SetupError: the script fails, or takes longer than NODE_SECONDS (exit code HARNESS).

        """
        words = [self.cluster.docker.client, "exec", node, "sh", "-c", script]
        return check(words, timeout=NODE_SECONDS, code=ExitCode.HARNESS, doing=f"`{redact.beginning(script, 60)}` on {node}")

    def succeeds_on(self, node: str, script: str) -> bool:
        """Run a shell script on a node and return whether it exits with 0."""
        return run([self.cluster.docker.client, "exec", node, "sh", "-c", script], timeout=NODE_SECONDS).status == 0

    def failing_nodes(self, where: str, script: str) -> list[str]:
        """Return the nodes among `nodes(where)` on which a shell script does not exit with 0."""
        return [node for node in self.nodes(where) if not self.succeeds_on(node, script)]

    def write_on(self, node: str, path: str, text: str) -> None:
        """Replace a file on a node atomically: a reader sees the old or the new one."""
        # The temporary file is in another folder, because the kubelet reads every file in the folder of manifests.
        script = f"mkdir -p {ASIDE} && cat > {ASIDE}/new && mv {ASIDE}/new {path}"
        words = [self.cluster.docker.client, "exec", "--interactive", node, "sh", "-c", script]
        check(words, timeout=NODE_SECONDS, stdin=text, code=ExitCode.HARNESS, doing=f"writing {path} on {node}")

    def recreate(self, manifest: Json, namespace: str = "") -> None:
        """Create an object; an existing one of the same name is deleted first."""
        self.delete(manifest["kind"], manifest["metadata"]["name"], namespace)
        self.api.create(manifest, namespace)

    def delete(self, kind: str, name: str, namespace: str = "") -> None:
        """Delete an object if it exists."""
        self.api.delete(kind, namespace, name, missing_ok=True)

    def require_leaders(self) -> None:
        """Wait until the API server is ready and every leader that should run renews its lease; revive those that have exited.

        Raises:
            Unmet: a leader does not renew its lease in time.

        """
        since, revived = datetime.now(UTC), dict[str, datetime]()
        renewed = Condition[Testbed]("every leader to renew its lease", lambda testbed: testbed.leading(since, revived))
        self.until("control plane", renewed, timeouts.HEALED)

    def leading(self, since: datetime, revived: dict[str, datetime]) -> Result:
        """Return whether every leader that should run has renewed its lease since `since`; revive those that have exited.

        `revived` maps a component to the time of its last revival, which is repeated after REVIVED_SECONDS at the earliest.
        """
        try:
            self.api.call("GET", "/readyz")
            results = [self.component_leading(component, since, revived) for component in LEADERS]
        except HarnessError as error:
            return unmet(str(error))
        return next((result for result in results if not result.met), met())

    def component_leading(self, component: str, since: datetime, revived: dict[str, datetime]) -> Result:
        """Do the same for one component; delete the lease of a holder that has given up, so that no process waits for it."""
        manifest, now = f"{MANIFESTS}/{component}.yaml", datetime.now(UTC)
        no_lease = f"grep -q -e --leader-elect=false {manifest}"
        if self.succeeds_on(self.control_plane, f"test ! -e {manifest} || {is_frozen(component)} || {no_lease}"):
            return met()
        if not self.succeeds_on(self.control_plane, f"pgrep -x {component[:15]}"):
            if (now - revived.get(component, since)).total_seconds() >= (REVIVED_SECONDS if component in revived else 0):
                self.revive(component)
                self.delete("Lease", component, "kube-system")
                revived[component] = now
            return unmet(f"{component} ended")
        lease = self.api.get("Lease", "kube-system", component)
        renewed = str(lease.at("spec.renewTime", "")) if lease else ""
        if renewed and datetime.fromisoformat(renewed) >= since:
            return met()
        if renewed and (now - datetime.fromisoformat(renewed)).total_seconds() > GIVEN_UP_SECONDS:
            self.delete("Lease", component, "kube-system")
        return unmet(f"{component} with a lease renewed at {renewed or 'no time'}")

    def restart_clients(self) -> None:
        """Restart kubelets, kube-proxy and CoreDNS: after an outage of the API server, some would reconnect late."""
        for node in self.cluster.nodes():
            self.run_on(node, "systemctl restart kubelet")
        for pod in self.api.list("Pod", "kube-system", "k8s-app in (kube-proxy, kube-dns)").items:
            self.api.delete("Pod", "kube-system", pod.name, {"gracePeriodSeconds": 0})

    def restart_ended(self) -> None:
        """Restart what has exited, and would wait in back-off: programs of the control plane, kube-proxy and CoreDNS.

        Raises:
            HarnessError, Unmet: the API server does not answer yet, or a leader does not renew its lease in time.

        """
        if not self.succeeds_on(self.control_plane, f"pgrep -x {SERVER[:15]}"):
            self.revive(SERVER)
        self.require_leaders()
        for pod in self.api.list("Pod", "kube-system", "k8s-app in (kube-proxy, kube-dns)").items:
            if not pods.is_ready(pod):
                self.api.delete("Pod", "kube-system", pod.name, {"gracePeriodSeconds": 0}, missing_ok=True)

    def require_kubelets(self) -> None:
        """Wait until the kubelet of every Node reports on a new Pod: after an outage of the API server, some reconnect late.

        Raises:
            Unmet: a kubelet does not report in time.

        """
        self.ensure_trial_namespace()
        # Names of their own: Pods of an earlier call may still be ending.
        names = [f"hello-{secrets.token_hex(4)}" for _ in self.cluster.nodes()]
        for name, node in zip(names, self.cluster.nodes(), strict=True):
            pod = manifests.web_pod(name, self.chain_factory.environment.target.nginx)
            self.api.create({**pod, "spec": {**pod["spec"], "nodeName": node}}, TRIAL)
        reporting = Condition[Testbed]("every kubelet to report on its Pod", lambda testbed: testbed.reported(names))
        try:
            self.until("a Pod on each Node", reporting, timeouts.HEALED)
        finally:
            for name in names:
                self.api.delete("Pod", TRIAL, name, {"gracePeriodSeconds": 0}, missing_ok=True)

    def reported(self, names: Sequence[str]) -> Result:
        """Return whether the Pods of these names in the namespace TRIAL have the condition Initialized, which kubelets set."""
        pods = [pod for pod in self.api.list("Pod", TRIAL).items if pod.name in names]
        silent = [str(pod.at("spec.nodeName")) for pod in pods if not pod.condition("Initialized")]
        return expect(not silent, f"no report from {', '.join(silent)}")

    def ensure_trial_namespace(self) -> None:
        """Create the namespace TRIAL and its ServiceAccount, unless it exists."""
        if self.api.get("Namespace", "", TRIAL) is None:
            self.api.create(manifests.namespace(TRIAL, self.chain_factory.labels))
            self.api.create(manifests.service_account(), TRIAL)

    def revive(self, component: str) -> None:
        """Restart a static Pod that exited during an outage of the API server: the kubelet's back-off can last minutes.

        A changed annotation makes it a new Pod, which starts without back-off.
        """
        path = f"{MANIFESTS}/{component}.yaml"
        pod: Any = yaml.safe_load(self.run_on(self.control_plane, f"cat {path}"))
        annotations = pod["metadata"].setdefault("annotations", {})
        annotations["kubechain/revived"] = str(int(annotations.get("kubechain/revived", "0")) + 1)
        self.write_on(self.control_plane, path, yaml.safe_dump(pod))

    def require_working_chain(self) -> None:
        """Wait until a new chain works: every backend answers at every nodePort, its name resolves, its Pods can be deleted.

        Raises:
            Unmet, Blocked: a condition is not met within its usual timeout.

        """
        waiter = self.chain_factory.waiter()
        self.chain_factory.gatekeeper = Gatekeeper()
        with self.chain_factory.chain(waiter) as chain:
            self.chain_factory.gatekeeper.admit(gated([Link.ENDPOINTS]), chain, waiter)
            backends = every_backend(chain.pod_names, WELCOME)
            waiter.eventually(sources.backends_at_nodes(chain), backends)
            client = chain.client
            waiter.eventually(sources.answers(chain, client, WEB), resolves_to(chain.cluster_ip))
            actions.remove(chain, "Deployment", WEB)
            waiter.eventually(chain.objects, pods.count(LABELS, 0))

    def until(self, what: str, condition: Condition[Testbed], timeout: timeouts.Timeout, *, interval: float = 0.3) -> None:
        """Wait until the testbed meets a condition, checked every `interval` seconds; Unmet after the timeout."""
        waiter = self.chain_factory.waiter()
        waiter.eventually(Polled(what, lambda: self, waiter.clock, interval=interval), condition, within=timeout)
