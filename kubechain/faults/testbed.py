"""What faults are made with: the nodes of a kind cluster of the run, and its API."""

from __future__ import annotations

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
# Where a node keeps what a fault has put aside.
ASIDE = "/kind/aside"
# An address in the range of the Pods, but in that of no Node.
NOBODY = "10.244.255.250"
# So long a leader is given to start before it is revived again.
REVIVED_SECONDS = 15.0
# A namespace of the lab's own, labelled as those of the suite, in which things are tried.
TRIAL = "kubechain-trial"
SERVER, MANAGER, SCHEDULER = "kube-apiserver", "kube-controller-manager", "kube-scheduler"
# They end themselves when they cannot renew their lease: within 10 s of their first try (renewDeadline), which comes 2 s
# after they last could (retryPeriod). Whoever comes next waits 15 s for a lease that it finds.
LEADERS = (MANAGER, SCHEDULER)
GIVEN_UP_SECONDS = 13.0


def is_frozen(process: str) -> str:
    """Return a shell command that says by its exit status whether all processes of a name are stopped in their tracks."""
    return f"{{ states=$(ps -o stat= -p $(pgrep -d, -f '^{process}')) && ! echo \"$states\" | grep -qv ^T; }}"


@dataclass(frozen=True)
class Testbed:
    """A cluster that may be broken."""

    cluster: Cluster
    chain_factory: ChainFactory
    folder: Path
    settings: Settings

    @property
    def store(self) -> BuildCache:
        """The store of builds."""
        return store_of(self.settings)

    @property
    def api(self) -> Api:
        """The API of the cluster."""
        return self.chain_factory.api

    @property
    def control_plane(self) -> str:
        """The node of the control plane."""
        return split(self.cluster.nodes())[0]

    @property
    def workers(self) -> list[str]:
        """The other nodes."""
        return split(self.cluster.nodes())[1]

    def nodes(self, which: str) -> list[str]:
        """Return the nodes that are meant by "control-plane", "workers", "worker" (the first of them) or "all"."""
        chosen = {"control-plane": [self.control_plane], "workers": self.workers, "worker": self.workers[:1]}
        return chosen.get(which) or self.cluster.nodes()

    def on(self, node: str, script: str) -> str:
        """Run a shell script on a node and return what it printed; a SetupError if it fails."""
        words = [self.cluster.docker.client, "exec", node, "sh", "-c", script]
        return check(words, timeout=NODE_SECONDS, code=ExitCode.HARNESS, doing=f"`{script[:60]}` on {node}")

    def try_on(self, node: str, script: str) -> bool:
        """Run a shell script on a node and say whether its exit status is 0."""
        return run([self.cluster.docker.client, "exec", node, "sh", "-c", script], timeout=NODE_SECONDS).status == 0

    def failing(self, where: str, script: str) -> list[str]:
        """Return the nodes, of those meant by `where`, on which a shell script does not succeed."""
        return [node for node in self.nodes(where) if not self.try_on(node, script)]

    def write_on(self, node: str, path: str, text: str) -> None:
        """Write a file on a node, at once: a reader sees the old or the new one."""
        # Not beside the file: the kubelet takes every file among the manifests for one.
        script = f"mkdir -p {ASIDE} && cat > {ASIDE}/new && mv {ASIDE}/new {path}"
        words = [self.cluster.docker.client, "exec", "--interactive", node, "sh", "-c", script]
        check(words, timeout=NODE_SECONDS, stdin=text, code=ExitCode.HARNESS, doing=f"writing {path} on {node}")

    def created(self, manifest: Json, namespace: str = "") -> None:
        """Create an object, in place of one of the same name that is there."""
        self.removed(manifest["kind"], manifest["metadata"]["name"], namespace)
        self.api.create(manifest, namespace)

    def removed(self, kind: str, name: str, namespace: str = "") -> None:
        """Delete an object if it is there."""
        self.api.delete(kind, namespace, name, missing_ok=True)

    def require_led(self) -> None:
        """Wait until the API server is ready and the leaders lead that are meant to run; one that has ended is revived.

        Raises:
            Unmet: they do not come to renew their leases.

        """
        since, revived = datetime.now(UTC), dict[str, datetime]()
        led = Condition[Testbed]("every leader to renew its lease", lambda lab: lab.led(since, revived))
        self.until("control plane", led, timeouts.HEALED)

    def led(self, since: datetime, revived: dict[str, datetime]) -> Result:
        """Say whether every leader that is meant to run has renewed its lease since a moment; revive those that have ended.

        `revived` says when each was revived last: it is given REVIVED_SECONDS before that is done again.
        """
        try:
            self.api.call("GET", "/readyz")
            results = [self.leads(component, since, revived) for component in LEADERS]
        except HarnessError as error:
            return unmet(str(error))
        return next((result for result in results if not result.met), met())

    def leads(self, component: str, since: datetime, revived: dict[str, datetime]) -> Result:
        """Say so of one; a lease whose holder has given up is deleted, so that nobody waits for it to run out."""
        manifest, now = f"{MANIFESTS}/{component}.yaml", datetime.now(UTC)
        unled = f"grep -q -e --leader-elect=false {manifest}"
        if self.try_on(self.control_plane, f"test ! -e {manifest} || {is_frozen(component)} || {unled}"):
            return met()
        if not self.try_on(self.control_plane, f"pgrep -x {component[:15]}"):
            if (now - revived.get(component, since)).total_seconds() >= (REVIVED_SECONDS if component in revived else 0):
                self.revive(component)
                self.removed("Lease", component, "kube-system")
                revived[component] = now
            return unmet(f"{component} ended")
        lease = self.api.get("Lease", "kube-system", component)
        renewed = str(lease.at("spec.renewTime", "")) if lease else ""
        if renewed and datetime.fromisoformat(renewed) >= since:
            return met()
        if renewed and (now - datetime.fromisoformat(renewed)).total_seconds() > GIVEN_UP_SECONDS:
            self.removed("Lease", component, "kube-system")
        return unmet(f"{component} with a lease renewed at {renewed or 'no time'}")

    def restart_clients(self) -> None:
        """Have kubelets, kube-proxy and CoreDNS begin anew: after the API server was away, some would ask again late."""
        for node in self.cluster.nodes():
            self.on(node, "systemctl restart kubelet")
        for pod in self.api.list("Pod", "kube-system", "k8s-app in (kube-proxy, kube-dns)").items:
            self.api.delete("Pod", "kube-system", pod.name, {"gracePeriodSeconds": 0})

    def require_kubelets(self) -> None:
        """Wait until the kubelet of every Node takes up a Pod: after the API server was away, some ask again late.

        Raises:
            Unmet: one does not.

        """
        self.make_trial()
        for number, node in enumerate(self.cluster.nodes()):
            pod = manifests.web_pod(f"hello-{number}", self.chain_factory.environment.target.nginx)
            self.created({**pod, "spec": {**pod["spec"], "nodeName": node}}, TRIAL)
        greeted = Condition[Testbed]("every kubelet to take up its Pod", Testbed.greeted)
        self.until("a Pod on each Node", greeted, timeouts.HEALED)
        for number, _ in enumerate(self.cluster.nodes()):
            self.api.delete("Pod", TRIAL, f"hello-{number}", {"gracePeriodSeconds": 0})

    def greeted(self) -> Result:
        """Say whether the kubelets have reported on the Pods that are bound to their Nodes."""
        silent = [str(pod.at("spec.nodeName")) for pod in self.api.list("Pod", TRIAL).items if not pod.condition("Initialized")]
        return expect(not silent, f"no word from {', '.join(silent)}")

    def make_trial(self) -> None:
        """Make the namespace TRIAL, unless it is there."""
        if self.api.get("Namespace", "", TRIAL) is None:
            self.api.create(manifests.namespace(TRIAL, self.chain_factory.labels))
            self.api.create(manifests.service_account(), TRIAL)

    def revive(self, component: str) -> None:
        """Start a static Pod that ended because the API server was away: the kubelet would wait for minutes.

        With another annotation it is another Pod, for which nothing has failed yet.
        """
        path = f"{MANIFESTS}/{component}.yaml"
        pod: Any = yaml.safe_load(self.on(self.control_plane, f"cat {path}"))
        annotations = pod["metadata"].setdefault("annotations", {})
        annotations["kubechain/revived"] = str(int(annotations.get("kubechain/revived", "0")) + 1)
        self.write_on(self.control_plane, path, yaml.safe_dump(pod))

    def require_whole(self) -> None:
        """Wait until a new chain works from end to end: every backend on every Node, the name resolved, all deleted.

        Raises:
            Unmet, Blocked: it does not, within the usual deadlines.

        """
        waiter = self.chain_factory.waiter()
        self.chain_factory.gatekeeper = Gatekeeper()
        with self.chain_factory.chain(waiter) as chain:
            self.chain_factory.gatekeeper.admit(gated([Link.ENDPOINTS]), chain.objects, waiter)
            backends = every_backend(chain.pod_names, WELCOME)
            waiter.eventually(sources.backends_at_nodes(chain), backends)
            client = chain.client
            waiter.eventually(sources.answers(chain, client, WEB), resolves_to(chain.cluster_ip))
            actions.remove(chain, "Deployment", WEB)
            waiter.eventually(chain.objects, pods.count(LABELS, 0))

    def until(self, what: str, condition: Condition[Testbed], deadline: timeouts.Timeout, *, interval: float = 0.3) -> None:
        """Look every `interval` seconds until the lab is as the condition wants it; Unmet if it does not become so."""
        waiter = self.chain_factory.waiter()
        waiter.eventually(Polled(what, lambda: self, waiter.clock, interval=interval), condition, within=deadline)
