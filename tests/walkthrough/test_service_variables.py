"""Claims on the variables of Services, where the kubelet knows of a Service later than of the Pods that are made after it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack

import pytest

from kubechain.claims.claim import Link
from kubechain.conditions.env import told_of
from kubechain.core.errors import Unmet
from kubechain.workload import service_manifests
from kubechain.workload.factory import ChainFactory
from kubechain.workload.gates import Gatekeeper
from kubechain.workload.started_later import MOST_LATER
from suites.chain import test_7_discovery as suite
from tests.conftest import NEEDS_KUBECTL
from tests.hostile import workloads
from tests.hostile.containers import service_variables
from tests.hostile.store import Store
from tests.walkthrough.walking import CLAIMS as TYPED
from tests.walkthrough.walking import begun, creating

pytestmark = pytest.mark.whole_runs

CLAIMS: dict[str, Callable[..., None]] = {
    "CHAIN-ENV-010": suite.test_later_pod_has_seven_variables,
    "CHAIN-ENV-020": suite.test_earlier_pod_has_no_variable,
    "CHAIN-ENV-030": suite.test_services_of_other_namespaces_have_no_variables,
    "CHAIN-ENV-050": suite.test_each_named_port_has_its_variable,
    "CHAIN-ENV-060": suite.test_variables_grow_stale_while_names_do_not,
}
# So that the cluster tells no Pod of a Service.
NEVER = 1000


def learn_late(monkeypatch: pytest.MonkeyPatch, pods: int) -> None:
    """Let the cluster start the first `pods` Pods after each Service without the variables of that Service."""
    started: Counter[str] = Counter()

    def variables(store: Store, namespace: str) -> dict[str, str]:
        told = service_variables(store, namespace)
        for service in store.all("Service", namespace):
            uid, name = service["metadata"]["uid"], service["metadata"]["name"]
            started[uid] += 1
            if started[uid] <= pods and name != "kubernetes":
                told = {key: value for key, value in told.items() if key not in told_of(name, told)}
        return told

    monkeypatch.setattr(workloads, "service_variables", variables)


def attempt(name: str, factory: ChainFactory, kept: Gatekeeper | None = None) -> None:
    """Run the test of a claim on a new chain."""
    function = CLAIMS[name]
    with ExitStack() as stack:
        chain = stack.enter_context(factory.serving(factory.waiter()))
        if kept:
            kept.admit([Link.ENV], chain, chain.waiter)
        elsewhere = stack.enter_context(factory.empty())
        factory.api.create(service_manifests.service(name="neighbour"), elsewhere)
        fixtures = {
            "chain": chain,
            "create": stack.enter_context(creating()),
            "eventually": chain.waiter.eventually,
            "other_namespace": elsewhere,
        }
        function(**{argument: fixtures[argument] for argument in function.__annotations__ if argument != "return"})


# Of a new chain, nginx has two Pods, which may be started before the client.
@pytest.mark.parametrize("name", CLAIMS)
def test_claim_holds_though_the_first_pods_are_started_without_the_variables(
    name: str, factory: ChainFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    learn_late(monkeypatch, MOST_LATER)
    attempt(name, factory, Gatekeeper())


@pytest.mark.parametrize("name", CLAIMS)
def test_claim_fails_where_no_pod_has_the_variables(name: str, factory: ChainFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    learn_late(monkeypatch, NEVER)
    with pytest.raises(Unmet, match=r"variables for Service \w+(-env)?, got none"):
        attempt(name, factory)


def test_gate_stays_shut_where_variables_are_wrong(factory: ChainFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = {"WEB_SERVICE_HOST": "192.0.2.1"}

    def variables(store: Store, namespace: str) -> dict[str, str]:
        return {**service_variables(store, namespace), **wrong}

    monkeypatch.setattr(workloads, "service_variables", variables)
    with factory.serving(factory.waiter()) as chain, pytest.raises(Exception, match=r"blocked by ENV: .*got 192\.0\.2\.1"):
        Gatekeeper().admit([Link.ENV], chain, chain.waiter)


@NEEDS_KUBECTL
@pytest.mark.parametrize(("pods", "holds"), [(MOST_LATER, True), (NEVER, False)])
def test_typed_pods_may_be_told_late_but_not_never(
    factory: ChainFactory, monkeypatch: pytest.MonkeyPatch, pods: int, *, holds: bool
) -> None:
    learn_late(monkeypatch, pods)
    with begun(factory) as walk:
        if holds:
            TYPED["WALK-ENV-010"](walk)
        else:
            with pytest.raises(Unmet, match="7 variables for Service nginx, got none"):
                TYPED["WALK-ENV-010"](walk)
