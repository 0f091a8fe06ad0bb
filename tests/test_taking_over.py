"""A healthy cluster may take its time: for another leader of its controllers, or for another Node."""

from dataclasses import replace

import pytest

from kubechain.claims.claim import Link
from kubechain.core.errors import Unmet
from kubechain.kube.objects import KubeObject
from kubechain.workload import manifests
from kubechain.workload.gates import GATES, WATCHED
from tests.fakes import changed, healthy, not_ready, pod, thing
from tests.test_gates import up_to


def client() -> KubeObject:
    return pod(2, name="client", labels={"app": "client"}, ownerReferences=[])


@pytest.mark.parametrize("link", WATCHED)
def test_gate_opens_after_another_leader_has_taken_over(link: Link) -> None:
    chain, waiter, clock = up_to()
    for each in healthy():
        clock.at(19.0, lambda each=each: chain.objects.record("ADDED", each))
    GATES[link](chain).wait(waiter)
    assert clock.time == pytest.approx(1019.0, abs=0.5)


def test_chain_whose_pods_wait_for_a_new_node_comes_up() -> None:
    unbound = [
        changed(changed(not_ready(each), "spec.nodeName", None), "metadata.labels.app", each.labels["app"])
        for each in (*(up for up in healthy() if up.kind == "Pod"), client())
    ]
    about = [thing("Event", f"e-{each.name}", reason="Nominated", involvedObject={"uid": each.uid}) for each in unbound]
    chain, waiter, clock = up_to(*[each for each in healthy() if each.kind != "Pod"], *unbound, *about)
    chain = replace(chain, begun=clock.now())
    for each in (*(up for up in healthy() if up.kind == "Pod"), client()):
        clock.at(95.0, lambda each=each: chain.objects.record("MODIFIED", each))
    GATES[Link.PODS](chain).wait(waiter)
    assert chain.client.pod == "client"
    assert clock.time == pytest.approx(1095.0, abs=0.5)


def test_chain_for_which_no_node_is_made_in_time_is_blocked() -> None:
    unbound = [changed(not_ready(each), "spec.nodeName", None) for each in healthy() if each.kind == "Pod"]
    about = [thing("Event", f"e-{each.name}", reason="Nominated", involvedObject={"uid": each.uid}) for each in unbound]
    chain, waiter, clock = up_to(*[each for each in healthy() if each.kind != "Pod"], *unbound, *about)
    with pytest.raises(Unmet, match="expected each Pod with app=web bound to a Node"):
        GATES[Link.PODS](chain).wait(waiter)
    assert clock.time == pytest.approx(1300.0, abs=0.5)


def test_nginx_is_given_time_to_say_that_it_is_ready_on_a_busy_node() -> None:
    (nginx,) = manifests.nginx_pod_spec("nginx:1")["containers"]
    probe = nginx["readinessProbe"]
    assert (probe["timeoutSeconds"], probe["failureThreshold"], probe["periodSeconds"]) == (3, 1, 1)
