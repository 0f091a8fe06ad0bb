"""The Nodes that are asked during a change: they come, and are asked within seconds; they go, and are asked no more."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from kubechain.core.errors import HarnessError
from kubechain.kube.client import Api
from kubechain.kube.objects import KubeObject
from kubechain.observe.history import History
from kubechain.probes.load import Tally
from kubechain.upgrade import pod_samplers, presence, routes
from kubechain.upgrade.local_sampler import LocalSampler
from kubechain.upgrade.model import Kind, NodeSpan, Route, RouteSamples
from kubechain.upgrade.pod_samplers import PodSampler
from kubechain.upgrade.routes import Place, RouteRequest
from kubechain.upgrade.sample_store import SampleStore
from kubechain.workload import node_reach
from kubechain.workload.chain import Chain
from kubechain.workload.cluster_nodes import serving_address, why_unable
from kubechain.workload.node_sample import SAMPLE

# Source ports are reserved for this many Nodes, or for twice as many as there are at first.
LEAST_ROOM = 6
# What the sampler on a Node asks from there.
KINDS_IN_PODS: tuple[Kind, ...] = ("ClusterIP", "DNS")


@dataclass
class FollowedNodes:
    """The Nodes that are asked: by UID, because another Node may get the same name.

    `nodes` is the history of the Nodes, `owner` the DaemonSet of the samplers in Pods, `local` the sampler on this machine, if
    it reaches a Node; `far` are the UIDs of the Nodes that it does not reach, whose nodePorts are asked from a Pod;
    `without_pods` are those that the DaemonSet or the image of the samplers is not for. With `from_pods`, every nodePort is asked
    from a Pod, and samplers of an earlier run go on with the routes that they have.
    """

    chain: Chain
    nodes: History
    owner: KubeObject
    store: SampleStore
    sampler: str = "data"
    from_pods: bool = False
    local: LocalSampler | None = None
    asked: dict[str, tuple[Place, str]] = field(default_factory=dict[str, tuple[Place, str]])
    in_pods: list[PodSampler] = field(default_factory=list[PodSampler])
    requests: list[RouteRequest] = field(default_factory=list[RouteRequest])
    far: set[str] = field(default_factory=set[str])
    without_pods: set[str] = field(default_factory=set[str])
    ended: set[Route] = field(default_factory=set[Route])
    asker: PodSampler | None = None
    room: int = 0
    _dns: tuple[str, str] | None = None

    def begin(self, names: frozenset[str]) -> None:
        """Ask the Nodes with these names, which were chosen when the change began."""
        self._add([node for node in self.nodes.read().all("Node") if node.name in names], self.chain.api)
        self.room = max(LEAST_ROOM, 2 * len(self.asked))

    def follow(self, api: Api) -> list[str]:
        """Ask new Nodes, and those that are gone no more; return the names of Nodes that serve and have no sampler yet."""
        present = {node.uid: node for node in self.nodes.read().all("Node")}
        new = [node for node in present.values() if node.uid not in self.asked and self._serves(node)]
        alive = [uid for uid in self.asked if uid in present]
        self._add(new[: max(0, SAMPLE - len(alive))], api)
        gone = {uid for uid in self.asked if uid not in present}
        ended = {each.route for each in self.requests if gone.intersection(each.route.nodes)} - self.ended
        self.ended |= ended
        if self.local and (new or ended):
            self.revise(self.local)
        self._start_samplers(api, present)
        if self.far:
            self._hand_on(api, present)
        sampled = {sampler.node.uid for sampler in self.in_pods}
        lacking = [uid for uid in alive if uid not in sampled and uid not in self.without_pods and self._serves(present[uid])]
        return [self.asked[uid][0].name for uid in lacking]

    def revise(self, local: LocalSampler) -> None:
        """Have the local sampler ask the Nodes that there are."""
        self.store.describe(self.sampler, [each.route for each in self.requests])
        local.revise(self.plan())

    def plan(self) -> dict[str, object]:
        """Return the plan of the local sampler."""
        requests = routes.with_source_ports(self.requests, self.room)
        return routes.plan(requests, routes.DATA_INTERVAL, nodes=self._count, ended=self.ended)

    def present(self, sampler: PodSampler) -> bool:
        """Whether the Pod of a sampler exists on a Node that is Ready, so that its samples can be fetched."""
        node = next((each for each in self.nodes.read().all("Node") if each.uid == sampler.node.uid), None)
        pods = self.chain.objects.read().all("Pod")
        return bool(node and node.is_true("Ready") and any(pod.uid == sampler.pod.uid for pod in pods))

    def ready(self) -> frozenset[str]:
        """Return the UIDs of the Nodes that are Ready."""
        return frozenset(node.uid for node in self.nodes.read().all("Node") if node.is_true("Ready"))

    def unasked(self) -> list[Route]:
        """Return routes for each Node that no sampler asks, or asks from, so that none is taken for one that keeps up."""
        sampled = {sampler.node.uid for sampler in self.in_pods}
        inside: list[Route] = [
            Route(kind, "", place.name, reuse=False, nodes=(uid,))
            for uid, (place, _) in self.asked.items()
            if uid not in sampled and uid not in self.without_pods
            for kind in KINDS_IN_PODS
        ]
        ported = {uid for each in self.in_pods for uid in _ported(each)}
        far = self.far - ported if self.chain.node_port else set[str]()
        return [*inside, *(Route("NodePort", self.asked[uid][0].name, "", reuse=False, nodes=(uid,)) for uid in sorted(far))]

    @property
    def _count(self) -> int:
        return max(1, len(self.asked) - len(self.ended) // 2)

    def _serves(self, node: KubeObject) -> bool:
        address = self.chain.cluster_ip
        return self.chain.api.shape.selects(node) and not why_unable(node, address) and presence.absence(node) is None

    def _add(self, nodes: Sequence[KubeObject], api: Api) -> None:
        addresses = {node.uid: serving_address(node, self.chain.cluster_ip) for node in nodes}
        far = set(addresses.values()) if self.from_pods else set[str]()
        far |= node_reach.far(self.chain, addresses.values(), api) if nodes and not self.from_pods else set()
        earlier = self._names() if nodes else {}
        chosen = pod_samplers.chosen(self.owner)
        # Without an answer to this machine or to a Pod, a Node is taken to be like the others.
        as_others = bool(self.asked) and not self.requests
        for node in nodes:
            known = any(place.name == node.name for place, _ in self.asked.values()) or node.name in earlier.values()
            name = earlier.get(node.uid) or (f"{node.name} ({node.uid[:8]})" if known else node.name)
            place, address = Place(name, node.uid), addresses[node.uid]
            self.asked[node.uid] = place, address
            # In a large cluster, a Node that takes the place of another is asked at its nodePort alone.
            with_pod = self.chain.api.shape.runs_on(node) and (not chosen or node.name in chosen)
            self.without_pods |= set() if with_pod else {node.uid}
            if address in far or as_others:
                self.far.add(node.uid)
            else:
                self.requests += routes.node_port(self.chain, place, address)

    def _start_samplers(self, api: Api, present: dict[str, KubeObject]) -> None:
        uids = {node.name: uid for uid, node in present.items()}
        known = {sampler.pod.uid for sampler in self.in_pods}
        for pod in pod_samplers.ready(self.chain.objects.read().objects, self.owner):
            uid = uids.get(str(pod.at("spec.nodeName")), "")
            if pod.uid in known or uid not in self.asked:
                continue
            sampler = PodSampler(pod, self.chain.namespace, self.asked[uid][0], self.store)
            with contextlib.suppress(HarnessError):
                self._dns = self._dns or pod_samplers.resolver(sampler.probe(api))
                sampler.requests += self._as_before(sampler, routes.from_pod(self.chain, sampler.node, *self._dns))
                sampler.follow(api, self._pod_plan(sampler), self.chain.waiter.clock)
                self.in_pods.append(sampler)

    def _names(self) -> dict[str, str]:
        """Return UID -> the name of a Node in the routes of an earlier run."""
        described = [self.store.described(sampler) for sampler in self.store.samplers()]
        known = [route for of_sampler in described for route in of_sampler if route.nodes]
        return {route.nodes[0]: route.what or route.place for route in known}

    def _as_before(self, sampler: PodSampler, requests: list[RouteRequest]) -> list[RouteRequest]:
        """Return the requests of a sampler: those that it has of an earlier run, at the same places, or else these.

        The request of a route to a Node that is gone is empty.
        """
        places = [self.asked[uid] for uid in self.asked if uid in self.far]
        able = [*requests, *(each for place in places for each in routes.node_port(self.chain, *place, sampler.node))]
        by_route = {each.route: each for each in able}
        before = self.store.described(sampler.pod.name)
        return [by_route.get(route) or RouteRequest(route, {}) for route in before] or requests

    def _pod_plan(self, sampler: PodSampler) -> dict[str, object]:
        asks = sampler is self.asker or any(each.route.kind == "NodePort" for each in sampler.requests)
        requests = routes.with_source_ports(sampler.requests, self.room if asks else 0)
        ended = {each.route for each in sampler.requests if not each.request}
        return routes.plan(requests, routes.DATA_INTERVAL, nodes=self._count, ended=ended)

    def _hand_on(self, api: Api, present: dict[str, KubeObject]) -> None:
        """Have a sampler on a Node that serves ask the nodePorts, where this machine does not reach them; another if it goes."""
        able = [
            each
            for each in self.in_pods
            if each.node.uid in present and self._serves(present[each.node.uid]) and self.present(each)
        ]
        # One that asked for an earlier run goes on.
        asker = self.asker if self.asker in able else max(able, key=lambda each: len(each.requests), default=None)
        if asker is None:
            return
        asks = _ported(asker)
        missing = [self.asked[uid] for uid in self.asked if uid in self.far and uid in present and uid not in asks]
        more = [each for place, address in missing for each in routes.node_port(self.chain, place, address, asker.node)]
        self.asker = asker
        if more:
            asker.requests += more
            try:
                asker.follow(api, self._pod_plan(asker), self.chain.waiter.clock)
            except HarnessError:
                # It may have the new plan or the one from before; the next attempt has the same routes at the same places.
                del asker.requests[-len(more) :]

    def samples(self, spans: tuple[NodeSpan, ...], began: float, ended: float) -> list[RouteSamples]:
        """Return the samples from `began` to `ended` (Unix seconds) that count, of every route that counted at some time."""
        tallies = [*self.store.tallies(), *((route, Tally(route.name, ())) for route in self.unasked())]
        found = (presence.counted(route, tally, spans, began, ended) for route, tally in tallies)
        return [each for each in found if each]


def _ported(sampler: PodSampler) -> set[str]:
    """Return the UIDs of the Nodes whose nodePorts a sampler in a Pod asks."""
    return {uid for each in sampler.requests if each.route.kind == "NodePort" for uid in each.route.nodes[:1]}
