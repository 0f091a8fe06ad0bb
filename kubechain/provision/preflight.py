"""Before the first claim: whether the cluster accepts the objects of a run, and has a Node for its Pods.

Each kind of object is sent with dryRun=All, which runs admission and stores nothing
(https://kubernetes.io/docs/reference/using-api/api-concepts/#dry-run), in a namespace that is made for it and deleted again.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import Path

from kubechain.claims.obstacles import NO_DRY_RUN, Obstacle, refuser
from kubechain.claims.requirements import LISTED, Environment, rights_of
from kubechain.claims.rights import ALLOWING, POLICIES, SWEEP
from kubechain.cleanup import marked_objects
from kubechain.cleanup.marked_objects import Space
from kubechain.cluster.access import Access
from kubechain.cluster.target import Target
from kubechain.conditions.condition import Condition, expect
from kubechain.conditions.text import some
from kubechain.conditions.timeouts import Timeout
from kubechain.core.errors import Blocked, HarnessError, Unmet
from kubechain.core.progress import Step
from kubechain.core.run import RUN_LABEL
from kubechain.core.settings import Settings
from kubechain.images import resolve
from kubechain.kube.client import Api
from kubechain.kube.creation import CHANGE_SECONDS, persistently
from kubechain.kube.errors import ApiRefused, ApiUnavailable
from kubechain.kube.objects import Json, KubeObject
from kubechain.kube.rights import right
from kubechain.kube.shape import TEMPLATES, architecture_of
from kubechain.observe.clock import RealClock
from kubechain.observe.wait import Polled, Waiter
from kubechain.provision import taints
from kubechain.workload import manifests, namespace, network_policies, service_manifests
from kubechain.workload.cluster_nodes import other_system
from kubechain.workload.manifests import WEB

PODS = ("Pod", *TEMPLATES)
DEFAULT = "default"
# How `persistently` ends the message of an error.
ATTEMPTS = re.compile(r" \(\d+ attempts in \d+ s\)$")
# Who refuses Pods for other reasons than their uid.
NOT_OF_UID = ("ResourceQuota", "LimitRange", "dead webhook")
# The controller of a new quota has not counted yet.
UNKNOWN_YET = "status unknown for quota"
THERE = Timeout(0, "what is in a namespace that exists is there")
FURNISHED = Timeout(3, "what furnishes new namespaces does so within a second or two")
SERVICE, NODE_PORT_SERVICE = "Service of type ClusterIP", "Service of type NodePort"
HINT = "--overlay adds labels, annotations, tolerations, resources and more (`kubechain docs reference`, The overlay)"


@dataclass(frozen=True)
class Refusal:
    """An object that the cluster refuses, and why, in the words of the API server."""

    kind: str
    what: str
    why: str


@dataclass
class Preflight:
    """The check of one run.

    `api` has the shape of its objects, and gets another one if the cluster demands it; `labels` are those of its namespaces;
    `more` are objects that it makes besides those of a chain.
    """

    api: Api
    environment: Environment
    settings: Settings
    labels: dict[str, str]
    more: Sequence[Json] = ()

    @property
    def access(self) -> Access:
        """What the user may do."""
        return self.environment.access

    @property
    def target(self) -> Target:
        """The cluster."""
        return self.environment.target

    def examine(self, name: str, step: Step) -> Environment:
        """Return the environment with what was found out; `name` is that of the namespace to check in.

        Raises:
            Blocked: the cluster refuses objects (ADMISSION), or no Node takes Pods (ROOM).

        """
        try:
            self._require_nodes(step)
            target = self._examine_objects(name, step)
        except ApiUnavailable as error:
            step.note(f"not known: {error}")
            return self.environment
        return replace(self.environment, target=target)

    def _examine_objects(self, name: str, step: Step) -> Target:
        if self.target.namespace:
            try:
                return self._within(name, step)
            finally:
                # What is left of it is removed with the other objects of the run.
                with suppress(HarnessError):
                    marked_objects.remove_chain(Space(self.api, name, self.access, has_secret=False), self.labels[RUN_LABEL])
        space = manifests.namespace(name, self.labels)
        refused = self._refused([space], "")
        if refused:
            # Nothing can be made in a namespace that does not come to be; what is refused elsewhere completes the list.
            require_accepted([*refused, *self._refused(map(by_default_account, self._objects()), DEFAULT)])
        try:
            self.api.create(space, seconds=0.0)
        except ApiRefused as error:
            step.note(f"not known: {error}")
            return self.target
        except ApiUnavailable:
            self._delete(name)
            raise
        try:
            return self._within(name, step)
        finally:
            self._delete(name)

    def _delete(self, name: str) -> None:
        # What is left of it is removed with the other namespaces of the run.
        with suppress(HarnessError):
            namespace.delete(self.api, name)

    def _within(self, name: str, step: Step) -> Target:
        account = manifests.service_account(namespace.PULL_SECRET if self.target.pull_secret else "")
        refused = self._refused([account], name)
        if not refused:
            self.api.create(account, name, seconds=CHANGE_SECONDS)
        objects = [*self._objects()] if not refused else [*map(by_default_account, self._objects())]
        refused += self._refused(objects, name)
        if any(refusal.kind in PODS and not refuser(refusal.why).startswith(NOT_OF_UID) for refusal in refused):
            fixed = self.api.shape
            self.api.shape = replace(fixed, fixed_uid=False)
            free = self._refused(objects, name)
            self.api.shape = fixed
            # Asked again: what was refused for a moment has nothing to do with the uid.
            if len(free) < len(refused) and len(free) < len(self._refused(objects, name)):
                self.api.shape = replace(fixed, fixed_uid=False)
                refused = free
                step.note("Pods name no uid, because the cluster refuses it")
        require_accepted(refused)
        # Asked here, where the policies are those of the run's namespaces; the answer decides where nginx listens.
        self.environment.families.ask(name)
        return replace(self.target, allow_traffic=self._denied(name, step))

    def _objects(self) -> Iterator[Json]:
        """Yield an object of each sort that the run makes in a namespace."""
        target = self.target
        if target.pull_secret:
            yield namespace.pull_secret(Path(target.pull_secret), target.nginx, target.client)
        yield manifests.nginx_config(ipv6=True)
        if self.settings.node_port:
            yield service_manifests.service(kind=service_manifests.NODE_PORT)
        yield service_manifests.service()
        yield manifests.deployment(target.nginx)
        yield manifests.web_pod(WEB, target.nginx)
        yield manifests.client_pod("client", target.client)
        if self.settings.level == "full":
            if not self.access.lacking([right("create", "poddisruptionbudgets")]):
                yield manifests.disruption_budget(WEB, 1)
            if not self.access.lacking([right("create", "endpointslices")]):
                yield service_manifests.endpoint_slice(WEB, "10.0.0.1", port=service_manifests.CONTAINER_PORT)
        yield from self.more

    def _refused(self, bodies: Iterable[Json], where: str) -> list[Refusal]:
        found = (self._try(body, where) for body in bodies)
        refused = [refusal for refusal in found if refusal]
        # A quota of another namespace says nothing.
        return [each for each in refused if where != DEFAULT or not refuser(each.why).startswith("ResourceQuota")]

    def _try(self, body: Json, where: str) -> Refusal | None:
        """Create an object with dryRun; return its refusal, None if it is accepted or nothing is known."""
        sort = f" of type {body['spec']['type']}" if body["kind"] == "Service" else f" {body['metadata']['name']}"
        what = body["kind"] + ("" if body["kind"] == "Namespace" else sort)
        try:
            persistently(lambda: self._dry_run(body, where), CHANGE_SECONDS)
        except ApiRefused as refused:
            if refused.status == HTTPStatus.UNAUTHORIZED:
                raise
            if refused.status in (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT) or NO_DRY_RUN in refused.detail:
                return None
            return Refusal(body["kind"], what, refused.detail)
        except ApiUnavailable as error:
            if not refuser(str(error)):
                raise
            return Refusal(body["kind"], what, ATTEMPTS.sub("", str(error).rpartition("Internal error occurred: ")[2]))
        return None

    def _dry_run(self, body: Json, where: str) -> None:
        try:
            self.api.create(body, where, dry_run=True)
        except ApiRefused as refused:
            if UNKNOWN_YET in refused.detail:
                raise ApiUnavailable(str(refused)) from refused
            raise

    def _denied(self, name: str, step: Step) -> bool:
        """Whether a NetworkPolicy of the cluster denies traffic in new namespaces, and one of the run may allow it."""
        one = bool(self.target.namespace)
        if self.access.lacking(POLICIES.requirement.rights) or (not one and not self.api.count("NetworkPolicy")):
            return False
        source = Polled("NetworkPolicies", lambda: network_policies.denying(self.api, name), RealClock())
        there = Condition[list[str]]("a NetworkPolicy", lambda names: expect(bool(names), "none"))
        try:
            names = Waiter(RealClock()).eventually(source, there, within=THERE if one else FURNISHED).state
        except Unmet:
            return False
        what = f"NetworkPolicy {some(names)} denies traffic in {f'namespace {name}' if one else 'new namespaces'}"
        # Where others use the namespace, the run makes none that it cannot find again and remove.
        if self.access.lacking(rights_of([ALLOWING.requirement, *([SWEEP.requirement] if one else [])])):
            step.note(f"{what}; the right to create networkpolicies lets the run allow its own")
            return False
        refusal = self._try(network_policies.allow_traffic(self.api.shape.marks), name)
        step.note(f"{what}, and none may allow it: {refusal.why}" if refusal else f"{what}; one of the run allows its own")
        return refusal is None

    def _require_nodes(self, step: Step) -> None:
        """Keep Pods of the run to the Nodes that their images are for.

        Raises:
            Blocked: no Node takes them for its architecture, taints or labels (ROOM).

        """
        if self.access.lacking(LISTED.rights):
            return
        shape = self.api.shape
        selector = shape.node_selector
        # Those of the environment have the labels of --nodes.
        chosen = [node for node in self.environment.nodes if node.matches(selector)]
        if not chosen:
            labels = ",".join(f"{key}={value}" for key, value in selector.items())
            option = f"--nodes={self.settings.nodes}" if shape.selector else f"nodeSelector {labels} in the overlay"
            raise Blocked(Obstacle.ROOM, f"{option}: no Node has these labels: choose others")
        tolerated = shape.overlay.pods.tolerations
        # Pods of the run ask for Linux.
        suitable = self._of_architectures([node for node in chosen if not other_system(node)], step)
        kept_off = [taints.keeping_off(node, tolerated) for node in suitable]
        if suitable and all(kept_off):
            counts = Counter(taints.spelled(each[0]) for each in kept_off)
            listed = some([f"{taint} on {count} of {len(suitable)} Nodes" for taint, count in counts.most_common()])
            hint = f"--tolerate {counts.most_common(1)[0][0]}, or tolerations in the overlay, let Pods run there"
            raise Blocked(Obstacle.ROOM, f"every Node has a taint: {listed}; {hint}")

    def _of_architectures(self, nodes: list[KubeObject], step: Step) -> list[KubeObject]:
        """Return the Nodes that the images of the run are for; where there are others, let its Pods ask for these."""
        served = () if self.target.owned else resolve.architectures(self.settings)
        shape = replace(self.api.shape, architectures=served)
        others = [f"{node.name} ({architecture_of(node)})" for node in nodes if not shape.runs_on(node)]
        if not others:
            return nodes
        images = f"the images are for {' and '.join(served)}"
        if len(others) == len(nodes):
            hint = "name others by --nginx-image, --client-image and --image-architectures"
            raise Blocked(Obstacle.ROOM, f"{images}, and every Node is of another architecture: {some(others)}; {hint}")
        self.api.shape = shape
        step.note(f"no Pods on {some(others)}: {images}")
        return [node for node in nodes if shape.runs_on(node)]


def by_default_account(body: Json) -> Json:
    """Return the object with Pods of the ServiceAccount default, which every namespace has."""
    if body["kind"] == "Pod":
        return {**body, "spec": {**body["spec"], "serviceAccountName": DEFAULT}}
    if body["kind"] in TEMPLATES:
        template = body["spec"]["template"]
        spec = {**template["spec"], "serviceAccountName": DEFAULT}
        return {**body, "spec": {**body["spec"], "template": {**template, "spec": spec}}}
    return body


def require_accepted(refused: Sequence[Refusal]) -> None:
    """Raise Blocked (ADMISSION) with a list of all refusals, those with the same reason together."""
    if not refused:
        return
    reasons: defaultdict[str, list[str]] = defaultdict(list)
    for refusal in refused:
        reasons[refusal.why.partition(" is forbidden: ")[2] or refusal.why].append(refusal.what)
    listed = "; ".join(f"{', '.join(objects)}: {why}" for why, objects in reasons.items())
    hints = [HINT]
    # What is refused to other Services as well is not about nodePorts.
    if any(NODE_PORT_SERVICE in objects and SERVICE not in objects for objects in reasons.values()):
        hints.append("--no-node-port does without nodePorts")
    raise Blocked(Obstacle.ADMISSION, f"{listed} ({'; '.join(hints)})")
