"""The samplers in Pods, one on each Node: a DaemonSet, their plans, and their samples, which are fetched while they run."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from kubechain.conditions.pods import is_ready
from kubechain.core.errors import HarnessError
from kubechain.kube.client import Api
from kubechain.kube.objects import Json, KubeObject
from kubechain.observe.clock import Clock
from kubechain.probes.pod import PodProbe
from kubechain.upgrade.model import Route
from kubechain.upgrade.routes import Place, RouteRequest
from kubechain.upgrade.sample_store import SampleStore
from kubechain.upgrade.sampler_manifests import HOME, SAMPLER, config_map, daemon_set
from kubechain.workload import actions
from kubechain.workload.chain import Chain

CHUNK = 2_000_000
# Clocks that differ less are taken for the same.
CLOCK_SECONDS = 1.0


@dataclass
class PodSampler:
    """A sampler in a Pod on a Node; its samples are in the store under the name of the Pod, which no other Pod has."""

    pod: KubeObject
    namespace: str
    node: Place
    store: SampleStore
    requests: list[RouteRequest] = field(default_factory=list[RouteRequest])

    @property
    def routes(self) -> list[Route]:
        """The routes that it samples."""
        return [each.route for each in self.requests]

    def probe(self, api: Api) -> PodProbe:
        """Return the probe from its Pod."""
        return PodProbe(api, self.namespace, self.pod.name, self.pod.container)

    def follow(self, api: Api, plan: Json, clock: Clock) -> None:
        """Have it sample a plan, whose routes are `routes`; HarnessError if that is not possible now."""
        self.store.describe(self.pod.name, self.routes)
        script = f'printf %s "$1" > {HOME}/new && mv {HOME}/new {HOME}/plan.json && date +%s.%N'
        asked = clock.wall()
        done = self.probe(api).run("sh", "-c", script, "sh", json.dumps(plan))
        if done.status != 0:
            raise HarnessError(f"the plan of the sampler in pod {self.pod.name}: status {done.status}: {done.stderr.strip()}")
        seconds = ahead(done.stdout, asked, clock.wall())
        # The times of a sampler are by the clock of its Node, as that was when it began.
        if seconds and not self.store.have(self.pod.name):
            self.store.set_clock(self.pod.name, seconds)

    def fetch(self, api: Api) -> None:
        """Fetch the new part of its samples; HarnessError if that is not possible now."""
        file, probe = self.store.file(self.pod.name), self.probe(api)
        while True:
            have = self.store.have(self.pod.name)
            words = ["sh", "-c", f"tail -c +{have + 1} {HOME}/out 2>/dev/null | head -c {CHUNK}"]
            new = probe.must_run(*words).encode()
            with file.open("ab") as out:
                out.write(new)
            if len(new) < CHUNK // 2:
                return


def ahead(shown: str, asked: float, answered: float) -> float:
    """Return by how many seconds a clock is ahead that showed a time between two moments of this one (Unix seconds).

    It is 0.0 for a clock that may be right to CLOCK_SECONDS, and for what is no time.
    """
    try:
        most, least = float(shown) - asked, float(shown) - answered
    except ValueError:
        return 0.0
    return 0.0 if least <= CLOCK_SECONDS and most >= -CLOCK_SECONDS else (least + most) / 2


@contextmanager
def running(chain: Chain, only: Sequence[str], *, stay: bool = False) -> Generator[KubeObject]:
    """Run the DaemonSet of samplers during the body; each waits for its plan. `only` are the names of its Nodes, () for all.

    With `stay`, the DaemonSet of an interrupted run goes on, and that of a body that is interrupted stays.
    """
    before = chain.api.get("DaemonSet", chain.namespace, SAMPLER) if stay else None
    stays = stay
    try:
        yield before or _create(chain, only)
        stays = False
    finally:
        if not stays:
            for kind in ("DaemonSet", "ConfigMap"):
                with contextlib.suppress(HarnessError):
                    actions.remove(chain, kind, SAMPLER)


def _create(chain: Chain, only: Sequence[str]) -> KubeObject:
    for kind in ("DaemonSet", "ConfigMap"):
        actions.remove(chain, kind, SAMPLER)
    chain.api.create(config_map(), chain.namespace)
    return chain.api.create(daemon_set(chain.client_image, only), chain.namespace)


def ready(objects: Sequence[KubeObject], owner: KubeObject) -> list[KubeObject]:
    """Return the ready Pods of the DaemonSet `owner`, without those of an interrupted run that are still being deleted."""
    pods = [each for each in objects if each.kind == "Pod" and each.labels.get("app") == SAMPLER]
    return [pod for pod in pods if is_ready(pod) and (pod.controller or {}).get("uid") == owner.uid]


def chosen(owner: KubeObject) -> frozenset[str]:
    """Return the names of the Nodes that the DaemonSet `owner` is for, none if it is for every Node that it can be on."""
    path = "spec.template.spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms"
    terms: list[Json] = owner.at(path, []) or []
    fields: list[Json] = [field for term in terms for field in term.get("matchFields", [])]
    return frozenset(str(name) for field in fields for name in field["values"])


def resolver(pod: PodProbe) -> tuple[str, str]:
    """Return the cluster's DNS domain and the address of its DNS server, from the resolv.conf of a Pod."""
    words = pod.resolver().split()
    return pod.domain(), words[words.index("nameserver") + 1]
