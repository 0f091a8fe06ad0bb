"""Chains side by side on a cluster on loopback: what they take, what of them fails, and which runs make them."""

from dataclasses import replace
from pathlib import Path

import pytest

from kubechain.claims.claim import Link
from kubechain.claims.process_records import Work
from kubechain.claims.records import read_run
from kubechain.claims.requirements import SIDE_BY_SIDE
from kubechain.core.errors import Blocked, HarnessError, NotApplicable, Unmet
from kubechain.core.run import RUN_LABEL
from kubechain.kube.objects import Json
from kubechain.kube.shape import Shape
from kubechain.observe.wait import require
from kubechain.observe.watcher import KINDS
from kubechain.scenarios.side_by_side import each_of, side_by_side
from kubechain.workload.factory import ChainFactory
from tests.fakes import claim_of
from tests.hostile.access import with_token
from tests.hostile.acts import failing, rule
from tests.hostile.catalogue import RECORDS
from tests.hostile.cluster import Cluster
from tests.hostile.runner import run

pytestmark = pytest.mark.whole_runs

COUNT = 10
RUN = "CHAIN-PODS-010,CHAIN-ENDPOINTS-010"


@pytest.fixture
def factory(factory: ChainFactory) -> ChainFactory:
    factory.api.shape = Shape("kubechain-0a1b2c3d")
    return factory


def test_chains_come_up_and_answer_over_one_watch_of_each_kind(factory: ChainFactory, server: Cluster) -> None:
    with factory.chain(factory.waiter()) as shared, side_by_side(factory, shared, COUNT) as made:
        assert made.count == COUNT
        for link in (Link.ENDPOINTS, Link.CLUSTERIP, Link.NODEPORT, Link.DNS):
            require(made.of(link), each_of(COUNT, link))
        spaces = [each for each in server.store.all("Namespace") if RUN_LABEL in each["metadata"].get("labels", {})]
        assert len(spaces) == COUNT + 1
        # Those of the shared chain, and those that all others share.
        assert server.api.watches == 2 * len(KINDS)
        # A namespace, an account, a ConfigMap, a Service, a Deployment, two commands; and what all share.
        assert made.requests < 7 + 40 / COUNT
    steps = {step.what for record in factory.chains for step in record.steps}
    assert {"image present", "address in EndpointSlice", "clusterIP answers", "each nodePort answers", "name resolves"} <= steps
    assert len(factory.chains) == COUNT + 1
    assert [each for each in server.store.all("Namespace") if RUN_LABEL in each["metadata"].get("labels", {})] == []


def test_chain_that_does_not_come_up_is_named_and_those_that_do_are_counted(factory: ChainFactory, server: Cluster) -> None:
    with factory.chain(factory.waiter()) as shared:
        factory.gatekeeper.admit([Link.ENDPOINTS], shared, factory.waiter())
        bad = f"{factory.prefix}-2"

        def astray(body: Json) -> Json:
            wrong = body["kind"] == "Service" and body["metadata"].get("namespace") == bad
            return {**body, "spec": {**body["spec"], "selector": {"app": "another"}}} if wrong else body

        server.core.mutate = astray
        with side_by_side(factory, shared, 3) as made:
            assert made.chain.namespace == bad
            with pytest.raises(
                Unmet, match=rf"^expected each of 3 chains to come up, got 2; {bad}: expected EndpointSlices of web"
            ):
                require(made.of(Link.ENDPOINTS), each_of(3, Link.ENDPOINTS))
            # Nothing of it could answer: one broken link is one failure.
            with pytest.raises(Blocked, match=r"^blocked by ENDPOINTS: 1 of 3 chains; expected EndpointSlices of web"):
                made.of(Link.DNS)


def test_error_of_one_chain_ends_the_waits_of_all_others_and_deletes_them(factory: ChainFactory, server: Cluster) -> None:
    with factory.chain(factory.waiter()) as shared:
        factory.gatekeeper.admit([Link.ENDPOINTS], shared, factory.waiter())
        assert shared.client
        server.off.add("EndpointSlice")
        refused = f"{factory.prefix}-2"
        rule(lambda request: request.is_("create", "ConfigMap") and request.place.namespace == refused, failing(403))(server)
        factory.patient = replace(factory.patient, patience=100.0)
        with pytest.raises(HarnessError, match="403"), side_by_side(factory, shared, 3):
            pass
        assert [each for each in server.store.names("Namespace") if each.startswith(f"{factory.prefix}-")] == [shared.namespace]
        server.off.clear()


def test_cluster_without_room_is_asked_for_fewer(factory: ChainFactory) -> None:
    with (
        factory.chain(factory.waiter()) as shared,
        pytest.raises(NotApplicable, match=r"needs room for 2010 Pods, of which the Nodes may have \d+: fewer --chains"),
        side_by_side(factory, shared, 1000),
    ):
        pass


def test_claims_are_selected_by_the_number_of_chains_or_by_their_id() -> None:
    stated = replace(claim_of(Link.DNS), requirements=(SIDE_BY_SIDE,), level="full")
    assert not stated.belongs_to("full", frozenset())
    assert stated.belongs_to("quick", frozenset(), chains=2)
    assert stated.belongs_to("quick", frozenset(["T-PODS-010"]), chains=2)
    assert stated.belongs_to("quick", frozenset([stated.id]))


def test_run_with_chains_has_percentiles_of_all_of_them(tmp_path: Path) -> None:
    healthy = replace(RECORDS[0], command=("run", "--no-html", "-n", "2", "--only", RUN, "--chains", str(COUNT)))
    ended = run(healthy, with_token(tmp_path), tmp_path)
    assert (ended.code, ended.left) == (0, ()), ended.output
    content = read_run(tmp_path / "out" / "run.json")
    counts = {each.what: each.count for each in content.hand_overs}
    assert counts["chain up"] == counts["clusterIP answers"] + 2 == COUNT + 2
    measured = next(claim.measured for claim in content.claims if claim.id == "CHAIN-ENDPOINTS-130")
    assert measured["chains side by side"] == COUNT
    assert measured["requests to the API server for each chain"] > 0
    # One process makes them, after all other claims.
    ids = [claim.id for claim in content.claims if "chains" in claim.requirements]
    assert len(ids) == 4
    assert len({claim.worker for claim in content.claims if claim.id in ids}) == 1
    ends = {span.name: span.ended for each in content.processes for span in each.spans if span.work == Work.SET_UP}
    assert ends["CHAIN-ENDPOINTS-130"] > max(ends["CHAIN-PODS-010"], ends.get("CHAIN-ENDPOINTS-010", 0))
    assert "chain holds: 6 claims" in ended.output
