"""What makes the chains of one process, each in a namespace of its own, and removes them."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace

from kubechain.claims.claim import Link
from kubechain.claims.requirements import Environment
from kubechain.kube.client import Api
from kubechain.kube.objects import Json
from kubechain.observe.wait import Waiter
from kubechain.workload import manifests, namespace
from kubechain.workload.chain import CLIENT, Chain
from kubechain.workload.gates import Gatekeeper, gated

# What a chain is made of by its own requests -> the link that breaks if it is refused.
MADE = {"Service": Link.SERVICE, "Deployment": Link.DEPLOYMENT}


@dataclass
class ChainFactory:
    """Makes chains in an environment; `prefix` begins the names of their namespaces, which bear `labels`."""

    api: Api
    environment: Environment
    labels: dict[str, str]
    prefix: str
    image_ids: frozenset[str]
    patient: Waiter
    gatekeeper: Gatekeeper = field(default_factory=Gatekeeper)
    made: list[str] = field(default_factory=list[str])
    _ahead: tuple[ExitStack, Chain] | None = None

    def waiter(self) -> Waiter:
        """Return a wait for what claims share, with a record of its own."""
        return replace(self.patient, record=[])

    @contextmanager
    def chain(self, waiter: Waiter, deployment: Json | None = None) -> Generator[Chain]:
        """Make a chain, with the given Deployment or the plain one, without waiting for it; at the end, delete it."""
        target = self.environment.target
        manifest = deployment or manifests.deployment(target.nginx)
        with namespace.namespace(self.api, target, self._name(), self.labels, waiter) as observer:
            name = observer.history.namespace
            refused = namespace.populate(self.api, target, name, manifest)
            self.gatekeeper.refuse({link: refused[kind] for kind, link in MADE.items() if kind in refused})
            yield Chain(
                self.api,
                name,
                observer,
                waiter,
                self.environment.nodes,
                self.environment.probe_from,
                target.nginx,
                self.image_ids,
                target.client,
                manifest["spec"]["replicas"],
                {CLIENT: refused["Pod"]} if "Pod" in refused else {},
                waiter.clock.now(),
            )

    @contextmanager
    def own(self, waiter: Waiter) -> Generator[Chain]:
        """Hand out a plain chain that nobody else has; it was made while the claim before was under way."""
        held, chain = self._ahead or self._begin()
        self._ahead = self._begin()
        with held:
            yield replace(chain, waiter=waiter)

    def _begin(self) -> tuple[ExitStack, Chain]:
        held = ExitStack()
        return held, held.enter_context(self.chain(self.waiter()))

    def drop_spare(self) -> None:
        """Delete the chain that was made ahead, if there is one."""
        if self._ahead:
            self._ahead[0].close()
            self._ahead = None

    @contextmanager
    def serving(self, waiter: Waiter, deployment: Json | None = None) -> Generator[Chain]:
        """Make a chain and wait until its Endpoints are up; Blocked if they do not come up."""
        with self.chain(waiter, deployment) as chain:
            self.gatekeeper.admit(gated([Link.ENDPOINTS]), chain.objects, waiter, chain.replicas)
            yield chain

    @contextmanager
    def empty(self, waiter: Waiter) -> Generator[str]:
        """Make a namespace with nothing but what every workload needs; yield its name, and delete it at the end."""
        with namespace.namespace(self.api, self.environment.target, self._name(), self.labels, waiter) as observer:
            yield observer.history.namespace

    def remaining(self) -> list[str]:
        """Return which of the namespaces that were made are still there."""
        return [name for name in self.made if self.api.get("Namespace", "", name)]

    def _name(self) -> str:
        name = f"{self.prefix}-{len(self.made)}"
        self.made.append(name)
        return name
