"""The pytest plugin with Pods that cannot run: begun together, because the kubelet takes its time between two attempts."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from kubechain.kube.objects import KubeObject
from kubechain.workload import manifests
from kubechain.workload.chain import Chain
from kubechain.workload.manifests import ABSENT_IMAGE


@dataclass(frozen=True)
class FailingPods:
    """A Pod whose container ends with an error at once, and one whose image cannot be had."""

    crashing: KubeObject
    absent: KubeObject


@pytest.fixture(scope="session")
def failing_pods(shared_chain: Chain) -> FailingPods:
    """Pods that cannot run, in the namespace of the shared chain."""
    crashing = manifests.running(manifests.client_pod("crashing", shared_chain.client_image), "exit 1")
    absent = manifests.client_pod("absent", ABSENT_IMAGE)
    return FailingPods(
        shared_chain.api.create(crashing, shared_chain.namespace), shared_chain.api.create(absent, shared_chain.namespace)
    )
