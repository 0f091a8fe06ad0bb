"""The address or the port of a Service that was deleted, which another Service asks for."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus

from kubechain.conditions import timeouts
from kubechain.conditions.condition import Condition, expect
from kubechain.kube.errors import ApiRefused
from kubechain.kube.objects import KubeObject
from kubechain.observe.protocols import Eventually
from kubechain.observe.wait import Polled
from kubechain.workload.chain import Chain

# How the API server refuses what another Service has (k8s.io/kubernetes/pkg/registry/core/service).
ALLOCATED = "already allocated"
FREE = Condition[str](
    "the clusterIP and nodePort of the deleted Service to be free",
    lambda refused: expect(not refused, refused),
    timeouts.RELEASED,
)


def taken(chain: Chain, eventually: Eventually, create: Callable[[], KubeObject]) -> KubeObject:
    """Return the Service that `create` makes with the clusterIP or the nodePort of a Service that was deleted.

    The API server releases both after it has deleted the Service; where the answer to the deletion is lost, the deletion is
    known before.

    Raises:
        Unmet: the API server says that it is allocated, until the time is over.

    """
    made = list[KubeObject]()

    def ask() -> str:
        try:
            made.append(create())
        except ApiRefused as refused:
            if refused.status != HTTPStatus.UNPROCESSABLE_ENTITY or ALLOCATED not in refused.detail:
                raise
            return str(refused)
        return ""

    eventually(Polled("a Service in the place of a deleted one", ask, chain.waiter.clock), FREE)
    return made[0]
