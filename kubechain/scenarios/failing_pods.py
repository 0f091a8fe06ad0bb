"""Pods that cannot run; made together, because the kubelet backs off between two attempts."""

from __future__ import annotations

from dataclasses import dataclass

from kubechain.kube.objects import KubeObject
from kubechain.workload import manifests
from kubechain.workload.chain import Chain
from kubechain.workload.manifests import ABSENT_IMAGE


@dataclass(frozen=True)
class FailingPods:
    """A Pod whose container exits with status 1 at once, and a Pod whose image does not exist."""

    crashing: KubeObject
    absent: KubeObject


def make(chain: Chain) -> FailingPods:
    """Make the Pods in the namespace of a chain, which is deleted with them."""
    crashing = manifests.running(manifests.client_pod("crashing", chain.client_image), "exit 1")
    absent = manifests.client_pod("absent", ABSENT_IMAGE)
    return FailingPods(chain.api.create(crashing, chain.namespace), chain.api.create(absent, chain.namespace))
