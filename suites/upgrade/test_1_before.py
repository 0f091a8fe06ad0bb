"""Before an upgrade: the chain holds, and nothing uses what the next version removes."""

import pytest

from kubechain.claims.claim import ClaimDecorator
from kubechain.claims.records import RunRecord
from kubechain.claims.requirements import right
from kubechain.upgrade.availability import too_old
from kubechain.upgrade.phases import Before, removed_by
from kubechain.upgrade.versions import next_minor

claim = ClaimDecorator("tasks/administer-cluster/cluster-upgrade/")


@claim("BEFORE-UPGRADE-010")
def test_chain_holds_before(chain_before: RunRecord) -> None:
    """Before a change the whole chain MUST hold."""
    assert chain_before.holds, chain_before.verdict


@claim("BEFORE-NODES-010")
def test_kubelets_are_new_enough(before: Before) -> None:
    """Before an upgrade every kubelet MUST be new enough for the API server of the next minor version."""
    assert not too_old(before.snapshot.nodes, next_minor(before.snapshot.server))


@claim("BEFORE-API-010", spec="reference/using-api/deprecation-guide/", requires=[right("get", "/metrics")])
def test_nothing_asks_for_removed_apis(before: Before) -> None:
    """Before an upgrade nothing on the cluster MUST still ask for an API that the next minor version removes."""
    if before.snapshot.deprecated is None:
        pytest.skip("needs the right to read /metrics of the API server")
    assert not removed_by(before.snapshot.deprecated, next_minor(before.snapshot.server))
