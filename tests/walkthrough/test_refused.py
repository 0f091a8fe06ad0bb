"""Clusters that refuse what kubectl makes, and a kubectl that fails: which claims of the walkthrough are skipped or blocked."""

from collections.abc import Callable
from pathlib import Path

import pytest

from kubechain.core.errors import Blocked, ExitCode, HarnessError, NotApplicable, Unmet
from kubechain.kube.objects import Json
from kubechain.probes.kubectl import Kubectl
from kubechain.scenarios.walkthrough import STANDARD, Walkthrough, walkthrough
from kubechain.workload.factory import ChainFactory
from suites.walkthrough import test_walkthrough as suite
from tests.conftest import NEEDS_KUBECTL
from tests.hostile.access import CONTEXT
from tests.hostile.acts import rule
from tests.hostile.cluster import Cluster
from tests.hostile.containers import Container, Done
from tests.hostile.exchange import Exchange, Request, of_json
from tests.hostile.records_policies import denies
from tests.hostile.store import status_of
from tests.walkthrough.walking import CLAIMS, NO_EVENT, of_kubectl

pytestmark = [NEEDS_KUBECTL, pytest.mark.whole_runs]


def refusing(kind: str) -> Callable[[Json], str]:
    return lambda body: "not like this" if body["kind"] == kind else ""


def test_pods_that_a_policy_refuses_skip_every_claim_before_a_command(factory: ChainFactory, server: Cluster) -> None:
    with factory.chain(factory.waiter()) as shared:
        denies(refusing("Pod"))(server)
        kubectl = Kubectl(Path("none"), Path("none"), CONTEXT)
        with pytest.raises(NotApplicable, match=r"refused by ValidatingAdmissionPolicy usual: .* not like this"):
            walkthrough(factory, shared, kubectl).__enter__()


def test_namespace_that_a_policy_refuses_skips_every_claim(factory: ChainFactory, server: Cluster) -> None:
    with factory.chain(factory.waiter()) as shared:
        denies(lambda body: "no such label" if STANDARD.items() <= body["metadata"].get("labels", {}).items() else "")(server)
        with pytest.raises(NotApplicable, match="Pod Security Standard baseline, refused by ValidatingAdmissionPolicy usual"):
            walkthrough(factory, shared, Kubectl(Path("none"), Path("none"), CONTEXT)).__enter__()


def test_command_that_a_policy_refuses_skips_its_claim_and_those_after_it(walk: Walkthrough, server: Cluster) -> None:
    denies(refusing("Service"))(server)
    for name in ("WALK-SERVICE-010", "WALK-ENDPOINTS-010", "WALK-DELETION-010"):
        with pytest.raises(NotApplicable, match=r"needs `kubectl expose .*refused by ValidatingAdmissionPolicy usual"):
            CLAIMS[name](walk)
    CLAIMS["WALK-DELETION-020"](walk)


def test_command_that_the_api_server_refuses_fails_its_claim_and_blocks_those_after_it(
    walk: Walkthrough, server: Cluster
) -> None:
    invalid = status_of(422, "Invalid", 'Deployment.apps "nginx" is invalid: spec.replicas: Invalid value: 2: not here')
    rule(of_kubectl("create", "Deployment"), lambda exchange: exchange.send(of_json(422, invalid)))(server)
    with pytest.raises(Unmet, match="to accept `kubectl create deployment"):
        CLAIMS["WALK-DEPLOYMENT-010"](walk)
    for name in ("WALK-DEPLOYMENT-020", "WALK-PODS-010", "WALK-SERVICE-010", "WALK-DELETION-020"):
        with pytest.raises(Blocked, match="blocked by DEPLOYMENT: expected the API server to accept"):
            CLAIMS[name](walk)


def test_cluster_without_events_skips_the_claim_on_them(walk: Walkthrough, server: Cluster) -> None:
    for event in server.store.all("Event"):
        server.store.remove(("Event", event["metadata"]["namespace"], event["metadata"]["name"]))
    walk.chain.waiter.eventually(walk.shared.objects, NO_EVENT)
    with pytest.raises(NotApplicable, match="needs Events, of which this cluster records none"):
        CLAIMS["WALK-PODS-030"](walk)


def test_command_that_is_typed_ahead_fails_the_claim_that_waits_for_it(walk: Walkthrough, server: Cluster) -> None:
    denies(lambda body: "not later" if body["metadata"]["name"] == "later" else "")(server)
    CLAIMS["WALK-SERVICE-020"](walk)
    with pytest.raises(NotApplicable, match="needs `kubectl run later"):
        CLAIMS["WALK-ENV-010"](walk)


def test_endpoints_that_the_chain_lacks_too_block_the_claim(walk: Walkthrough, server: Cluster) -> None:
    server.off.add("Endpoints")
    server.store.remove(("Endpoints", walk.shared.namespace, "web"))
    with pytest.raises(Blocked, match="blocked by ENDPOINTS: expected Endpoints of web"):
        CLAIMS["WALK-ENDPOINTS-010"](walk)


def test_missing_right_is_no_failure(walk: Walkthrough, server: Cluster) -> None:
    server.api.allows = lambda _user, verb, resource: (verb, resource) != ("create", "deployments")
    with pytest.raises(HarnessError, match="cannot create resource") as caught:
        CLAIMS["WALK-DEPLOYMENT-010"](walk)
    assert caught.value.code == ExitCode.RIGHTS


def test_refused_connection_is_no_failure(walk: Walkthrough, server: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kubechain.scenarios.walkthrough.CREATE_SECONDS", 0.5)
    server.stop()
    with pytest.raises(HarnessError, match="refused") as caught:
        CLAIMS["WALK-DEPLOYMENT-010"](walk)
    assert caught.value.code == ExitCode.UNREACHABLE
    server.start()


def test_command_whose_answer_is_lost_is_typed_again(walk: Walkthrough, server: Cluster) -> None:
    def lost(exchange: Exchange) -> None:
        exchange.answer()
        exchange.close()

    rule(of_kubectl("create", "Deployment"), lost, 1)(server)
    CLAIMS["WALK-DEPLOYMENT-010"](walk)


def test_image_that_ends_skips_the_claims_on_its_pods(walk: Walkthrough, server: Cluster) -> None:
    walk.types(suite.CREATE)
    walk.chain.waiter.eventually(walk.objects, suite.stock.running(suite.LABELS, 2))
    for pod in walk.pods:
        server.store.modify(("Pod", walk.chain.namespace, pod.name), ended)
    for name in ("WALK-PODS-010", "WALK-ENDPOINTS-010", "WALK-NODEPORT-010"):
        with pytest.raises(NotApplicable, match=r"has ended \(Error, exit status 1\)"):
            CLAIMS[name](walk)


def ended(body: Json) -> None:
    """Let the containers of a Pod have ended."""
    for status in body["status"]["containerStatuses"]:
        status["lastState"] = {"terminated": {"reason": "Error", "exitCode": 1}}


def test_image_without_a_program_skips_the_claim(walk: Walkthrough) -> None:
    walk.after(suite.CREATE, suite.EXPOSE).with_pods()
    with pytest.raises(NotApplicable, match=r"needs an image with the program: `kubectl exec nginx-\S+ -- absent`"):
        walk.types("kubectl exec $POD -- absent")


def test_image_that_listens_elsewhere_skips_the_claims_on_its_page(walk: Walkthrough, monkeypatch: pytest.MonkeyPatch) -> None:
    at_8080 = Done("0: 00000000:1F90 00000000:0000 0A\n")
    monkeypatch.setattr(Container, "run", lambda _container, _argv: at_8080)  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
    for name in ("WALK-NODEPORT-010", "WALK-DNS-010"):
        with pytest.raises(NotApplicable, match=r"an image of nginx that listens at port 80 as it is, over IPv4: nginx:1\.29"):
            CLAIMS[name](walk)


def is_dry(request: Request) -> bool:
    return "dryRun" in request.query


def test_dry_run_is_repeated_until_the_namespace_is_furnished(factory: ChainFactory, server: Cluster) -> None:
    def act(exchange: Exchange) -> None:
        exchange.send(
            of_json(
                403,
                {
                    "reason": "Forbidden",
                    "message": 'error looking up service account a/default: serviceaccount "default" not found',
                },
            )
        )

    with factory.chain(factory.waiter()) as shared:
        rule(is_dry, act, 3)(server)
        with walkthrough(factory, shared, Kubectl(Path("none"), Path("none"), CONTEXT)):
            assert [rule.used for rule in server.api.rules] == [3]
