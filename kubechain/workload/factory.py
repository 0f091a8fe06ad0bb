"""Make the chains of one process, each in a namespace of its own, and delete them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace

from kubechain.claims.chain_records import ChainRecord
from kubechain.claims.claim import Link
from kubechain.claims.obstacles import Obstacle, refuser
from kubechain.claims.requirements import ADDONS, Environment
from kubechain.cluster.target import Target
from kubechain.kube.client import Api
from kubechain.kube.objects import Json, KubeObject
from kubechain.observe.changes import latest
from kubechain.observe.protocols import WatchedNamespace
from kubechain.observe.shared_watcher import SharedWatcher
from kubechain.observe.wait import Waiter
from kubechain.workload import manifests, namespace
from kubechain.workload.admission import Admission
from kubechain.workload.chain import CLIENT, Chain
from kubechain.workload.chains_ahead import ChainsAhead
from kubechain.workload.cluster_nodes import ClusterNodes
from kubechain.workload.gates import Gatekeeper, gated
from kubechain.workload.hand_overs import hand_overs
from kubechain.workload.obstruction import taken_away
from kubechain.workload.reached import Reached
from kubechain.workload.service_manifests import CLUSTER_IP, NODE_PORT

# Kind of an object that a chain creates -> the link that is broken if the API server refuses it.
LINKS = {"Service": Link.SERVICE, "Deployment": Link.DEPLOYMENT}


def pulled_images(target: Target) -> frozenset[str]:
    """Return the images that the Nodes pull themselves: none on a cluster whose Nodes the run has given its images."""
    return frozenset() if target.owned else frozenset([target.nginx, target.client])


@dataclass
class ChainFactory:
    """Makes chains in an environment.

    `prefix` and `labels` are those of their namespaces, `image_ids` the digests of the nginx image, `patient` the waiter that
    `waiter` copies, `gatekeeper` knows the broken links, `namespaces` are the names of all namespaces that were made,
    `chains` the records of the chains that have ended, `reached` is what is known of the Nodes of a cluster of others, and
    `more_to_come` says how many of the next claims need a new chain.
    """

    api: Api
    environment: Environment
    labels: dict[str, str]
    prefix: str
    image_ids: frozenset[str]
    patient: Waiter
    gatekeeper: Gatekeeper
    namespaces: list[str] = field(default_factory=list[str])
    chains: list[ChainRecord] = field(default_factory=list[ChainRecord])
    reached: Reached | None = None
    more_to_come: Callable[[], int] = lambda: 0
    _admission: Admission | None = None
    _cluster_nodes: ClusterNodes | None = None
    _refused: set[str] = field(default_factory=set[str])
    _ahead: ChainsAhead | None = None
    _naming: threading.Lock = field(default_factory=threading.Lock)
    # In a namespace that exists: the only chain there.
    _only: ExitStack | None = None

    @property
    def admission(self) -> Admission:
        """Who may change objects before they are stored."""
        self._admission = self._admission or Admission(self.api, self.environment.access, self.environment.target.owned)
        return self._admission

    @property
    def cluster_nodes(self) -> ClusterNodes:
        """The Nodes of the cluster at every moment."""
        target = self.environment.target
        if self._cluster_nodes is None:
            own = target.name if target.owned else ""
            # A run in one namespace looks at nothing outside of it.
            configured = not (own or target.namespace or self.environment.access.lacking(ADDONS.rights))
            self._cluster_nodes = ClusterNodes(self.api, self.patient.clock, self.environment.nodes, own, configured)
        return self._cluster_nodes

    def waiter(self) -> Waiter:
        """Return a waiter for what several claims share, with a record of its own."""
        return replace(self.patient, record=[])

    @contextmanager
    def chain(
        self, waiter: Waiter, deployment: Json | None = None, *, ended: Callable[[], object] = lambda: None
    ) -> Generator[Chain]:
        """Make a chain with the given Deployment, or the default, and do not wait for it; delete it after the body.

        In a namespace that exists there is one chain at a time: the one before is deleted, also if its body goes on. `ended` is
        called before the chain is deleted.
        """
        if self.environment.target.namespace and self._only:
            self._only.close()
        with ExitStack() as stack:
            made = stack.enter_context(self._made(self.api, waiter, deployment))
            stack.callback(ended)
            self._only = stack
            yield made

    @contextmanager
    def _made(self, api: Api, waiter: Waiter, deployment: Json | None) -> Generator[Chain]:
        with (
            namespace.namespace(api, self.environment, self._name(), self.labels, waiter) as observer,
            self._populated(api, observer, waiter, deployment) as chain,
        ):
            yield chain

    @contextmanager
    def beside(self, api: Api, shared: SharedWatcher, waiter: Waiter) -> Generator[Chain]:
        """Make one of many chains, without a client Pod and without watches of its own; delete it after the body.

        May be called in several threads, each with an API client of its own.
        """
        name = self._name()
        view = shared.view(name)
        try:
            with namespace.empty(api, name, self.labels):
                namespace.furnish(api, self.environment, name)
                with self._populated(api, view, waiter, None, client=False) as chain:
                    # The Nodes as they were at the beginning: they are read by a client that threads cannot share.
                    yield replace(chain, api=api, cluster_nodes=None)
        finally:
            view.close()
            namespace.end(api, name, latest(view.history.log()).all("Pod"))

    @contextmanager
    def _populated(
        self, api: Api, observer: WatchedNamespace, waiter: Waiter, deployment: Json | None, *, client: bool = True
    ) -> Generator[Chain]:
        """Make the objects of a chain in a namespace; after the body, record its hand-overs."""
        target, name = self.environment.target, observer.history.namespace
        manifest, made = deployment or manifests.deployment(target.nginx), list[KubeObject]()
        kind = NODE_PORT if self.environment.node_ports else CLUSTER_IP
        bodies = [body for body in namespace.objects(target, manifest, kind) if client or body["kind"] != "Pod"]
        refused = namespace.populate(api, name, bodies, once=self._refused, made=made)
        stored = {each.kind: each for each in made}
        if deployment and "Deployment" in stored:
            self.admission.require_kept(deployment, stored["Deployment"])
        self._refused.update(refused)
        by_policy = next((message for message in refused.values() if refuser(message)), "")
        if refused and (taken := taken_away(api, name)):
            self.gatekeeper.shut(Obstacle.NAMESPACE, taken)
        elif by_policy:
            self.gatekeeper.shut(Obstacle.ADMISSION, by_policy)
        else:
            self.gatekeeper.refuse({link: refused[kind] for kind, link in LINKS.items() if kind in refused})
        chain = replace(
            self._chain(observer, waiter),
            replicas=int((stored["Deployment"].body if "Deployment" in stored else manifest)["spec"]["replicas"]),
            never_ready={CLIENT: refused["Pod"]} if "Pod" in refused else {},
            begun=waiter.clock.now(),
            sent=tuple(map(self.api.shape.apply, bodies)),
        )
        try:
            yield chain
        finally:
            # A chain that no claim used may be deleted before it is up.
            if self._ahead is None or name not in self._ahead.unused:
                found = hand_overs(chain.objects, chain.answered, chain.refused, loaded=not chain.pulled)
                self.chains.extend(filter(None, [found]))

    def _chain(self, observer: WatchedNamespace, waiter: Waiter) -> Chain:
        """Return a chain in a watched namespace, of which nothing has been made yet."""
        target = self.environment.target
        return Chain(
            self.api,
            observer.history.namespace,
            observer,
            waiter,
            self.environment.nodes,
            self.environment.probe_from,
            target.nginx,
            self.image_ids,
            target.client,
            0,
            node_ports=self.environment.node_ports,
            pulled=pulled_images(target),
            cluster_nodes=self.cluster_nodes,
            admission=self.admission,
            reached=self.reached,
        )

    @contextmanager
    def unmade(self, waiter: Waiter, labels: Mapping[str, str]) -> Generator[Chain]:
        """Make a namespace with more labels, and nothing of its chain; delete it after the body."""
        every = {**self.labels, **labels}
        with namespace.namespace(self.api, self.environment, self._name(), every, waiter) as observer:
            yield self._chain(observer, waiter)

    @property
    def ahead(self) -> ChainsAhead:
        """The chains that are made and deleted while claims go on."""
        self._ahead = self._ahead or ChainsAhead(self.api, self._make_ahead)
        return self._ahead

    def _make_ahead(self, api: Api, deployment: Json | None) -> tuple[ExitStack, Chain]:
        with ExitStack() as stack:
            chain = stack.enter_context(self._made(api, self.waiter(), deployment))
            return stack.pop_all(), chain

    def share(self) -> None:
        """Make what all chains share by the client of this thread."""
        _ = self.admission, self.cluster_nodes

    def prepare(self) -> None:
        """Begin to make the chains of the next claims; in a namespace that exists there is no room for them."""
        count = 0 if self.environment.target.namespace else self.more_to_come()
        if count:
            self.share()
            self.ahead.prepare(count)

    @contextmanager
    def own(self, waiter: Waiter, deployment: Json | None = None) -> Generator[Chain]:
        """Yield a new chain for one claim; without a Deployment, the one that was made during the claims before.

        While it is used, the next one is made. It is deleted while other claims go on.
        """
        if self.environment.target.namespace:
            with self.chain(waiter, deployment) as chain:
                yield chain
            return
        self.share()
        stack, chain = self.ahead.make(deployment) if deployment else self.ahead.take()
        try:
            self.prepare()
            yield replace(chain, waiter=waiter, api=self.api)
        finally:
            self.ahead.close(stack)

    def drop_spare(self) -> None:
        """Delete the chains that were made ahead, and wait until every deletion has begun; raise their first error."""
        if self._ahead:
            self._ahead.drop()

    def end(self) -> None:
        """Delete every chain that is left; raise the first error of a deletion."""
        try:
            self.drop_spare()
        finally:
            if self._ahead:
                self._ahead.end()

    @contextmanager
    def serving(self, waiter: Waiter, deployment: Json | None = None) -> Generator[Chain]:
        """Yield a new chain, as `own`, once its EndpointSlices are up; Blocked if they do not come up."""
        with self.own(waiter, deployment) as chain:
            self.gatekeeper.admit(gated([Link.ENDPOINTS]), chain, waiter)
            yield chain

    @contextmanager
    def empty(self) -> Generator[str]:
        """Make a namespace without a chain, which nobody watches, and yield its name; delete it after the body."""
        name = self._name()
        with namespace.empty(self.api, name, self.labels):
            yield name

    def _name(self) -> str:
        if self.environment.target.namespace:
            return self.environment.target.namespace
        with self._naming:
            name = f"{self.prefix}-{len(self.namespaces)}"
            self.namespaces.append(name)
        return name
