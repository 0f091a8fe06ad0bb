"""When a cluster is settled after a step of its upgrade."""

from typing import Any

import pytest

from kubechain.upgrade.kubeadm import settled
from tests.fakes import changed, conditions
from tests.test_upgrade_kubeadm import TO, rolled_out

PROXY, COREDNS = 5, 6


@pytest.mark.parametrize(
    ("number", "path", "value", "why"),
    [
        (1, "status.conditions", conditions(Ready="Unknown"), "c-worker not ready"),
        (3, "status.conditions", conditions(Ready="False"), "etcd not ready"),
        (PROXY, "metadata.generation", 3, "kube-proxy not rolled out"),
        (PROXY, "status.updatedNumberScheduled", 2, "kube-proxy not rolled out"),
        (PROXY, "status.numberAvailable", 2, "kube-proxy not rolled out"),
        (PROXY, "spec.template.spec.containers.0.image", "x/kube-proxy:v1.34.4", "kube-proxy of x/kube-proxy:v1.34.4"),
        (PROXY, "metadata.name", "routes", "no kube-proxy"),
        (COREDNS, "status.updatedReplicas", 1, "coredns not rolled out"),
        (COREDNS, "status.availableReplicas", 1, "coredns not rolled out"),
        (COREDNS, "status.replicas", 3, "coredns not rolled out"),
        (COREDNS, "metadata.generation", 6, "coredns not rolled out"),
    ],
)
def test_cluster_is_settled_only_when_all_is_ready_and_rolled_out(number: int, path: str, value: Any, why: str) -> None:
    objects = rolled_out()
    assert settled(objects, TO).met
    objects[number] = changed(objects[number], path, value)
    assert (settled(objects, TO).met, settled(objects, TO).got) == (False, why)
