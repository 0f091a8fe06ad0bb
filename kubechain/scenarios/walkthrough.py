"""The walkthrough from an image to a Service that answers: commands as a person types them, in a namespace of their own."""

from __future__ import annotations

import shlex
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from string import Template

from kubechain.claims.claim import Link
from kubechain.claims.obstacles import Obstacle, refuser
from kubechain.conditions import endpoints, pods
from kubechain.conditions.admission import changes
from kubechain.conditions.condition import met
from kubechain.conditions.http import Page
from kubechain.conditions.objects import any_event, happened, one
from kubechain.conditions.printed import Printed
from kubechain.conditions.services import node_port
from kubechain.conditions.timeouts import Timeout
from kubechain.core.errors import Blocked, HarnessError, NoProgram, NotApplicable, Transient, Unmet
from kubechain.core.process import Completed, TookTooLong
from kubechain.kube.creation import CREATE_SECONDS, persistently
from kubechain.kube.errors import ApiRefused, ApiUnavailable
from kubechain.kube.families import family_of
from kubechain.kube.objects import Json, KubeObject
from kubechain.observe.history import History
from kubechain.observe.wait import Polled
from kubechain.probes.kubectl import Kubectl
from kubechain.probes.kubectl_errors import error_of, status_in_pod
from kubechain.workload import manifests, sources, stock, unpromised
from kubechain.workload.asked_nodes import AskedNodes
from kubechain.workload.chain import Chain
from kubechain.workload.factory import ChainFactory
from kubechain.workload.gates import ASKED_AGAIN
from kubechain.workload.manifests import CONTAINER_PORT, WEB
from kubechain.workload.obstruction import obstacle, taken_away
from kubechain.workload.stock import LABELS, NGINX
from kubechain.workload.urls import url

# https://kubernetes.io/docs/concepts/security/pod-security-standards/#baseline
STANDARD = {"pod-security.kubernetes.io/enforce": "baseline"}
# Seconds between two readings of what a command prints.
AGAIN_SECONDS = 0.3
# Verb of a command that makes something -> the link that is broken if it fails, and the kind of what it makes.
MAKES = {"create": (Link.DEPLOYMENT, "Deployment"), "expose": (Link.SERVICE, "Service"), "run": (Link.PODS, "Pod")}
LASTS = Timeout(2, "without a probe, a container that ends at once is ready until the kubelet looks again, a second later")
Outcome = Completed | Exception


@dataclass(frozen=True)
class Walkthrough:
    """What was typed so far, in the namespace of `chain`, and what came of it: command -> output, or what went wrong.

    In a command, $IMAGE stands for the image of nginx, and $POD for the first of its Pods.
    """

    chain: Chain
    # The chain that all claims share: requests to Nodes come from its client Pod where this machine does not reach them.
    shared: Chain
    kubectl: Kubectl
    outcomes: dict[str, Outcome] = field(default_factory=dict[str, Outcome])
    # Labels of Pods -> why they do not run.
    never_ready: dict[str, Exception] = field(default_factory=dict[str, Exception])

    @property
    def objects(self) -> History:
        """The watched objects of the namespace."""
        return self.chain.objects

    @property
    def pods(self) -> tuple[KubeObject, ...]:
        """The ready Pods of the Deployment as last watched."""
        return pods.ready_pods(self.objects.read(), LABELS)

    @property
    def replicas(self) -> int:
        """The number of Pods that the Deployment asks for as it is stored."""
        return int(self.chain.present("Deployment", NGINX).at("spec.replicas"))

    @property
    def service(self) -> KubeObject:
        """The Service as last watched."""
        return self.chain.present("Service", NGINX)

    def types(self, command: str) -> str:
        """Type a command, and return what it prints to stdout; one that was typed before is not typed again.

        Raises:
            Unmet: the API server refuses it.
            NotApplicable: a policy of the cluster refuses it, or an image lacks the program.
            HarnessError: the API server is not reached, or kubectl does not work.

        """
        if command not in self.outcomes:
            try:
                self.outcomes[command] = self._typed(command)
                self._await_made(command)
            except Exception as error:
                self.outcomes[command] = error
                raise
        outcome = self.outcomes[command]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome.stdout

    def ahead(self, command: str) -> None:
        """Type a command whose result a later claim waits for; what goes wrong, that claim says."""
        with suppress(HarnessError, Unmet, NotApplicable):
            self.types(command)

    def after(self, *commands: str) -> Walkthrough:
        """Type those of the commands that no claim before has typed; Blocked by its link if one is refused."""
        for command in commands:
            try:
                self.types(command)
            except Unmet as unmet:
                raise Blocked(MAKES[_verb(command)][0], str(unmet)) from unmet
        return self

    def with_pods(self) -> Walkthrough:
        """Wait until the Pods of the Deployment run; Blocked by PODS if they do not; see `await_pods`."""
        try:
            self.await_pods(LABELS, self.replicas)
        except Unmet as unmet:
            raise Blocked(Link.PODS, str(unmet)) from unmet
        return self

    def await_pods(self, labels: Mapping[str, str], count: int) -> None:
        """Wait until exactly `count` Pods with these labels run, and go on running; once for all claims.

        Raises:
            Unmet: they do not become ready.
            NotApplicable: the cluster refuses such Pods, has no room, or the image does not run as it is.

        """
        failed = self.never_ready.get(str(labels))
        if failed:
            raise failed
        runs, waiter = stock.running(labels, count), self.chain.waiter
        try:
            waiter.eventually(self.objects, runs)
            begun = self.objects.first_met(lambda state: runs(state).met, 0.0)
            left = LASTS.seconds - (waiter.clock.now() - begun) if begun else LASTS.seconds
            if left > 0:
                waiter.consistently(self.objects, runs, during=Timeout(left, LASTS.reason))
        except Unmet as unmet:
            if taken := taken_away(self.chain.api, self.chain.namespace):
                raise Blocked(Obstacle.NAMESPACE, taken) from unmet
            found = obstacle(self.objects, [self.chain.image])
            why = found[1] if found else stock.why_not_run(self.objects.read(), labels)
            error = NotApplicable(f"needs Pods that run as kubectl makes them: {why}") if why else unmet
            self.never_ready[str(labels)] = error
            raise error from unmet

    def prints(self, command: str) -> Polled[Printed]:
        """Return a source of what a command that changes nothing prints; it is typed at each reading."""

        def read() -> Printed:
            try:
                done = self._run(command)
            except TookTooLong as error:
                raise Transient(str(error)) from error
            if status_in_pod(done) is None:
                raise self._told(command, error_of(done))
            return Printed(done.stdout, done.stderr, self.objects.read())

        return Polled(f"`{command}`", read, self.chain.waiter.clock, interval=AGAIN_SECONDS)

    def kept(self, sent: Json) -> KubeObject:
        """Return an object that a command made, by the manifest that it sends; NotApplicable if admission has changed that."""
        stored = self.chain.present(sent["kind"], sent["metadata"]["name"])
        if self.chain.admission:
            self.chain.admission.require_unchanged((change, stored) for change in changes(sent, stored))
        return stored

    @property
    def asked(self) -> AskedNodes:
        """The Nodes whose nodePorts are asked."""
        return self.shared.asked_at(str(self.service.at("spec.clusterIP")))

    def require_events(self, *reasons: str) -> None:
        """Wait for Events of the Pods; NotApplicable where no component records any, or on a cluster of others not these."""
        # The chain that all share has been up for longer.
        if not any_event()(self.shared.objects.read()).met:
            raise NotApplicable("needs Events, of which this cluster records none")
        unpromised.require_events(self.chain, self.chain.waiter.eventually, happened("Pod", LABELS, *reasons))

    def require_endpoints(self) -> None:
        """Block the claim by ENDPOINTS if those of the chain that all share are wrong, too: its claims say so."""
        listed = endpoints.endpoints_list_exactly(WEB, manifests.LABELS, CONTAINER_PORT, self.shared.replicas)
        try:
            self.chain.waiter.eventually(self.shared.objects, listed, within=ASKED_AGAIN)
        except Unmet as unmet:
            raise Blocked(Link.ENDPOINTS, str(unmet)) from unmet

    def curl_nodes(self) -> Polled[list[Page]]:
        """Return a source of what `curl http://NODE:PORT` answers at the address of each Node and the nodePort."""
        port = node_port(self.service)
        return sources.pages_at(self.shared, {name: url(address, port) for name, address in self.asked.addresses.items()})

    def require_served(self) -> None:
        """Raise NotApplicable if nginx does not listen at port 80, as an image of the user may not."""
        place = self.chain.inside(self.pods[0])
        try:
            sockets = place.run("cat", "/proc/net/tcp", "/proc/net/tcp6").stdout
        except NoProgram as lacking:
            raise NotApplicable(f"needs to know whether the image of nginx listens at port 80: {lacking}") from lacking
        family = family_of(str(self.service.at("spec.clusterIP")))
        if not stock.listens(sockets, family):
            raise NotApplicable(f"needs an image of nginx that listens at port 80 as it is, over {family}: {self.chain.image}")

    def _typed(self, command: str) -> Completed:
        unclear = False

        def attempt() -> Completed:
            nonlocal unclear
            done = self._run(command)
            if status_in_pod(done) is not None:
                return done
            error = error_of(done)
            if isinstance(error, ApiUnavailable):
                unclear = True
            # An attempt whose answer was lost has done it.
            elif unclear and isinstance(error, ApiRefused) and error.reason == _done_before(command):
                return done
            raise error

        try:
            return persistently(attempt, CREATE_SECONDS)
        except TookTooLong:
            if _verb(command) != "delete":
                raise
            # It waits until the object is gone; what is still there then, the claim says.
            return Completed((command,), 0, "", "")
        except (ApiRefused, ApiUnavailable, NoProgram) as error:
            raise self._told(command, error) from error

    def _await_made(self, command: str) -> None:
        """Wait until the watch shows what a command has made."""
        if _verb(command) in MAKES:
            name = next(word for word in shlex.split(command)[2:] if word != "deployment")
            self.chain.waiter.eventually(self.objects, one(MAKES[_verb(command)][1], name, "to be there", lambda _: met()))

    def _run(self, command: str) -> Completed:
        names = {"IMAGE": self.chain.image, **({"POD": self.pods[0].name} if "$POD" in command else {})}
        words = shlex.split(Template(command).substitute(names))[1:]
        return self.kubectl.attempt(self.chain.namespace, words)

    def _told(self, command: str, error: Exception) -> Exception:
        """Return what an error of kubectl means for a claim."""
        by = refuser(str(error))
        if by:
            return NotApplicable(f"needs `{command}`, which is refused by {by}: {error}")
        if isinstance(error, NoProgram):
            return NotApplicable(f"needs an image with the program: {error}")
        if isinstance(error, ApiRefused) and not error.of_the_account:
            return Unmet(f"expected the API server to accept `{command}`, got {error.detail}")
        return error


def _done_before(command: str) -> str:
    """Return the reason of a refusal that says that an earlier attempt of a command has succeeded."""
    return "NotFound" if _verb(command) == "delete" else "AlreadyExists"


def _verb(command: str) -> str:
    """Return what a command of kubectl does, such as "create"."""
    return command.split()[1]


@contextmanager
def walkthrough(chain_factory: ChainFactory, shared: Chain, kubectl: Kubectl) -> Generator[Walkthrough]:
    """Make the namespace of a walkthrough; delete it after the body.

    Raises:
        NotApplicable: the cluster refuses the namespace, or a Deployment or a Pod as kubectl makes them.

    """
    try:
        with chain_factory.unmade(chain_factory.waiter(), STANDARD) as chain:
            stock.require_accepted(chain)
            yield Walkthrough(chain, shared, kubectl)
    except ApiRefused as refused:
        by = refuser(refused.detail)
        if not by:
            raise
        raise NotApplicable(
            f"needs a namespace with the Pod Security Standard baseline, refused by {by}: {refused.detail}"
        ) from refused
