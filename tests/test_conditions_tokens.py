"""The projected volume with the token of a Pod."""

import pytest

from kubechain.conditions import tokens
from kubechain.kube.objects import Json
from kubechain.workload.manifests import LABELS
from tests.fakes import changed, pod, state

TOKEN: Json = {"serviceAccountToken": {"expirationSeconds": 3607}}
MAP: Json = {"configMap": {"name": "kube-root-ca.crt"}}
FIELD: Json = {"downwardAPI": {"items": [{"fieldRef": {"fieldPath": "metadata.namespace"}}]}}
VOLUMES: list[tuple[list[list[Json]], bool]] = [
    ([[TOKEN, MAP, FIELD]], True),
    ([[TOKEN, MAP, {"configMap": {"name": "service-ca"}}, FIELD], [TOKEN]], True),
    ([[TOKEN], [MAP, FIELD]], False),
    ([[{"serviceAccountToken": {}}, MAP, FIELD]], False),
    ([[TOKEN, FIELD]], False),
    ([], False),
]


@pytest.mark.parametrize(("volumes", "is_met"), VOLUMES)
def test_one_projected_volume_has_all_that_asking_the_api_needs(volumes: list[list[Json]], is_met: bool) -> None:  # noqa: FBT001
    there = changed(pod(0), "spec.volumes", [{"name": "v", "projected": {"sources": sources}} for sources in volumes])
    assert tokens.with_projected_token(LABELS)(state(there)).met is is_met
