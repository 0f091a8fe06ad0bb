"""Conditions on what the ReplicaSets of a Deployment ask for."""

import pytest

from kubechain.conditions.replica_sets import ask_for
from kubechain.kube.objects import KubeObject
from kubechain.workload.manifests import WEB
from tests.fakes import deployment, replica_set, state


def at(revision: int, replicas: int, made: int = 0) -> KubeObject:
    """Return a ReplicaSet of the Deployment that asks for Pods, and has some of them."""
    annotations = {"deployment.kubernetes.io/revision": str(revision)}
    name = f"web-{revision}"
    return replica_set(name=name, uid=name, annotations=annotations, spec={"replicas": replicas}, status={"replicas": made})


def test_what_is_asked_for_counts_and_not_what_is_made() -> None:
    assert ask_for(WEB, {1: 6, 2: 4})(state(deployment(), at(1, 6, 2), at(2, 4))).met


@pytest.mark.parametrize(
    ("there", "message"),
    [
        ((at(1, 3), at(2, 7)), "revision 1 6, revision 2 4, got revision 1 3, revision 2 7"),
        ((at(1, 6), at(2, 6)), "revision 2 4, got 6"),
        ((at(1, 6),), "revision 2 4, got none"),
        ((at(1, 6), at(2, 4), at(3, 1)), "no revision 3, got 1"),
    ],
)
def test_other_shares_are_told(there: tuple[KubeObject, ...], message: str) -> None:
    result = ask_for(WEB, {1: 6, 2: 4})(state(deployment(), *there))
    assert str(result) == f"expected ReplicaSets of web with spec.replicas by revision: {message}"


def test_nothing_without_a_deployment() -> None:
    assert not ask_for(WEB, {1: 6})(state(at(1, 6))).met
