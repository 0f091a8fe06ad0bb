"""Many chains side by side, as --chains says: each comes up and answers, whatever the others do."""

from fixtures.waiting import RecordMetric
from kubechain.claims import premises
from kubechain.claims.claim import ClaimDecorator, Link
from kubechain.claims.requirements import EXEC, NODE_REQUESTS, SIDE_BY_SIDE
from kubechain.observe.wait import require
from kubechain.scenarios.side_by_side import SideBySide, each_of

claim = ClaimDecorator("concepts/services-networking/service/", level="full", requires=(SIDE_BY_SIDE,))


@claim("CHAIN-ENDPOINTS-130", spec="#endpointslices", after=[Link.PODS])
def test_each_chain_comes_up(side_by_side: SideBySide, record_metric: RecordMetric) -> None:
    """Each of many chains that are made at once MUST come up: its EndpointSlices list exactly its own ready Pods."""
    record_metric("chains side by side", side_by_side.count)
    record_metric("seconds until all chains have answered", side_by_side.seconds)
    record_metric("requests to the API server for each chain", side_by_side.requests)
    require(side_by_side.of(Link.ENDPOINTS), each_of(side_by_side.count, Link.ENDPOINTS))


@claim("CHAIN-CLUSTERIP-120", requires=[EXEC], after=[Link.ENDPOINTS], premises=premises.REACHED)
def test_each_cluster_ip_answers(side_by_side: SideBySide) -> None:
    """Each of many Services that are made at once MUST answer a Pod of another namespace at its clusterIP, from all its Pods."""
    require(side_by_side.of(Link.CLUSTERIP), each_of(side_by_side.count, Link.CLUSTERIP))


@claim("CHAIN-NODEPORT-070", spec="#type-nodeport", requires=[NODE_REQUESTS], after=[Link.ENDPOINTS])
def test_each_node_port_answers(side_by_side: SideBySide) -> None:
    """Each of many Services that are made at once MUST answer at its nodePort on every Node, from each of its Pods."""
    require(side_by_side.of(Link.NODEPORT), each_of(side_by_side.count, Link.NODEPORT))


@claim("CHAIN-DNS-210", spec="concepts/services-networking/dns-pod-service/#services", requires=[EXEC])
def test_each_name_resolves(side_by_side: SideBySide) -> None:
    """Each of many Services that are made at once MUST be found by its name from a Pod of another namespace."""
    require(side_by_side.of(Link.DNS), each_of(side_by_side.count, Link.DNS))
