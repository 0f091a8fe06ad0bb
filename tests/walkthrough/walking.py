"""A walkthrough on a cluster on loopback: its claims, and what the tests that try them are made of."""

import shutil
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from fixtures.chain import Create
from kubechain.claims.requirements import Environment
from kubechain.cluster.target import Target
from kubechain.conditions.condition import Condition, expect
from kubechain.conditions.objects import present
from kubechain.conditions.timeouts import CONTROLLER, Timeout
from kubechain.core.run import RUN_LABEL
from kubechain.kube.client import Api
from kubechain.kube.objects import Json, KubeObject, NamespaceState
from kubechain.observe.clock import RealClock
from kubechain.observe.pace import Pace
from kubechain.observe.wait import Waiter
from kubechain.probes.kubectl import Kubectl
from kubechain.scenarios.walkthrough import Walkthrough, walkthrough
from kubechain.workload import actions
from kubechain.workload.chain import Chain
from kubechain.workload.factory import ChainFactory
from kubechain.workload.gates import Gatekeeper
from suites.walkthrough import test_walkthrough as suite
from tests.hostile.access import CONTEXT, with_token
from tests.hostile.acts import Meant
from tests.hostile.cluster import Cluster, cluster

RUN = "0a1b2c3d"
IMAGE = "nginx:1.29"
# Of the timeouts of the claims: the cluster acts at once.
PATIENCE = 0.1
# Of claims that must hold: on a loaded machine the cluster does not act at once.
PATIENT = 1.0
# Of a claim that must fail, each wait ends after so long: as long as the data plane gets, with PATIENCE.
VAIN_SECONDS = 2.0
NO_EVENT = Condition[NamespaceState]("no Event", lambda state: expect(not state.all("Event"), "some"), CONTROLLER)


class Brief(Pace):
    """The pace of a claim that must fail: no wait in vain lasts longer than VAIN_SECONDS."""

    def limit(self, timeout: Timeout, patience: float = 1.0) -> Timeout:
        """Return the timeout, or VAIN_SECONDS."""
        usual = super().limit(timeout, patience)
        return Timeout(min(usual.seconds, VAIN_SECONDS), usual.reason)


@contextmanager
def clean_cluster(folder: Path) -> Generator[Cluster]:
    """Run a cluster, of which every Pod of a run is gone in the end."""
    with cluster(folder, with_token(folder)) as made:
        yield made
        # A Pod may still end when its test does.
        for _ in range(200):
            if not made.store.all("Pod"):
                return
            made.api.closed.wait(0.05)
        assert made.store.all("Pod") == []


@contextmanager
def factory_on(server: Cluster, folder: Path) -> Generator[ChainFactory]:
    """Yield the factory of a run on the cluster, as on one that this project has made."""
    api = Api(server.kubeconfig, CONTEXT, folder / "secrets")
    target = Target("c", str(server.kubeconfig), CONTEXT, "", "u", owned=True, temporary=False, nginx=IMAGE, client="c:1")
    environment = Environment(target, tuple(api.list("Node").items), "host", disruptive=False)
    waiter = Waiter(RealClock(), patience=PATIENCE)
    factory = ChainFactory(api, environment, {RUN_LABEL: RUN}, f"kubechain-{RUN}-main", frozenset(), waiter, Gatekeeper())
    yield factory
    factory.end()
    api.close()


@contextmanager
def creating() -> Generator[Create]:
    """Yield what creates objects as the fixture of claims does; they are removed in the end."""
    with ExitStack() as stack:

        def one(chain: Chain, manifest: Json) -> KubeObject:
            made = chain.api.create(manifest, chain.namespace)
            stack.callback(actions.remove, chain, made.kind, made.name)
            chain.waiter.eventually(chain.objects, present(made))
            return made

        yield one


@contextmanager
def begun(factory: ChainFactory) -> Generator[Walkthrough]:
    """Yield a walkthrough, beside a chain that is up."""
    kubectl = Kubectl(Path(shutil.which("kubectl") or ""), factory.api.for_kubectl(), CONTEXT)
    with factory.chain(factory.waiter()) as shared, walkthrough(factory, shared, kubectl) as made:
        yield made


CLAIMS: dict[str, Callable[[Walkthrough], None]] = {
    "WALK-DEPLOYMENT-010": lambda walk: suite.test_create_deployment(walk, walk.chain.waiter.eventually),
    "WALK-DEPLOYMENT-020": lambda walk: suite.test_describe_deployment(walk, walk.chain.waiter.eventually),
    "WALK-REPLICASET-010": lambda walk: suite.test_describe_replica_set(walk, walk.chain.waiter.eventually),
    "WALK-PODS-010": lambda walk: suite.test_get_deployment_replicasets_pods(walk, walk.chain.waiter.eventually),
    "WALK-PODS-020": lambda walk: suite.test_describe_pods(walk, walk.chain.waiter.eventually),
    "WALK-PODS-030": lambda walk: suite.test_describe_pod_prints_its_events(walk, walk.chain.waiter.eventually),
    "WALK-SERVICE-010": lambda walk: suite.test_expose_deployment(walk, walk.chain.waiter.eventually),
    "WALK-SERVICE-020": lambda walk: suite.test_get_service(walk, walk.chain.waiter.eventually),
    "WALK-ENDPOINTS-010": lambda walk: suite.test_get_endpoints(walk, walk.chain.waiter.eventually),
    "WALK-ENDPOINTS-020": lambda walk: suite.test_get_endpointslices(walk, walk.chain.waiter.eventually),
    "WALK-NODEPORT-010": lambda walk: suite.test_curl_node(walk, walk.chain.waiter.eventually),
    "WALK-ENV-010": suite.test_environment_of_a_later_pod,
    "WALK-DNS-010": lambda walk: suite.test_curl_by_name(walk, walk.chain.waiter.eventually),
    "WALK-DELETION-010": lambda walk: suite.test_delete_service(walk, walk.chain.waiter.eventually),
    "WALK-DELETION-020": lambda walk: suite.test_delete_deployment(walk, walk.chain.waiter.eventually),
}


def of_kubectl(verb: str, kind: str) -> Meant:
    """Requests of kubectl are meant."""
    return lambda request: request.is_(verb, kind) and request.headers.get("user-agent", "").startswith("kubectl")
